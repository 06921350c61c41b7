//! What was decoded, as JSON: ids and bytes in hex, numbers that may pass 2^53 as decimal strings.

use crate::fixture::hex;
use serde_json::{Value as Json, json};
use std::num::NonZeroU64;
use stemma::event::{
    Accepted, Account, Anchor, Author, BanScope, BanSubject, CertificateKind, ChangesetRef, Content, Header, InviteTerms,
    NameEntry, Op, Role, SegmentRef, Skeleton, Span, Target, UnitAt, Value, VerifiedChain,
};

pub fn role(role: Role) -> Json {
    json!(match role {
        Role::Reader => "reader",
        Role::Writer => "writer",
        Role::Admin => "admin",
        Role::Owner => "owner",
    })
}

fn limit(limit: Option<NonZeroU64>) -> Json {
    json!(limit.map_or(0, NonZeroU64::get).to_string())
}

pub fn certificate_kind(kind: &CertificateKind) -> Json {
    match kind {
        CertificateKind::Grant { role: r, not_after } => {
            json!({ "kind": "grant", "role": role(*r), "not_after": limit(*not_after) })
        }
        CertificateKind::Invite { role: r, not_after, uses } => {
            json!({ "kind": "invite", "role": role(*r), "not_after": limit(*not_after), "uses": limit(*uses) })
        }
        CertificateKind::Member => json!({ "kind": "member" }),
        CertificateKind::Device { x25519 } => json!({ "kind": "device", "x25519": hex(x25519) }),
        CertificateKind::Actor => json!({ "kind": "actor" }),
    }
}

pub fn terms(terms: &InviteTerms) -> Json {
    let InviteTerms { key, role: r, not_after, uses } = terms;
    json!({ "key": hex(key), "role": role(*r), "not_after": limit(*not_after), "uses": limit(*uses) })
}

pub fn verified(chain: &VerifiedChain) -> Json {
    json!({
        "role": role(chain.role),
        "not_after": limit(chain.not_after),
        "invite": chain.invite.as_ref().map(terms),
        "member": chain.member.map(|member| hex(&member.0)),
        "device": chain.device.map(|device| json!({ "key": hex(&device.key), "x25519": hex(&device.agreement.to_bytes()) })),
        "actor": chain.actor.map(|actor| hex(&actor.0)),
    })
}

pub fn author(author: &Author) -> Json {
    let Author { role, member, device, actor, not_after, invite } = *author;
    verified(&VerifiedChain { role, not_after, invite, member: Some(member), device: Some(device), actor: Some(actor) })
}

pub fn header(header: &Header) -> Json {
    let segment = |segment: SegmentRef| json!({ "len": segment.len, "hash": hex(&segment.hash.0) });
    json!({
        "id": hex(&header.id().0),
        "class": header.class().map(|class| class as u8).ok(),
        "space": hex(&header.space().0),
        "actor": hex(&header.actor().0),
        "seq": header.seq(),
        "prev": header.prev().map(|prev| hex(&prev.0)),
        "deps": header.deps().iter().map(|dep| hex(&dep.0)).collect::<Vec<_>>(),
        "kid": hex(&header.kid().0),
        "skeleton": segment(header.skeleton()),
        "content": header.content().map(segment),
        "redacts": header.redacts().iter().map(|target| hex(&target.0)).collect::<Vec<_>>(),
        "ops_root": header.ops_root().map(|root| hex(&root.0)),
    })
}

