//! What tests of redactions begin with: two who write, and what is left of it in their stores.
#![allow(dead_code, reason = "each test binary uses its part")]

use super::attacker::write;
use super::common::{Node, sync};
use stemma::causal::ChangesetId;
use stemma::doc::ObjectIx;
use stemma::event::{ObjectKind, Role, Target, Value};
use stemma::replica::{RedactFault, Redacted};
use stemma::store::TailRecord;

pub fn last(node: &Node) -> ChangesetId {
    node.replica.last_write().expect("something was written")
}

pub fn redact(node: &mut Node, targets: &[Target]) -> Result<Redacted, RedactFault> {
    node.with(|replica, env| replica.redact(targets, "asked to", env))
}

pub fn erase(node: &mut Node, id: ChangesetId) -> Redacted {
    redact(node, &[Target::Changeset(id)]).expect("it may")
}

pub fn object(node: &mut Node, name: &str, kind: ObjectKind) -> ObjectIx {
    node.replica.object(name, kind).expect("an object")
}

pub fn text(node: &mut Node) -> String {
    let notes = object(node, "notes", ObjectKind::Text);
    node.replica.text(notes).expect("a text").to_string()
}

pub fn type_at(node: &mut Node, at: u32, what: &str) -> ChangesetId {
    let notes = object(node, "notes", ObjectKind::Text);
    node.with(|replica, env| replica.text_insert(notes, at, what, env)).expect("in range");
    node.with(|replica, env| replica.flush(env)).expect("a write")
}

pub fn put(node: &mut Node, key: &str, value: &str) -> ChangesetId {
    let facts = object(node, "facts", ObjectKind::Map);
    node.with(|replica, env| replica.map_set(facts, key, Value::from(value), env)).expect("a writer");
    node.with(|replica, env| replica.flush(env)).expect("a write")
}

/// An owner and a writer who know of each other.
pub fn pair() -> (Node, Node) {
    let mut owner = Node::create(1);
    let mut writer = Node::join(2, &owner.invite(Role::Writer));
    write(&mut owner, "first");
    write(&mut writer, "second");
    sync(&mut owner, &mut writer);
    (owner, writer)
}

/// Somebody who comes now, and gets from a node what that has.
pub fn newcomer(seed: u64, node: &mut Node) -> Node {
    let mut newcomer = Node::join(seed, &node.invite(Role::Writer));
    let export = node.replica.export_space();
    newcomer.with(|replica, env| replica.import_space(&export, env)).expect("an export");
    newcomer.settle();
    newcomer
}

/// How many rows of a store have a content of one of these changesets.
pub fn contents(node: &Node, ids: &[ChangesetId]) -> usize {
    let rows =
        node.disk.tail.iter().flat_map(|record| TailRecord::decode(record).expect("it decodes").0.rows);
    rows.filter(|row| ids.contains(&row.id()) && row.has_content()).count()
}

/// The content of a changeset as it is stored, sealed.
pub fn sealed(node: &Node, id: ChangesetId) -> Vec<u8> {
    let rows =
        node.disk.tail.iter().flat_map(|record| TailRecord::decode(record).expect("it decodes").0.rows);
    let mut found = rows.filter(|row| row.id() == id).filter_map(|row| row.content().map(<[u8]>::to_vec));
    found.next().expect("it is stored")
}

pub fn holds(node: &Node, bytes: &[u8]) -> bool {
    let has = |record: &Vec<u8>| record.windows(bytes.len()).any(|window| window == bytes);
    let Node { disk, .. } = node;
    disk.tail.iter().chain(disk.keyed.values()).chain(disk.snapshot.values()).any(has)
}

/// The devices that deleted what a redaction names, and those that may have it still.
pub fn standing(node: &Node, redacted: &Redacted) -> (Vec<u8>, usize) {
    let (redaction, erased, missing) =
        node.replica.redaction_standing(&redacted.redactions[0]).expect("it is known");
    assert_eq!(redaction.reason.as_deref(), Some("asked to"));
    (erased.iter().map(|one| one.stores).collect(), missing.len())
}
