//! A member who follows no rule: joined by a link like anybody, it signs what it likes. And a world with one in it.
#![allow(dead_code, reason = "each test binary uses its part")]

use super::common::{Node, assert_same, sync};
use stemma::causal::{ChangesetId, Hlc, MemberId, NameId, ObjectId};
use stemma::codec::Writer;
use stemma::crypto::{AgreementKey, SigningKey, Tag, hash};
use stemma::event::{
    Certificate, CertificateKind, Chain, Changeset, Class, Content, Draft, Fate, Invite, NO_OPTIONS, NameAt,
    NameEntry, ObjectAt, ObjectKind, Op, OpContent, Role, SignedChangeset, Skeleton, Sort, Value, name_id,
    object_id,
};
use stemma::replica::{HistoryFilter, HoldReason, ImportReport};

/// The member and its device.
pub struct Attacker {
    pub invite: Invite,
    pub chain: Chain,
    pub device: SigningKey,
}

/// One of its actors, and where its chain ends.
#[derive(Clone)]
pub struct Lane {
    pub key: SigningKey,
    pub chain: Chain,
    pub seq: u32,
    pub prev: Option<ChangesetId>,
}

impl Attacker {
    pub fn join(token: &str) -> Self {
        Self::join_as(Invite::decode(token).expect("the token decodes"), [0xa1; 32])
    }

    /// One of many.
    pub fn join_as(invite: Invite, seed: [u8; 32]) -> Self {
        let (member, device) = (SigningKey::from_seed(&seed), SigningKey::from_seed(&[0xa2; 32]));
        let space = invite.genesis().id();
        let x25519 = AgreementKey::from_seed(&[0xa3; 32]).public().to_bytes();
        let certificate = |issuer: &SigningKey, subject: &SigningKey, kind| {
            Certificate::issue(issuer, space, subject.public(), kind)
        };
        let chain = invite
            .chain()
            .extended(certificate(invite.secret(), &member, CertificateKind::Member))
            .extended(certificate(&member, &device, CertificateKind::Device { x25519 }));
        Self { invite, chain, device }
    }

    pub fn member(&self) -> MemberId {
        MemberId(*self.chain.certificates().iter().nth_back(1).expect("a member").subject())
    }

    pub fn lane(&self, n: u8) -> Lane {
        self.lane_of([n; 32])
    }

    pub fn lane_of(&self, seed: [u8; 32]) -> Lane {
        let key = SigningKey::from_seed(&seed);
        let space = self.invite.genesis().id();
        let certificate = Certificate::issue(&self.device, space, key.public(), CertificateKind::Actor);
        Lane { key, chain: self.chain.extended(certificate), seq: 0, prev: None }
    }

    pub fn key(&self, name: &str) -> NameId {
        name_id(self.invite.keys().names(), Sort::MapKey, name.as_bytes())
    }

    pub fn object(&self, kind: ObjectKind, name: &str) -> ObjectId {
        object_id(self.invite.keys().names(), kind, NO_OPTIONS, name)
    }

    /// Writes `value` under a key of the map `facts`.
    pub fn set(&self, key: &str, value: &str, ms: u64) -> (Skeleton, Content) {
        let skeleton = Skeleton {
            hlc: Hlc { ms, counter: 0 },
            objects: vec![(self.object(ObjectKind::Map, "facts"), ObjectKind::Map)],
            names: vec![self.key(key)],
            ops: vec![Op::MapSet { object: ObjectAt(0), key: NameAt(0) }],
            ..Skeleton::default()
        };
        let names = vec![
            NameEntry::Object { kind: 1, options: NO_OPTIONS.to_vec(), name: "facts".to_owned() },
            NameEntry::Name { sort: Sort::MapKey as u8, clear: key.as_bytes().to_vec() },
        ];
        (skeleton, Content { names, values: vec![Value::from(value)], ..Content::default() })
    }

    /// Ops on the text `notes`, which inserts `text` in all.
    pub fn text(&self, ops: Vec<Op>, text: &str) -> (Skeleton, Content) {
        let objects = vec![(self.object(ObjectKind::Text, "notes"), ObjectKind::Text)];
        let skeleton = Skeleton { hlc: Hlc { ms: 5, counter: 0 }, objects, ops, ..Skeleton::default() };
        (skeleton, Content { text: text.to_owned(), ..Content::default() })
    }