pub fn value(source: &Value) -> Json {
    match source {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Number(number) => {
            let double = number.get();
            let safe = double.fract() == 0.0
                && double.abs() < 9_007_199_254_740_992.0
                && !(double == 0.0 && double.is_sign_negative());
            if safe {
                json!({ "int": (double as i64).to_string() })
            } else {
                json!({ "double": hex(&double.to_le_bytes()) })
            }
        }
        Value::String(string) => json!(string),
        Value::Bytes(bytes) => json!({ "bytes": hex(bytes) }),
        Value::Array(items) => Json::Array(items.iter().map(value).collect()),
        Value::Object(entries) => {
            json!({ "object": entries.iter().map(|(key, item)| json!([key, value(item)])).collect::<Vec<_>>() })
        }
        Value::BigInt(integer) => {
            let sign = if integer.is_negative() { "-" } else { "" };
            let magnitude = if integer.is_zero() { "00".to_owned() } else { hex(integer.magnitude()) };
            json!({ "bigint": format!("{sign}0x{magnitude}") })
        }
    }
}

pub fn skeleton(skeleton: &Skeleton) -> Json {
    let changeset_ref = |changeset: &ChangesetRef| match changeset {
        ChangesetRef::BeforePrev(steps) => json!({ "before_prev": steps }),
        ChangesetRef::BeforeDep { dep, steps } => json!({ "dep": dep, "steps": steps }),
        ChangesetRef::Id(id) => json!({ "id": hex(&id.0) }),
    };
    json!({
        "hlc_ms": skeleton.hlc.ms,
        "hlc_counter": skeleton.hlc.counter,
        "undo_group": skeleton.undo_group,
        "command": skeleton.command.map(|command| hex(&command.0)),
        "refs": skeleton.refs.iter().map(changeset_ref).collect::<Vec<_>>(),
        "objects": skeleton.objects.iter().map(|(id, kind)| json!([hex(&id.0), *kind as u8])).collect::<Vec<_>>(),
        "names": skeleton.names.iter().map(|name| hex(&name.0)).collect::<Vec<_>>(),
        "ops": skeleton.ops.iter().map(op).collect::<Vec<_>>(),
        "ext": skeleton.ext.iter().map(|(tag, value)| json!([tag, hex(value)])).collect::<Vec<_>>(),
    })
}

/// The kind, then the fields of the format's table in their order.
fn op(op: &Op) -> Json {
    let fields = match op {
        Op::MapSet { object, key: name }
        | Op::MapDelete { object, key: name }
        | Op::SetRemove { object, element: name }
        | Op::CartRemove { object, item: name }
        | Op::LedgerOpen { object, account: name } => json!([object.0, name.0]),
        Op::MapChild { object, key, kind, options } => json!([object.0, key.0, *kind as u8, hex(options)]),
        Op::MapCouple { object, group, count, present } => json!([object.0, group, count, present.to_string()]),
        Op::CounterAdd { object, amount } => json!([object.0, amount]),
        Op::CounterReset { object } => json!([object.0]),
        Op::SetAdd { object, element, has_value } => json!([object.0, element.0, u8::from(*has_value)]),
        Op::CartAdd { object, item, quantity } => json!([object.0, item.0, quantity]),
        Op::ListInsert { object, left, right, count: units } | Op::TextInsert { object, left, right, len: units } => {
            json!([object.0, left.as_ref().map(unit), right.as_ref().map(unit), units])
        }
        Op::ListDelete { object, spans } | Op::TextDelete { object, spans } => {
            json!([object.0, spans.iter().map(span).collect::<Vec<_>>()])
        }
        Op::ListMove { object, element, left, right } => {
            json!([object.0, unit(element), left.as_ref().map(unit), right.as_ref().map(unit)])
        }
        Op::TextMark { object, start, end, key, expand } => {
            let expand = u8::from(expand.before) + 2 * u8::from(expand.after);
            json!([object.0, anchor(start), anchor(end), key.0, expand])
        }
        Op::LedgerTransfer { object, from, to, amount } => {
            json!([object.0, account(from), account(to), value(&Value::BigInt(amount.clone()))["bigint"]])
        }
        Op::LedgerDispute { object, changeset, op } | Op::LedgerReverse { object, changeset, op } => {
            json!([object.0, changeset.0, op])
        }
        Op::LedgerAssign { object, asset, to } => json!([object.0, asset.0, account(to)]),
        Op::EventCreate { type_name, id } => json!([type_name.0, id.0]),
        Op::EventEmit { type_name, concerns } => {
            json!([type_name.0, concerns.iter().map(|name| name.0).collect::<Vec<_>>()])
        }
        Op::PolicyExclude { verdict, targets } => {
            json!([*verdict as u8, targets.iter().map(target).collect::<Vec<_>>()])
        }
        Op::PolicyBan { subject, scope } => {
            let (subject, id) = match subject {
                BanSubject::Member(member) => (0, member.0),
                BanSubject::Actor(actor) => (1, actor.0),
            };
            let scope = match scope {
                BanScope::Lifted => json!([0]),
                BanScope::All => json!([1]),
                BanScope::FromHere => json!([2]),
                BanScope::SinceTime(ms) => json!([3, ms]),
                BanScope::SinceChangeset(id) => json!([4, hex(&id.0)]),
            };
            json!([subject, hex(&id), scope])
        }
        Op::PolicyTrust { member, weight } => json!([hex(&member.0), weight]),
        Op::PolicyThreshold { weight } => json!([weight]),
        Op::PolicyMode { review } => json!([u8::from(*review)]),
        Op::PolicyAccept { accepted, subject } => {
            let (code, subject) = match subject {
                Accepted::Member(member) => (0, json!(hex(&member.0))),
                Accepted::Target(item) => (2, target(item)),
            };
            json!([u8::from(*accepted), code, subject])
        }
        Op::Revoke { targets } => {
            json!([targets.iter().map(|target| json!([target.changeset.0, target.first, target.count])).collect::<Vec<_>>()])
        }
        Op::Control { payload, .. } | Op::Audit { payload, .. } | Op::Skipped { payload, .. } => {
            json!([hex(payload)])
        }
    };
    json!({ "kind": op.kind(), "fields": fields })
}

