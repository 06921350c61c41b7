//! Ops from bytes: `kind u8`, from 0x80 on `varint length`, then the payload.
//!
//! Reading checks all that the op alone and the tables of its skeleton can tell: places exist, numbers are in range, the
//! kind of the object fits. Whether a unit or a target exists is for those who know the causal past.

use super::op::{
    Accepted, Account, Anchor, AuditKind, BanScope, BanSubject, ChangesetAt, ControlKind, Expand, NameAt,
    ObjectAt, Op, OpSpan, Span, Target, UnitAt, Verdict,
};
use super::{ObjectKind, ReadError, Unsupported};
use crate::causal::{ActorId, ChangesetId, MemberId, NameId, ObjectId};
use crate::codec::limits::{
    CHANGESET_BYTES_MAX, CONCERNS_MAX, COUPLED_KEYS_MAX, EXT_BYTES_MAX, INSERTED_UNITS_MAX, OPS_MAX,
    SAFE_INTEGER_MAX, TIME_MS_MAX,
};
use crate::codec::{BigInt, DecodeError, Reader};

/// The tables that ops point into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tables<'a> {
    pub refs: usize,
    pub objects: &'a [(ObjectId, ObjectKind)],
    pub names: &'a [NameId],
}

impl Op {
    pub(super) fn decode(reader: &mut Reader<'_>, tables: &Tables<'_>) -> Result<Self, ReadError> {
        let at = reader.position();
        let kind = reader.u8("op kind")?;
        let op = match kind {
            0x50..=0x55 => {
                use ControlKind::{Cut, Epoch, Redact, Resolve, RevokeInvite, Validators};
                let kind = [Epoch, Cut, Redact, Resolve, RevokeInvite, Validators][usize::from(kind - 0x50)];
                Self::Control { kind, payload: payload(reader)? }
            }
            0x60..=0x67 => {
                use AuditKind::{Attest, Block, Consent, Erased, Evidence, Request, Subject, Vote};
                let kinds = [Attest, Block, Vote, Consent, Evidence, Erased, Subject, Request];
                Self::Audit { kind: kinds[usize::from(kind - 0x60)], payload: payload(reader)? }
            }
            0x80.. => Self::Skipped { kind, payload: payload(reader)? },
            0x40..=0x45 => Self::decode_policy(kind, reader)?,
            _ => Self::decode_data(kind, reader, tables)?,
        };
        let fits = |(object, kind): (ObjectAt, ObjectKind)| tables.objects[object.0 as usize].1 == kind;
        if !op.object().is_none_or(fits) {
            let rule = "the object's kind fits the op";
            return Err(DecodeError::Invalid { what: "op object", at, rule }.into());
        }
        Ok(op)
    }

