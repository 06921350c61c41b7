//! Ops as bytes: `kind u8`, from 0x80 on `varint length`, then the payload. The mirror of `op_decode`; checks nothing,
//! because a replica reads its own skeletons before it signs them.

use super::op::{Accepted, Account, Anchor, BanScope, BanSubject, Op, Target, UnitAt};
use crate::codec::Writer;

impl Op {
    /// The number of its kind.
    #[must_use]
    pub fn kind(&self) -> u8 {
        match self {
            Self::MapSet { .. } => 0x01,
            Self::MapDelete { .. } => 0x02,
            Self::MapChild { .. } => 0x03,
            Self::MapCouple { .. } => 0x04,
            Self::CounterAdd { .. } => 0x08,
            Self::CounterReset { .. } => 0x09,
            Self::SetAdd { .. } => 0x10,
            Self::SetRemove { .. } => 0x11,
            Self::CartAdd { .. } => 0x18,
            Self::CartRemove { .. } => 0x19,
            Self::ListInsert { .. } => 0x20,
            Self::ListDelete { .. } => 0x21,
            Self::ListMove { .. } => 0x22,
            Self::TextInsert { .. } => 0x28,
            Self::TextDelete { .. } => 0x29,
            Self::TextMark { .. } => 0x2a,
            Self::LedgerOpen { .. } => 0x30,
            Self::LedgerTransfer { .. } => 0x31,
            Self::LedgerDispute { .. } => 0x32,
            Self::LedgerAssign { .. } => 0x33,
            Self::LedgerReverse { .. } => 0x34,
            Self::EventCreate { .. } => 0x38,
            Self::EventEmit { .. } => 0x39,
            Self::PolicyExclude { .. } => 0x40,
            Self::PolicyBan { .. } => 0x41,
            Self::PolicyTrust { .. } => 0x42,
            Self::PolicyThreshold { .. } => 0x43,
            Self::PolicyMode { .. } => 0x44,
            Self::PolicyAccept { .. } => 0x45,
            Self::Revoke { .. } => 0x48,
            Self::Control { kind, .. } => *kind as u8,
            Self::Audit { kind, .. } => *kind as u8,
            Self::Skipped { kind, .. } => *kind,
        }
    }

    pub(super) fn encode(&self, out: &mut Writer) {
        out.u8(self.kind());
        match self {
            Self::MapSet { object, key: name }
            | Self::MapDelete { object, key: name }
            | Self::SetRemove { object, element: name }
            | Self::CartRemove { object, item: name }
            | Self::LedgerOpen { object, account: name } => {
                out.varint(object.0.into()).varint(name.0.into());
            }
            Self::MapChild { object, key, kind, options } => {
                out.varint(object.0.into()).varint(key.0.into()).u8(*kind as u8).bytes(options);
            }
            Self::MapCouple { object, group, count, present } => {
                out.varint(object.0.into()).varint((*group).into()).varint((*count).into()).varint(*present);
            }
            Self::CounterAdd { object, amount } => {
                out.varint(object.0.into()).zigzag(*amount);
            }
            Self::CounterReset { object } => {
                out.varint(object.0.into());
            }
            Self::SetAdd { object, element, has_value } => {
                out.varint(object.0.into()).varint(element.0.into()).u8((*has_value).into());
            }
            Self::CartAdd { object, item, quantity } => {
                out.varint(object.0.into()).varint(item.0.into()).zigzag(*quantity);
            }
            Self::ListInsert { object, left, right, count: units }
            | Self::TextInsert { object, left, right, len: units } => {
                out.varint(object.0.into());
                put_gap(out, left, right);
                out.varint((*units).into());
            }
            Self::ListDelete { object, spans } | Self::TextDelete { object, spans } => {
                out.varint(object.0.into()).varint(spans.len() as u64);
                for span in spans {
                    put_unit(out, &span.first);
                    out.varint(span.len.into());
                }
            }
            Self::ListMove { object, element, left, right } => {
                out.varint(object.0.into());
                put_unit(out, element);
                put_gap(out, left, right);
            }
            Self::TextMark { object, start, end, key, expand } => {
                out.varint(object.0.into());
                put_anchor(out, start);
                put_anchor(out, end);
                out.varint(key.0.into()).u8(u8::from(expand.before) | u8::from(expand.after) << 1);
            }
            Self::LedgerTransfer { object, from, to, amount } => {
                out.varint(object.0.into());
                put_account(out, from);
                put_account(out, to);
                amount.encode(out);
            }
            Self::LedgerDispute { object, changeset, op } | Self::LedgerReverse { object, changeset, op } => {
                out.varint(object.0.into()).varint(changeset.0.into()).varint((*op).into());
            }
            Self::LedgerAssign { object, asset, to } => {
                out.varint(object.0.into()).varint(asset.0.into());
                put_account(out, to);
            }
            Self::EventCreate { type_name, id } => {
                out.varint(type_name.0.into()).varint(id.0.into());
            }
            Self::EventEmit { type_name, concerns } => {
                out.varint(type_name.0.into()).varint(concerns.len() as u64);
                concerns.iter().for_each(|name| {
                    out.varint(name.0.into());
                });
            }
            Self::Revoke { targets } => {
                out.varint(targets.len() as u64);
                for target in targets {
                    out.varint(target.changeset.0.into())
                        .varint(target.first.into())
                        .varint(target.count.into());
                }
            }
            Self::Control { payload, .. } | Self::Audit { payload, .. } | Self::Skipped { payload, .. } => {
                out.bytes(payload);
            }
            Self::PolicyExclude { .. }
            | Self::PolicyBan { .. }
            | Self::PolicyTrust { .. }
            | Self::PolicyThreshold { .. }
            | Self::PolicyMode { .. }
            | Self::PolicyAccept { .. } => self.encode_policy(out),
        }
    }

