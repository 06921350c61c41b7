//! A member who follows no rule: joined by a link like anybody, it logs in at a relay and pushes what it likes: edits, forks,
//! rows that build on nothing, that nobody can read, that it did not sign, and bytes that are no frame.

use prost::bytes::Bytes;
use stemma::causal::{ChangesetId, Hlc, MemberId};
use stemma::crypto::{AgreementKey, SigningKey};
use stemma::event::{
    Certificate, CertificateKind, Chain, Changeset, Class, Content, Draft, Invite, Login, LoginProof,
    NO_OPTIONS, NameAt, NameEntry, ObjectAt, ObjectKind, Op, Skeleton, Sort, Value, name_id, object_id,
};
use stemma::sync::{Auth, Delivery, Frame, Hello, Proof, Push, Row, Subscribe};

use super::log::id_of;
use super::relay::fill;
use super::rng::Rng;
use super::world::World;

pub struct Intruder {
    invite: Invite,
    member: SigningKey,
    actor: SigningKey,
    chain: Chain,
    random: Rng,
    /// What it read.
    heard: Vec<ChangesetId>,
    has_pushed: bool,
}

impl Intruder {
    pub fn join(invite: &Invite, number: u8, mut random: Rng) -> Self {
        let token = invite.encode().expect("it fits into a token");
        let invite = Invite::decode(&token).expect("it was encoded here");
        let space = invite.genesis().id();
        let mut seed = [number; 32];
        fill(&mut random, &mut seed);
        let member = SigningKey::from_seed(&seed);
        let [device, actor] = [1, 2].map(|at| {
            seed[0] ^= at;
            SigningKey::from_seed(&seed)
        });
        let x25519 = AgreementKey::from_seed(&seed).public().to_bytes();
        let certificate = |issuer: &SigningKey, subject: &SigningKey, kind| {
            Certificate::issue(issuer, space, subject.public(), kind)
        };
        let chain = invite
            .chain()
            .extended(certificate(invite.secret(), &member, CertificateKind::Member))
            .extended(certificate(&member, &device, CertificateKind::Device { x25519 }))
            .extended(certificate(&device, &actor, CertificateKind::Actor));
        Self { invite, member, actor, chain, random, heard: Vec::new(), has_pushed: false }
    }

    pub fn member(&self) -> MemberId {
        MemberId(self.member.public())
    }

    fn log_in(&mut self, hello: &Hello) -> [Frame; 2] {
        let mut client_nonce = [0; 16];
        fill(&mut self.random, &mut client_nonce);
        let (genesis, chain) = (self.invite.genesis().as_bytes(), self.chain.encode());
        let login = Login {
            relay: &hello.relay_key,
            nonce: &hello.nonce,
            client_nonce: &client_nonce,
            proofs: &[LoginProof { genesis, chain: &chain }],
        };
        let signature = login.sign(&self.actor).0;
        let proofs = vec![Proof { genesis: genesis.to_vec().into(), chain: chain.into(), signature }];
        let auth = Auth { version: 1, client_nonce, proofs, token: String::new() };
        let space = self.invite.genesis().id();
        [
            Frame::Auth(auth),
            Frame::Subscribe(Subscribe {
                space,
                from: None,
                own: Vec::new(),
                credit: 1 << 20,
                heads: None,
                held: 0,
                look: false,
            }),
        ]
    }

    fn seal(
        &self,
        class: Class,
        seq: u32,
        prev: Option<ChangesetId>,
        deps: &[ChangesetId],
        body: &Body,
    ) -> Changeset {
        let draft = Draft {
            space: self.invite.genesis().id(),
            class,
            seq,
            prev,
            deps,
            chain: (seq == 0).then_some(&self.chain),
            redacts: &[],
            ops_root: None,
            skeleton: &body.0,
            content: Some(&body.1),
        };
        draft.seal(&self.actor, self.invite.keys().current().expect("an epoch"), &[9; 32]).expect("small")
    }

