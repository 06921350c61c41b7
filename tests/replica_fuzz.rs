//! Random lives of whole replicas: they edit, give transactions up, lose and regain disks and actors, fork, and hear of
//! each other in pieces and in any order. In the end all hold and show the same, and nothing that an honest replica made
//! is inert or waits.

mod common;
#[path = "common/plain.rs"]
mod plain;
#[path = "reference/rng.rs"]
mod rng;

use common::{Disk, Node, assert_same, sync};
use rng::{Rng, fuzz};
use std::collections::HashMap;
use stemma::causal::ChangesetId;
use stemma::codec::{BigInt, Reader, Writer};
use stemma::crdt::AccountId;
use stemma::doc::{ObjectIx, PatchBody};
use stemma::event::{Number, ObjectKind, Options, Role, Value};
use stemma::replica::{EntryStanding, Source};

const TEXTS: [&str; 2] = ["essay", "notes"];
const MAPS: [&str; 2] = ["facts", "plans"];
const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// A replica, what an application that only listens to changes would show, and an older copy of its disk.
struct Life {
    node: Option<Node>,
    mirror: HashMap<ObjectIx, Vec<u16>>,
    heard: usize,
    old_disk: Disk,
}

impl Life {
    fn new(node: Node) -> Self {
        let old_disk = node.disk.clone();
        Self { node: Some(node), mirror: HashMap::new(), heard: 0, old_disk }
    }

    fn node(&mut self) -> &mut Node {
        self.node.as_mut().expect("a life always has a node")
    }

    fn text(&mut self, name: &str) -> ObjectIx {
        self.node().replica.object(name, ObjectKind::Text).expect("a text")
    }

    fn map(&mut self, name: &str) -> ObjectIx {
        self.node().replica.object(name, ObjectKind::Map).expect("a map")
    }

    /// A counter or a set by its name, plain or with its one option.
    fn object(&mut self, kind: ObjectKind, variant: bool) -> ObjectIx {
        let options = Options { variant, ..Options::default() };
        let name = format!("{kind:?} {variant}");
        self.node().replica.object_with(&name, kind, &options).expect("a kind that is folded")
    }

    /// Counters, sets and the cart, written down.
    fn sums(&mut self) -> String {
        let mut shown = Vec::new();
        for variant in [false, true] {
            let (counter, set) =
                (self.object(ObjectKind::Counter, variant), self.object(ObjectKind::Set, variant));
            let replica = &self.node().replica;
            let elements = replica.set_elements(set);
            for (element, value) in &elements {
                assert!(replica.set_has(set, element) && replica.set_get(set, element) == *value);
            }
            shown.push(format!("{} {elements:?}", replica.counter_value(counter)));
        }
        let (cart, ledger) = (self.object(ObjectKind::Cart, false), self.object(ObjectKind::Ledger, false));
        let replica = &self.node().replica;
        shown.push(format!("{:?}", replica.cart_entries(cart)));
        let (accounts, assets) = (replica.ledger_accounts(ledger), replica.ledger_assets(ledger));
        assert_eq!(accounts.iter().map(|of| of.balance).sum::<i128>(), 0, "money only moves");
        let said = replica.ledger_entries(ledger, None, usize::MAX).into_iter();
        let said = said.filter(|entry| entry.by.standing != EntryStanding::Undone);
        shown.push(format!("{accounts:?} {assets:?} {}", said.count()));
        shown.join("\n")
    }

    /// Everything that is visible, texts by unit.
    fn shown(&mut self) -> (Vec<String>, Vec<Vec<Value>>, String) {
        let texts = TEXTS.map(|name| {
            let object = self.text(name);
            self.node().replica.text(object).expect("a text").to_string()
        });
        let mut values = Vec::new();
        for name in MAPS {
            let object = self.map(name);
            let replica = &self.node().replica;
            let keys = replica.map_keys(object);
            assert!(keys.iter().all(|key| replica.map_has(object, key)));
            for key in KEYS {
                let conflicts: Vec<Value> = replica.map_conflicts(object, key).into_iter().cloned().collect();
                let listed = keys.iter().any(|listed| listed.as_ref() == key);
                assert_eq!(listed, replica.map_get(object, key).is_some());
                values.push(replica.map_get(object, key).cloned().into_iter().chain(conflicts).collect());
            }
            values.push(vec![plain::plain(&mut self.node().replica, object)]);
        }
        (texts.to_vec(), values, self.sums())
    }

