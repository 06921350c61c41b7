//! A member who follows no rule: joined by a link like anybody, it signs what it likes.
#![allow(dead_code, reason = "each test binary uses its part")]

use super::common::Node;
use stemma::causal::{ChangesetId, Hlc, NameId, ObjectId};
use stemma::codec::Writer;
use stemma::crypto::{AgreementKey, SigningKey, Tag, hash};
use stemma::event::{
    Certificate, CertificateKind, Chain, Changeset, Class, Content, Draft, Invite, NO_OPTIONS, NameAt, NameEntry,
    ObjectAt, ObjectKind, Op, SignedChangeset, Skeleton, Sort, Value, name_id, object_id,
};
use stemma::replica::ImportReport;

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
        let invite = Invite::decode(token).expect("the token decodes");
        let (member, device) = (SigningKey::from_seed(&[0xa1; 32]), SigningKey::from_seed(&[0xa2; 32]));
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

    pub fn lane(&self, n: u8) -> Lane {
        let key = SigningKey::from_seed(&[n; 32]);
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
        let draft = Draft {
            space: self.invite.genesis().id(),
            class: Class::Data,
            seq: lane.seq,
            prev: lane.prev,
            deps,
            chain: (lane.seq == 0).then_some(&lane.chain),
            redacts: &[],
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