fn unit(unit: &UnitAt) -> Json {
    json!([unit.changeset.0, unit.offset])
}

fn span(span: &Span) -> Json {
    json!([span.first.changeset.0, span.first.offset, span.len])
}

fn anchor(anchor: &Anchor) -> Json {
    match anchor {
        Anchor::Start => json!([0]),
        Anchor::End => json!([1]),
        Anchor::Before(at) => json!([2, unit(at)]),
        Anchor::After(at) => json!([3, unit(at)]),
    }
}

fn account(account: &Account) -> Json {
    match account {
        Account::Member(member) => json!([0, hex(&member.0)]),
        Account::Named(name) => json!([1, name.0]),
    }
}

fn target(target: &Target) -> Json {
    match target {
        Target::Changeset(id) => json!([0, hex(&id.0)]),
        Target::Op(id, index) => json!([1, hex(&id.0), index]),
    }
}

pub fn content(content: &Content, skeleton: &Skeleton) -> Json {
    let entry = |entry: &NameEntry| match entry {
        NameEntry::Object { kind, options, name } => json!({ "object": name, "kind": kind, "options": hex(options) }),
        NameEntry::Name { sort, clear } => json!({ "sort": sort, "clear": hex(clear) }),
        NameEntry::Child { parent, key, kind, options } => {
            json!({ "parent": hex(&parent.0), "key": hex(&key.0), "kind": kind, "options": hex(options) })
        }
    };
    let by_op = content
        .by_op(&skeleton.ops)
        .map(|(text, values)| json!({ "text": text, "values": values.iter().map(value).collect::<Vec<_>>() }));
    let others = content.meta.others.iter().map(|(tag, bytes)| json!([tag, hex(bytes)]));
    json!({
        "names": content.names.iter().map(entry).collect::<Vec<_>>(),
        "by_op": by_op.collect::<Vec<_>>(),
        "message": content.meta.message,
        "headers": content.meta.headers.as_ref().map(value),
        "command": content.meta.command,
        "others": others.collect::<Vec<_>>(),
    })
}