    fn edit_sum(&mut self, rng: &mut Rng) {
        let (variant, kind) = (rng.chance(50), rng.below(4));
        let element = Value::from(*rng.pick(&KEYS));
        let amount = rng.below(20) as i64 - if variant { 0 } else { 10 };
        let takes = rng.chance(30);
        let (counter, set) =
            (self.object(ObjectKind::Counter, variant), self.object(ObjectKind::Set, variant));
        let cart = self.object(ObjectKind::Cart, false);
        let ledger = self.object(ObjectKind::Ledger, false);
        let me = AccountId::Member(self.node().replica.member());
        let (account, name) = (*rng.pick(&KEYS), *rng.pick(&KEYS));
        let account = self.node().replica.account_named(account);
        self.node().with(|replica, env| match (kind, takes) {
            // Unless it is another member's.
            (3, true) => drop(replica.ledger_open(ledger, name, env)),
            (3, false) => {
                // Unless nobody opened it.
                let _ = replica.ledger_transfer(ledger, (me, account), &BigInt::from(7), Some(element), env);
                let _ = replica.ledger_assign(ledger, name, account, env);
            }
            (0, _) => replica.counter_add(counter, amount, env).expect("a writer"),
            (1, true) => drop(replica.set_delete(set, &element, env).expect("a writer")),
            (1, false) => {
                let value = (amount > 5).then_some(Value::Bool(true));
                replica.set_add(set, &element, value, env).expect("a writer");
            }
            (_, true) => drop(replica.cart_remove(cart, &element, env).expect("a writer")),
            (_, false) => replica.cart_add(cart, &element, amount | 1, env).expect("a writer"),
        });
    }

    /// What is undone and redone is as it was, if nothing arrived in between.
    fn undo(&mut self, rng: &mut Rng) {
        self.node().with(|replica, env| replica.flush(env));
        let (before, count) = (self.shown(), self.node().replica.stats().changesets);
        let can = self.node().replica.can_undo(&[]);
        let undone = self.node().with(|replica, env| replica.undo(&[], env));
        assert_eq!(can, undone);
        if !undone || rng.chance(50) {
            return;
        }
        assert!(self.node().replica.can_redo(&[]));
        assert!(self.node().with(|replica, env| replica.redo(&[], env)));
        if self.node().replica.stats().changesets == count + 2 {
            assert_eq!(self.shown(), before);
        }
    }

    /// A text in a map in a map grows, or goes as a whole.
    fn edit_child(&mut self, rng: &mut Rng) {
        let (map, none) = (self.map(MAPS[rng.below(2)]), Options::default());
        let node = self.node();
        if rng.chance(25) {
            node.with(|replica, env| replica.map_delete(map, "child", env)).expect("a writer");
            return;
        }
        let child = node.replica.map_child(map, "child", ObjectKind::Map, &none).expect("a map");
        let text = node.replica.map_child(child, "text", ObjectKind::Text, &none).expect("a text");
        node.with(|replica, env| replica.text_insert(text, 0, "child ", env)).expect("in range");
    }

    fn edit(&mut self, rng: &mut Rng) {
        if rng.chance(30) {
            return self.edit_sum(rng);
        }
        if rng.chance(15) {
            return self.edit_child(rng);
        }
        if rng.chance(40) {
            let object = self.map(MAPS[rng.below(2)]);
            let key = *rng.pick(&KEYS);
            let value = match rng.below(3) {
                0 => Value::Bool(rng.chance(50)),
                1 => Value::Number(Number::new(rng.below(100) as f64).expect("finite")),
                _ => Value::String("value".repeat(rng.below(3))),
            };
            let delete = rng.chance(25);
            self.node().with(|replica, env| match delete {
                true => drop(replica.map_delete(object, key, env).expect("a writer")),
                false => replica.map_set(object, key, value, env).expect("a writer"),
            });
            return;
        }
        let object = self.text(TEXTS[rng.below(2)]);
        let len = self.node().replica.text(object).expect("a text").len() as usize;
        let at = if rng.chance(30) { len } else { rng.below(len + 1) };
        let typed: String = (0..1 + rng.below(5)).map(|_| *rng.pick(&['x', 'y', 'é', '😀'])).collect();
        let deleted = rng.below(6).min(len - at);
        let delete = rng.chance(if len > 200 { 60 } else { 30 });
        self.node().with(|replica, env| match delete {
            true => replica.text_delete(object, at as u32, deleted as u32, env).expect("in range"),
            false => replica.text_insert(object, at as u32, &typed, env).expect("in range"),
        });
    }