    /// Signs bodies as they are.
    pub fn seal(
        &self,
        lane: &Lane,
        deps: &[ChangesetId],
        skeleton: &[u8],
        content: Option<&[u8]>,
    ) -> Changeset {
        self.seal_as(Class::Data, lane, deps, skeleton, content)
    }

    /// The same in any class.
    pub fn seal_as(
        &self,
        class: Class,
        lane: &Lane,
        deps: &[ChangesetId],
        skeleton: &[u8],
        content: Option<&[u8]>,
    ) -> Changeset {
        let draft = Draft {
            space: self.invite.genesis().id(),
            class,
            seq: lane.seq,
            prev: lane.prev,
            deps,
            chain: (lane.seq == 0).then_some(&lane.chain),
            redacts: &[],
            ops_root: None,
            skeleton,
            content,
        };
        draft.seal(&lane.key, self.invite.keys().current().expect("an epoch"), &[9; 32]).expect("small")
    }

    /// Signs the next changeset of a lane.
    pub fn next(&self, lane: &mut Lane, deps: &[ChangesetId], body: &(Skeleton, Content)) -> Changeset {
        let (skeleton, content) = (body.0.encode(deps.len()), body.1.encode());
        let changeset = self.seal(lane, deps, &skeleton, Some(&content));
        (lane.seq, lane.prev) = (lane.seq + 1, Some(changeset.id()));
        changeset
    }

    /// Says something of class policy or private as the next changeset of a lane; each word has a reason.
    pub fn say(&self, class: Class, lane: &mut Lane, deps: &[ChangesetId], ops: Vec<Op>) -> Changeset {
        let takes = |op: &&Op| op.content() != OpContent::Nothing;
        let values = ops.iter().filter(takes).map(|_| Value::from("because")).collect();
        let skeleton = Skeleton { hlc: Hlc { ms: 5, counter: 0 }, ops, ..Skeleton::default() };
        let content = Content { values, ..Content::default() };
        let body = (skeleton.encode(deps.len()), content.encode());
        let changeset = self.seal_as(class, lane, deps, &body.0, Some(&body.1));
        (lane.seq, lane.prev) = (lane.seq + 1, Some(changeset.id()));
        changeset
    }

    /// Hands rows to a replica, in this order.
    pub fn give(&self, node: &mut Node, rows: &[Vec<u8>]) -> ImportReport {
        let mut export = Writer::new();
        export.raw(b"stemma-x").u8(1).bytes(self.invite.genesis().as_bytes()).varint(rows.len() as u64);
        rows.iter().for_each(|row| {
            export.bytes(row);
        });
        let export = export.into_bytes();
        let report = node.with(|replica, env| replica.import_space(&export, env)).expect("an export");
        node.settle();
        report
    }
}

/// The row of a changeset with other bytes in its header, signed anew: the lane's next.
pub fn resigned(lane: &mut Lane, changeset: &Changeset, alter: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut header = changeset.header().as_bytes().to_vec();
    alter(&mut header);
    let id = hash(Tag::CHANGESET_ID, &[&header]);
    lane.prev = Some(ChangesetId(id.0));
    let signature = lane.key.sign(Tag::CHANGESET_SIGNATURE, &[&id.0]).0;
    row(&header, &signature, changeset.signed().skeleton(), changeset.signed().content())
}

/// A row of any parts.
pub fn row(header: &[u8], signature: &[u8; 64], skeleton: Option<&[u8]>, content: Option<&[u8]>) -> Vec<u8> {
    let mut out = Writer::new();
    out.u8(2 * u8::from(skeleton.is_some()) + u8::from(content.is_some())).bytes(header).raw(signature);
    out.raw(skeleton.unwrap_or_default()).raw(content.unwrap_or_default());
    out.into_bytes()
}

pub fn encoded(changeset: &Changeset) -> Vec<u8> {
    changeset.signed().encode()
}