    fn encode_policy(&self, out: &mut Writer) {
        match self {
            Self::PolicyExclude { verdict, targets } => {
                out.u8(*verdict as u8).varint(targets.len() as u64);
                targets.iter().for_each(|target| put_target(out, target));
            }
            Self::PolicyBan { subject, scope } => {
                match subject {
                    BanSubject::Member(member) => out.u8(0).raw(&member.0),
                    BanSubject::Actor(actor) => out.u8(1).raw(&actor.0),
                };
                match scope {
                    BanScope::Lifted => out.u8(0),
                    BanScope::All => out.u8(1),
                    BanScope::FromHere => out.u8(2),
                    BanScope::SinceTime(ms) => out.u8(3).varint(*ms),
                    BanScope::SinceChangeset(id) => out.u8(4).raw(&id.0),
                };
            }
            Self::PolicyTrust { member, weight } => {
                out.raw(&member.0).zigzag(*weight);
            }
            Self::PolicyThreshold { weight } => {
                out.varint(*weight);
            }
            Self::PolicyMode { review } => {
                out.u8((*review).into());
            }
            Self::PolicyAccept { accepted, subject } => {
                out.u8((*accepted).into());
                match subject {
                    Accepted::Member(member) => {
                        out.u8(0).raw(&member.0);
                    }
                    Accepted::Target(target) => {
                        out.u8(2);
                        put_target(out, target);
                    }
                }
            }
            _ => unreachable!("called for policy ops only"),
        }
    }
}

fn put_unit(out: &mut Writer, unit: &UnitAt) {
    out.varint(unit.changeset.0.into()).varint(unit.offset.into());
}

fn put_gap(out: &mut Writer, left: &Option<UnitAt>, right: &Option<UnitAt>) {
    for unit in [left, right] {
        match unit {
            None => out.varint(0),
            Some(unit) => out.varint(u64::from(unit.changeset.0) + 1).varint(unit.offset.into()),
        };
    }
}

fn put_anchor(out: &mut Writer, anchor: &Anchor) {
    match anchor {
        Anchor::Start => {
            out.u8(0);
        }
        Anchor::End => {
            out.u8(1);
        }
        Anchor::Before(unit) => {
            out.u8(2);
            put_unit(out, unit);
        }
        Anchor::After(unit) => {
            out.u8(3);
            put_unit(out, unit);
        }
    }
}

fn put_account(out: &mut Writer, account: &Account) {
    match account {
        Account::Member(member) => out.u8(0).raw(&member.0),
        Account::Named(name) => out.u8(1).varint(name.0.into()),
    };
}

fn put_target(out: &mut Writer, target: &Target) {
    match target {
        Target::Changeset(id) => out.u8(0).raw(&id.0),
        Target::Op(id, index) => out.u8(1).raw(&id.0).varint((*index).into()),
    };
}