    fn transact(&mut self, export: &[u8], rng: &mut Rng) {
        let message = rng.chance(50).then(|| "why".to_owned());
        let command = rng.chance(30).then(|| rng.pick(&KEYS).to_string());
        self.node().with(|replica, env| replica.begin_transact(message, None, command, env)).expect("small");
        // What is closed is sealed at any time.
        let waits = rng.chance(50);
        if !waits {
            self.node().with(|replica, env| replica.seal_closed(env));
        }
        let before = self.shown();
        let heads = self.node().replica.heads();
        for _ in 0..rng.below(6) {
            self.edit(rng);
            if rng.chance(20) {
                let (mark, shown) = (self.node().replica.mark(), self.shown());
                (0..rng.below(5)).for_each(|_| self.edit(rng));
                self.node().with(|replica, _| replica.rollback(&mark));
                assert_eq!(self.shown(), shown);
            }
            if rng.chance(10) {
                // Arrivals wait for the end of the transaction.
                self.import(export, rng);
            }
            if rng.chance(10) {
                self.node().write_commits(1);
            }
        }
        if !waits {
            assert_eq!(self.node().replica.heads(), heads);
        }
        if rng.chance(40) {
            self.node().with(|replica, env| replica.abort_transact(env));
            assert_eq!(self.node().replica.open_edits(), 0);
            // Unless something had waited for the end of the transaction.
            if self.node().replica.heads() == heads {
                assert_eq!(self.shown(), before);
            }
        } else {
            match rng.chance(50) {
                true => drop(self.node().with(|replica, env| replica.end_transact(env))),
                false => drop(self.node().with(|replica, env| replica.close_transact(env))),
            }
            assert_eq!(self.node().replica.open_edits(), 0);
        }
    }

    /// Takes in some of the rows of an export, in any order and some of them twice.
    fn import(&mut self, export: &[u8], rng: &mut Rng) {
        let partial = shuffled(export, rng);
        let report = self.node().with(|replica, env| replica.import_space(&partial, env)).expect("an export");
        assert_eq!(report.refused, 0);
        self.node().settle();
    }

    fn reopen(&mut self, rng: &mut Rng) {
        let node = self.node.take().expect("a life always has a node");
        let slow = node.slow_disk;
        let mut node = node.reopen_without_bytes(rng.chance(60));
        node.slow_disk = slow && rng.chance(50);
        if rng.chance(70) {
            node.supply();
        }
        // What a snapshot shows is not told.
        self.heard = node.changes.len();
        self.node = Some(node);
        self.mirror.clear();
        for object in (0..self.node().replica.object_count()).map(ObjectIx) {
            let text = self.node().replica.text(object).map(|text| text.to_string().encode_utf16().collect());
            self.mirror.extend(text.map(|units| (object, units)));
        }
    }

    /// Others can ask for what this replica has only in its store.
    fn whole(&mut self) {
        if !self.node().replica.is_whole() {
            self.node().supply();
        }
    }

    /// The disk is restored from an older copy, and the replica goes on as if nothing had happened.
    fn roll_back_disk(&mut self, rng: &mut Rng) {
        self.node().disk = self.old_disk.clone();
        self.reopen(rng);
    }