    fn decode_data(kind: u8, reader: &mut Reader<'_>, tables: &Tables<'_>) -> Result<Self, ReadError> {
        let object = |reader: &mut Reader<'_>| index(reader, "object", tables.objects.len()).map(ObjectAt);
        let name = |reader: &mut Reader<'_>| index(reader, "name", tables.names.len()).map(NameAt);
        let account = |reader: &mut Reader<'_>| account(reader, tables);
        Ok(match kind {
            0x01 => Self::MapSet { object: object(reader)?, key: name(reader)? },
            0x02 => Self::MapDelete { object: object(reader)?, key: name(reader)? },
            0x03 => {
                let (object, key) = (object(reader)?, name(reader)?);
                let kind = object_kind(reader)?;
                Self::MapChild {
                    object,
                    key,
                    kind,
                    options: reader.bytes("child options", EXT_BYTES_MAX)?.to_vec(),
                }
            }
            0x04 => decode_couple(object(reader)?, reader)?,
            0x08 => Self::CounterAdd { object: object(reader)?, amount: reader.zigzag("amount")? },
            0x09 => Self::CounterReset { object: object(reader)? },
            0x10 => Self::SetAdd {
                object: object(reader)?,
                element: name(reader)?,
                has_value: boolean(reader, "has value")?,
            },
            0x11 => Self::SetRemove { object: object(reader)?, element: name(reader)? },
            0x18 => Self::CartAdd {
                object: object(reader)?,
                item: name(reader)?,
                quantity: reader.zigzag("quantity")?,
            },
            0x19 => Self::CartRemove { object: object(reader)?, item: name(reader)? },
            0x20 => {
                let (object, left, right) =
                    (object(reader)?, maybe_unit(reader, tables)?, maybe_unit(reader, tables)?);
                Self::ListInsert {
                    object,
                    left,
                    right,
                    count: positive(reader, "element count", INSERTED_UNITS_MAX)?,
                }
            }
            0x21 => Self::ListDelete { object: object(reader)?, spans: spans(reader, tables)? },
            0x22 => {
                let (object, element) = (object(reader)?, unit(reader, tables)?);
                Self::ListMove {
                    object,
                    element,
                    left: maybe_unit(reader, tables)?,
                    right: maybe_unit(reader, tables)?,
                }
            }
            0x28 => {
                let (object, left, right) =
                    (object(reader)?, maybe_unit(reader, tables)?, maybe_unit(reader, tables)?);
                Self::TextInsert {
                    object,
                    left,
                    right,
                    len: positive(reader, "text length", INSERTED_UNITS_MAX)?,
                }
            }
            0x29 => Self::TextDelete { object: object(reader)?, spans: spans(reader, tables)? },
            0x2a => {
                let (object, start, end) =
                    (object(reader)?, anchor(reader, tables)?, anchor(reader, tables)?);
                let key = name(reader)?;
                let expand = enumerated(reader, "expand", 3)?;
                Self::TextMark {
                    object,
                    start,
                    end,
                    key,
                    expand: Expand { before: expand & 1 != 0, after: expand & 2 != 0 },
                }
            }
            0x30 => Self::LedgerOpen { object: object(reader)?, account: name(reader)? },
            0x31 => {
                let (object, from, to) = (object(reader)?, account(reader)?, account(reader)?);
                let at = reader.position();
                let amount = BigInt::decode(reader, "amount")?;
                if amount.is_zero() || amount.is_negative() {
                    return Err(
                        DecodeError::Invalid { what: "amount", at, rule: "an amount is above zero" }.into()
                    );
                }
                Self::LedgerTransfer { object, from, to, amount }
            }
            0x32 | 0x34 => {
                let (object, changeset) = (object(reader)?, changeset(reader, tables)?);
                let op = op_index(reader)?;
                match kind {
                    0x32 => Self::LedgerDispute { object, changeset, op },
                    _ => Self::LedgerReverse { object, changeset, op },
                }
            }
            0x33 => {
                Self::LedgerAssign { object: object(reader)?, asset: name(reader)?, to: account(reader)? }
            }
            0x38 => Self::EventCreate { type_name: name(reader)?, id: name(reader)? },
            0x39 => {
                let type_name = name(reader)?;
                let count = one_or_more(reader, "concerns", CONCERNS_MAX, 1)?;
                Self::EventEmit {
                    type_name,
                    concerns: (0..count).map(|_| name(reader)).collect::<Result<_, _>>()?,
                }
            }
            0x48 => {
                let count = one_or_more(reader, "revoke targets", OPS_MAX, 3)?;
                Self::Revoke {
                    targets: (0..count).map(|_| op_span(reader, tables)).collect::<Result<_, _>>()?,
                }
            }
            found => {
                return Err(Unsupported { what: "op kind", found: found.into() }.into());
            }
        })
    }

    fn decode_policy(kind: u8, reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match kind {
            0x40 => {
                let verdict =
                    [Verdict::None, Verdict::Exclude, Verdict::Include][enumerated(reader, "verdict", 2)?];
                let count = one_or_more(reader, "policy targets", OPS_MAX, 33)?;
                Self::PolicyExclude {
                    verdict,
                    targets: (0..count).map(|_| target(reader)).collect::<Result<_, _>>()?,
                }
            }
            0x41 => {
                let subject = match enumerated(reader, "ban subject", 1)? {
                    0 => BanSubject::Member(MemberId(reader.array("banned member")?)),
                    _ => BanSubject::Actor(ActorId(reader.array("banned actor")?)),
                };
                let scope = match enumerated(reader, "ban scope", 4)? {
                    0 => BanScope::Lifted,
                    1 => BanScope::All,
                    2 => BanScope::FromHere,
                    3 => BanScope::SinceTime(reader.varint("ban time", TIME_MS_MAX)?),
                    _ => BanScope::SinceChangeset(ChangesetId(reader.array("ban changeset")?)),
                };
                Self::PolicyBan { subject, scope }
            }
            0x42 => Self::PolicyTrust {
                member: MemberId(reader.array("trusted member")?),
                weight: reader.zigzag("weight")?,
            },
            0x43 => Self::PolicyThreshold { weight: reader.varint("threshold", SAFE_INTEGER_MAX as u64)? },
            0x44 => Self::PolicyMode { review: boolean(reader, "policy mode")? },
            _ => {
                let accepted = boolean(reader, "accept verdict")?;
                let at = reader.position();
                let subject = match reader.u8("accept subject")? {
                    0 => Accepted::Member(MemberId(reader.array("accepted member")?)),
                    2 => Accepted::Target(target(reader)?),
                    found => {
                        return Err(DecodeError::Unknown { what: "accept subject", at, found: found.into() });
                    }
                };
                Self::PolicyAccept { accepted, subject }
            }
        })
    }
}

/// A kind of object; a later version may have more of them.
pub(super) fn object_kind(reader: &mut Reader<'_>) -> Result<ObjectKind, ReadError> {
    let code = reader.u8("object kind")?;
    ObjectKind::from_code(code).ok_or(Unsupported { what: "object kind", found: code.into() }.into())
}

fn decode_couple(object: ObjectAt, reader: &mut Reader<'_>) -> Result<Op, DecodeError> {
    let group = reader.varint_u32("group", u32::MAX)?;
    let count = positive(reader, "coupled keys", COUPLED_KEYS_MAX)?;
    let present = reader.varint("present keys", u64::MAX >> (COUPLED_KEYS_MAX - u64::from(count)))?;
    Ok(Op::MapCouple { object, group, count: u8::try_from(count).expect("at most 64"), present })
}