    /// Writes a key of the map that all use.
    fn edit(&self, value: &str, deps: usize) -> Body {
        let names = self.invite.keys().names();
        let skeleton = Skeleton {
            hlc: Hlc { ms: 1_900_000_000_000, counter: 0 },
            objects: vec![(object_id(names, ObjectKind::Map, NO_OPTIONS, "facts"), ObjectKind::Map)],
            names: vec![name_id(names, Sort::MapKey, b"intruder")],
            ops: vec![Op::MapSet { object: ObjectAt(0), key: NameAt(0) }],
            ..Skeleton::default()
        };
        let entries = vec![
            NameEntry::Object { kind: 1, options: NO_OPTIONS.to_vec(), name: "facts".to_owned() },
            NameEntry::Name { sort: Sort::MapKey as u8, clear: b"intruder".to_vec() },
        ];
        let content = Content { names: entries, values: vec![Value::from(value)], ..Content::default() };
        (skeleton.encode(deps), content.encode())
    }

    /// What it pushes.
    fn rows(&mut self) -> Vec<Row> {
        let first = self.seal(Class::Data, 0, None, &[], &self.edit("first", 0));
        let mut rows = vec![row(&first)];
        // Five with one number.
        let forks: Vec<Changeset> = (0..5)
            .map(|n| self.seal(Class::Data, 1, Some(first.id()), &[], &self.edit(&format!("fork {n}"), 0)))
            .collect();
        let mut tip = forks[0].id();
        for (fork, _) in forks.iter().zip(0..self.random.below(6)) {
            rows.push(row(fork));
            tip = fork.id();
        }
        let mut seq = u32::from(rows.len() > 1) + 1;
        let mut prev = if rows.len() > 1 { tip } else { first.id() };
        for _ in 0..self.random.below(5) {
            let mut deps: Vec<ChangesetId> =
                self.heard.iter().copied().filter(|_| self.random.chance(10)).collect();
            deps.truncate(3);
            let mut class = Class::Data;
            let mut body = self.edit("more", deps.len());
            match self.random.below(6) {
                // Builds on something that is nowhere.
                0 => {
                    deps = vec![ChangesetId([self.random.below(255) as u8; 32])];
                    body = self.edit("orphan", 1);
                }
                // Nobody can read it.
                1 => body.0 = vec![0xff; 40],
                2 => body.1 = vec![0xff; 40],
                3 => class = Class::Control,
                _ => {}
            }
            deps.sort();
            deps.dedup();
            let changeset = self.seal(class, seq, Some(prev), &deps, &body);
            (seq, prev) = (seq + 1, changeset.id());
            rows.push(row(&changeset));
        }
        // One that it did not sign.
        if self.random.chance(50) {
            let mut forged = row(&self.seal(Class::Data, seq, Some(prev), &[], &self.edit("forged", 0)));
            forged.signature[5] ^= 1;
            rows.push(forged);
        }
        rows
    }
}

impl World {
    pub fn intruder_hears(&mut self, at: usize, conn: u32, frame: &Bytes) {
        let Ok(Some(frame)) = Frame::decode(frame) else { return };
        let intruder = &mut self.intruders[at];
        let space = intruder.invite.genesis().id();
        match frame {
            Frame::Hello(hello) => {
                let frames = intruder.log_in(&hello);
                frames.into_iter().for_each(|frame| self.send(conn, 0, frame.encode()));
            }
            Frame::Batch(batch) => {
                let ids = batch.rows.iter().map(|row| match row {
                    Delivery::Row(row) => id_of(row),
                    Delivery::Own(id) => *id,
                });
                intruder.heard.extend(ids);
            }
            Frame::CaughtUp(_) if !std::mem::replace(&mut intruder.has_pushed, true) => {
                let rows = intruder.rows();
                let babbles = intruder.random.chance(30);
                let (_, limit) = (space, self.plan.setup.push_rows as usize);
                for (push_id, rows) in (1..).zip(rows.chunks(limit.max(1))) {
                    let frame = Frame::Push(Push { push_id, space, rows: rows.to_vec() });
                    self.send(conn, 0, frame.encode());
                }
                if babbles {
                    let mut bytes = vec![0; 40];
                    fill(&mut self.intruders[at].random, &mut bytes);
                    self.send(conn, 0, bytes.into());
                }
            }
            _ => {}
        }
    }
}

/// A skeleton and a content.
type Body = (Vec<u8>, Vec<u8>);

fn row(changeset: &Changeset) -> Row {
    let signed = changeset.signed();
    Row {
        header: signed.header().as_bytes().to_vec().into(),
        signature: signed.signature().0,
        skeleton: signed.skeleton().expect("just sealed").to_vec().into(),
        content: signed.content().map(|content| content.to_vec().into()),
    }
}