    fn check(&mut self) {
        let node = self.node.as_mut().expect("a life always has a node");
        node.replica.dbg_check();
        assert_eq!(node.replica.stats().inert, 0, "nothing honest is inert");
        for change in &node.changes[self.heard..] {
            if let PatchBody::Text { splices, inserted, .. } = &change.body {
                let mut units = inserted.encode_utf16();
                let mirror = self.mirror.entry(change.object).or_default();
                for [at, removed, len] in splices {
                    let (start, end) = (*at as usize, (at + removed) as usize);
                    mirror.splice(start..end, units.by_ref().take(*len as usize));
                }
                assert_eq!(units.next(), None);
            }
            assert!(
                change.source != Source::Remote || change.changeset.is_some() || node.disk.broken.is_some()
            );
        }
        self.heard = node.changes.len();
        for name in TEXTS {
            let object = self.text(name);
            let shown = self.node().replica.text(object).expect("a text").to_string();
            let heard =
                self.mirror.get(&object).map_or(String::new(), |units| String::from_utf16_lossy(units));
            assert_eq!(heard, shown, "an application that listens shows the same");
        }
    }
}

/// Some of the rows of an export, shuffled, some twice.
fn shuffled(export: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut reader = Reader::new(export);
    let head: [u8; 9] = reader.array("head").expect("an export");
    let genesis = reader.bytes("genesis", 1 << 20).expect("an export");
    let count = reader.varint("rows", u64::MAX).expect("an export");
    let rows: Vec<&[u8]> = (0..count).map(|_| reader.bytes("row", 1 << 20).expect("a row")).collect();
    let all = rng.chance(30);
    let mut some: Vec<&[u8]> = rows.iter().copied().filter(|_| all || rng.chance(50)).collect();
    (0..rows.len().min(3)).for_each(|_| some.push(rows[rng.below(rows.len())]));
    for at in (1..some.len()).rev() {
        some.swap(at, rng.below(at + 1));
    }
    let mut writer = Writer::new();
    writer.raw(&head).bytes(genesis).varint(some.len() as u64);
    some.iter().for_each(|row| {
        writer.bytes(row);
    });
    writer.into_bytes()
}

/// Two replicas talk for a while: frames pass in any order between the directions, edits happen meanwhile, and the line
/// breaks at any moment.
fn talk(a: &mut Life, b: &mut Life, rng: &mut Rng) {
    let at = [a.node().replica.attach(), b.node().replica.attach()];
    a.node().with(|replica, env| replica.opened(at[0], env));
    b.node().with(|replica, env| replica.opened(at[1], env));
    let lives = [a, b];
    let mut lines = [Vec::new(), Vec::new()];
    for _ in 0..rng.below(40) {
        for side in [0, 1] {
            let sent = std::mem::take(&mut lives[side].node().sent);
            lines[side].extend(sent.into_iter().filter(|(session, _)| *session == at[side]));
        }
        let side = rng.below(2);
        if rng.chance(10) {
            lives[side].edit(rng);
            lives[side].node().with(|replica, env| replica.flush(env));
        } else if rng.chance(20) {
            lives[side].node().write_commits(2);
        } else if !lines[side].is_empty() {
            let (_, frame) = lines[side].remove(0);
            let other = 1 - side;
            lives[other].node().with(|replica, env| replica.received(at[other], &frame, env));
            lives[other].node().settle();
        }
    }
    for side in [0, 1] {
        lives[side].node().replica.detach(at[side]);
        lives[side].node().sent.clear();
    }
}

fn two(lives: &mut [Life], rng: &mut Rng) -> (usize, usize) {
    let a = rng.below(lives.len());
    (a, (a + 1 + rng.below(lives.len() - 1)) % lives.len())
}

fn step(lives: &mut [Life], archive: &mut Vec<Vec<u8>>, rng: &mut Rng) {
    let (at, other) = two(lives, rng);
    match rng.below(100) {
        0..30 => (0..1 + rng.below(3)).for_each(|_| lives[at].edit(rng)),
        30..45 => {
            let export = lives[other].node().replica.export_space();
            archive.push(export.clone());
            lives[at].transact(&export, rng);
        }
        45..55 => drop(lives[at].node().with(|replica, env| replica.flush(env))),
        55..60 => {
            let life = lives[at].node();
            life.now_ms = if rng.chance(10) { 1 } else { life.now_ms + rng.below(3_000) as u64 };
            life.with(|replica, env| replica.tick(env));
        }
        60..72 => {
            let [a, b] = lives.get_disjoint_mut([at, other]).expect("two different ones");
            a.whole();
            b.whole();
            talk(a, b, rng);
            b.check();
        }
        72..82 => {
            lives[other].whole();
            lives[at].whole();
            let export = lives[other].node().replica.export_space();
            lives[at].import(&export, rng);
            archive.push(export);
        }
        82..86 => lives[at].reopen(rng),
        86 | 88 => lives[at].undo(rng),
        89 => lives[at].undo(rng),
        87 => {
            lives[at].node().snapshot();
        }
        90 => lives[at].old_disk = lives[at].node().disk.clone(),
        91..93 => lives[at].roll_back_disk(rng),
        93..95 => {
            let broken = lives[at].node().disk.broken.is_none();
            lives[at].node().disk.broken = broken.then_some("E_STORAGE_QUOTA");
            if !broken {
                lives[at].reopen(rng);
            }
        }
        95..97 => lives[at].node().slow_disk = true,
        _ => lives[at].node().write_commits(1 + rng.below(3)),
    }
    lives[at].check();
}