fn payload(reader: &mut Reader<'_>) -> Result<Vec<u8>, DecodeError> {
    Ok(reader.bytes("op payload", CHANGESET_BYTES_MAX)?.to_vec())
}

fn index(reader: &mut Reader<'_>, what: &'static str, len: usize) -> Result<u32, DecodeError> {
    let at = reader.position();
    let index = reader.varint_u32(what, u32::MAX)?;
    if index as usize >= len {
        return Err(DecodeError::Invalid { what, at, rule: "a place is in the table" });
    }
    Ok(index)
}

fn enumerated(reader: &mut Reader<'_>, what: &'static str, max: u8) -> Result<usize, DecodeError> {
    let at = reader.position();
    match reader.u8(what)? {
        found if found > max => Err(DecodeError::Unknown { what, at, found: found.into() }),
        found => Ok(found.into()),
    }
}

fn boolean(reader: &mut Reader<'_>, what: &'static str) -> Result<bool, DecodeError> {
    Ok(enumerated(reader, what, 1)? == 1)
}

fn positive(reader: &mut Reader<'_>, what: &'static str, max: u64) -> Result<u32, DecodeError> {
    let at = reader.position();
    match reader.varint(what, max)? {
        0 => Err(DecodeError::Invalid { what, at, rule: "one at least" }),
        count => Ok(u32::try_from(count).expect("limits of counts are below 2^32")),
    }
}

fn one_or_more(
    reader: &mut Reader<'_>,
    what: &'static str,
    max: usize,
    item_bytes_min: usize,
) -> Result<usize, DecodeError> {
    let at = reader.position();
    match reader.count(what, max, item_bytes_min)? {
        0 => Err(DecodeError::Invalid { what, at, rule: "one at least" }),
        count => Ok(count),
    }
}

fn changeset(reader: &mut Reader<'_>, tables: &Tables<'_>) -> Result<ChangesetAt, DecodeError> {
    index(reader, "changeset", tables.refs + 1).map(ChangesetAt)
}

fn unit_offset(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    let offset = reader.varint("unit offset", INSERTED_UNITS_MAX - 1)?;
    Ok(u32::try_from(offset).expect("limited below 2^32"))
}

fn unit(reader: &mut Reader<'_>, tables: &Tables<'_>) -> Result<UnitAt, DecodeError> {
    Ok(UnitAt { changeset: changeset(reader, tables)?, offset: unit_offset(reader)? })
}

fn maybe_unit(reader: &mut Reader<'_>, tables: &Tables<'_>) -> Result<Option<UnitAt>, DecodeError> {
    match index(reader, "changeset", tables.refs + 2)? {
        0 => Ok(None),
        changeset => Ok(Some(UnitAt { changeset: ChangesetAt(changeset - 1), offset: unit_offset(reader)? })),
    }
}

fn spans(reader: &mut Reader<'_>, tables: &Tables<'_>) -> Result<Vec<Span>, DecodeError> {
    let count = one_or_more(reader, "spans", CHANGESET_BYTES_MAX, 3)?;
    let span = |_| {
        let first = unit(reader, tables)?;
        let len = positive(reader, "span length", INSERTED_UNITS_MAX - u64::from(first.offset))?;
        Ok(Span { first, len })
    };
    (0..count).map(span).collect()
}

fn op_index(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    let index = reader.varint("op index", OPS_MAX as u64 - 1)?;
    Ok(u32::try_from(index).expect("limited below 2^32"))
}

fn op_span(reader: &mut Reader<'_>, tables: &Tables<'_>) -> Result<OpSpan, DecodeError> {
    let changeset = changeset(reader, tables)?;
    let first = op_index(reader)?;
    Ok(OpSpan { changeset, first, count: positive(reader, "op count", OPS_MAX as u64 - u64::from(first))? })
}

fn anchor(reader: &mut Reader<'_>, tables: &Tables<'_>) -> Result<Anchor, DecodeError> {
    Ok(match enumerated(reader, "anchor", 3)? {
        0 => Anchor::Start,
        1 => Anchor::End,
        2 => Anchor::Before(unit(reader, tables)?),
        _ => Anchor::After(unit(reader, tables)?),
    })
}

fn account(reader: &mut Reader<'_>, tables: &Tables<'_>) -> Result<Account, DecodeError> {
    Ok(match enumerated(reader, "account", 1)? {
        0 => Account::Member(MemberId(reader.array("account member")?)),
        _ => Account::Named(NameAt(index(reader, "name", tables.names.len())?)),
    })
}

fn target(reader: &mut Reader<'_>) -> Result<Target, DecodeError> {
    Ok(match enumerated(reader, "target", 1)? {
        0 => Target::Changeset(ChangesetId(reader.array("target changeset")?)),
        _ => Target::Op(ChangesetId(reader.array("target changeset")?), op_index(reader)?),
    })
}