/// The same row with a signature that is not valid.
pub fn badly_signed(signed: &SignedChangeset) -> Vec<u8> {
    let mut signature = signed.signature().0;
    signature[3] ^= 1;
    row(signed.header().as_bytes(), &signature, signed.skeleton(), signed.content())
}

/// Two honest replicas and an attacker in one space, with the text `notes` and the map `facts` in it.
pub struct World {
    pub a: Node,
    pub b: Node,
    pub attacker: Attacker,
    /// The changeset that is there from the start: `hello` in `notes`.
    pub first: ChangesetId,
}

impl World {
    pub fn new() -> Self {
        Self::with_role(Role::Writer)
    }

    pub fn with_role(role: Role) -> Self {
        let mut a = Node::create(1);
        let mut b = Node::join(2, &a.invite(Role::Writer));
        let attacker = Attacker::join(&a.invite(role));
        let notes = a.replica.object("notes", ObjectKind::Text).expect("a text");
        a.with(|replica, env| replica.text_insert(notes, 0, "hello", env)).expect("in range");
        let first = a.with(|replica, env| replica.flush(env)).expect("a write");
        sync(&mut a, &mut b);
        Self { a, b, attacker, first }
    }

    /// One replica gets the rows in this order, the other one reversed. Then both write, meet, and agree; so do their
    /// reopened selves and whoever comes later.
    pub fn agree(mut self, rows: &[Vec<u8>]) -> Self {
        let reversed: Vec<Vec<u8>> = rows.iter().rev().cloned().collect();
        self.attacker.give(&mut self.a, rows);
        self.attacker.give(&mut self.b, &reversed);
        self.attacker.give(&mut self.a, &reversed);
        self.attacker.give(&mut self.b, rows);
        write(&mut self.a, "from a");
        write(&mut self.b, "from b");
        sync(&mut self.a, &mut self.b);
        assert_same(&self.a, &self.b);
        assert_eq!(read(&mut self.a, "from a"), Some(Value::from("here")));
        assert_eq!(read(&mut self.a, "from b"), Some(Value::from("here")));
        for node in [&self.a, &self.b] {
            node.replica.dbg_check();
        }
        let mut newcomer = Node::join(3, &self.a.invite(Role::Writer));
        let export = self.b.replica.export_space();
        newcomer.with(|replica, env| replica.import_space(&export, env)).expect("an export");
        newcomer.settle();
        assert_same(&newcomer, &self.a);
        let again = self.a.reopen();
        assert_same(&again, &self.b);
        assert_eq!(again.replica.stats().inert, self.b.replica.stats().inert);
        Self { a: again, ..self }
    }

    pub fn fate(&self, id: ChangesetId) -> Option<Fate> {
        let history =
            self.a.replica.history(&HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() });
        history.into_iter().find(|summary| summary.id == id).map(|summary| summary.fate)
    }

    /// The reason a changeset waits for; none if it does not wait.
    pub fn held(&self, id: ChangesetId) -> Option<Option<HoldReason>> {
        let pending = self.a.replica.pending();
        pending.into_iter().find(|(waiting, _)| *waiting == id).map(|(_, reason)| reason)
    }
}

pub fn write(node: &mut Node, key: &str) {
    let facts = node.replica.object("facts", ObjectKind::Map).expect("a map");
    node.with(|replica, env| replica.map_set(facts, key, Value::from("here"), env)).expect("a writer");
    node.with(|replica, env| replica.flush(env));
}

pub fn read(node: &mut Node, key: &str) -> Option<Value> {
    let facts = node.replica.object("facts", ObjectKind::Map).expect("a map");
    node.replica.map_get(facts, key).cloned()
}

pub fn notes(node: &mut Node) -> String {
    let notes = node.replica.object("notes", ObjectKind::Text).expect("a text");
    node.replica.text(notes).expect("a text").to_string()
}

pub fn id_of(row: &[u8]) -> ChangesetId {
    SignedChangeset::decode(row).expect("it decodes").id()
}

/// Where fields of a header with a one-byte seq stand.
pub const SUITE: usize = 1;
pub const CLASS: usize = 2;
pub const FLAGS: usize = 3;
pub const DEP: usize = 102;