/// Everybody hears of everything that is still anywhere.
fn quiet(lives: &mut [Life], archive: &[Vec<u8>]) {
    lives.iter_mut().for_each(Life::whole);
    for export in archive {
        lives[0].node().with(|replica, env| replica.import_space(export, env)).expect("an export");
        lives[0].node().settle();
    }
    for life in lives.iter_mut() {
        life.node().slow_disk = false;
        life.node().write_commits(usize::MAX);
        life.node().with(|replica, env| replica.flush(env));
    }
    for _ in 0..3 {
        for a in 0..lives.len() {
            for b in (0..lives.len()).filter(|b| *b != a) {
                let [a, b] = lives.get_disjoint_mut([a, b]).expect("two different ones");
                sync(a.node(), b.node());
            }
        }
    }
}

fn assert_all_same(lives: &mut [Life]) -> Vec<ChangesetId> {
    let shown = lives[0].shown();
    for at in 0..lives.len() {
        lives[at].check();
        assert_same(lives[0].node.as_ref().expect("a node"), lives[at].node.as_ref().expect("a node"));
        assert_eq!(lives[at].shown(), shown);
        let stats = lives[at].node().replica.stats();
        assert_eq!((stats.inert, stats.refused), (0, 0));
        assert_eq!(lives[at].node().replica.pending(), []);
        assert_eq!(stats.changesets, lives[0].node().replica.stats().changesets);
    }
    lives[0].node().replica.heads()
}

fn round(seed: u64, steps: usize) {
    let mut rng = Rng::new(seed);
    let mut owner = Node::create(seed);
    let tokens: Vec<String> = (0..1 + rng.below(4)).map(|_| owner.invite(Role::Writer)).collect();
    let mut lives = vec![Life::new(owner)];
    lives.extend(tokens.iter().zip(1..).map(|(token, n)| Life::new(Node::join(seed + n * 1_000_003, token))));
    // Exports that were given away in pieces: the only copy of some rows once a disk is rolled back.
    let mut archive = Vec::new();
    for _ in 0..steps {
        step(&mut lives, &mut archive, &mut rng);
    }
    quiet(&mut lives, &archive);
    assert_all_same(&mut lives);
    // What was stored is all there is to know.
    for life in &mut lives {
        let stored = life.node().disk.broken.is_none() && life.node().troubles.is_empty();
        let (heads, digest, hash) = {
            let replica = &life.node().replica;
            (replica.heads(), replica.view_digest(), replica.state_hash())
        };
        life.reopen(&mut rng);
        let replica = &life.node().replica;
        if stored {
            assert_eq!((replica.heads(), replica.view_digest(), replica.state_hash()), (heads, digest, hash));
        }
    }
    quiet(&mut lives, &archive);
    let heads = assert_all_same(&mut lives);
    // And whoever comes later sees the same.
    let token = lives[0].node().invite(Role::Reader);
    let mut newcomer = Life::new(Node::join(seed + 7, &token));
    let export = lives[0].node().replica.export_space();
    newcomer.node().with(|replica, env| replica.import_space(&export, env)).expect("an export");
    newcomer.node().settle();
    assert_eq!(newcomer.node().replica.heads(), heads);
    lives.push(newcomer);
    assert_all_same(&mut lives);
}

#[test]
fn short_lives() {
    fuzz(150, |seed| round(seed, 60));
}

#[test]
fn long_lives() {
    fuzz(6, |seed| round(seed.wrapping_add(1 << 32), 400));
}
