//! Members say at random what they believe of each other, while they edit, sync, close and open. What each one hides is
//! always what the naive model says, in whatever order everything came; what is taken back is as it was, to the bit.

mod common;
#[path = "reference/policy.rs"]
mod policy;
#[path = "reference/rng.rs"]
mod rng;

use common::{Node, assert_same, sync};
use policy::Model;
use rng::{Rng, fuzz};
use std::collections::{BTreeMap, BTreeSet};
use stemma::causal::{ChangesetId, MemberId};
use stemma::codec::BigInt;
use stemma::crdt::{AccountId, Part};
use stemma::doc::PatchBody;
use stemma::event::{
    Accepted, BanScope, BanSubject, Number, ObjectKind, Op, Options, Role, Target, Value, Verdict,
};
use stemma::replica::{ChangesetSummary, HistoryFilter, PolicyFault, PolicyOf, ViewFilter};
use stemma::trust::Subject;

fn history(node: &Node) -> Vec<ChangesetSummary> {
    node.replica.history(&HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() })
}

fn edit(node: &mut Node, rng: &mut Rng) {
    let plain = Options::default();
    let value = Value::Number(Number::new(rng.below(100) as f64).expect("finite"));
    let key = *rng.pick(&["a", "b", "c"]);
    let [text, map, list, counter, set, cart] = [
        ObjectKind::Text,
        ObjectKind::Map,
        ObjectKind::List,
        ObjectKind::Counter,
        ObjectKind::Set,
        ObjectKind::Cart,
    ]
    .map(|kind| node.replica.object_with(&format!("{kind:?}"), kind, &plain).expect("a kind that is folded"));
    let len = node.replica.text(text).expect("a text").len() as usize;
    let count = node.replica.list(list).expect("a list").len() as usize;
    let at = rng.below(len + 1) as u32;
    let takes = rng.chance(30);
    if rng.chance(25) {
        return edit_ledger(node, rng);
    }
    node.with(|replica, env| match (rng.below(7), takes) {
        (0 | 1, true) => replica
            .text_delete(text, at, rng.below(len + 1 - at as usize).min(5) as u32, env)
            .expect("in range"),
        (0 | 1, false) => replica.text_insert(text, at, "words ", env).expect("in range"),
        (2, true) => drop(replica.map_delete(map, key, env).expect("a writer")),
        (2, false) => replica.map_set(map, key, value, env).expect("a writer"),
        (3, _) if takes && count > 1 => {
            replica.list_move(list, rng.below(count) as u32, rng.below(count) as u32, env).expect("in range");
        }
        (3, _) => replica.list_insert(list, rng.below(count + 1) as u32, vec![value], env).expect("in range"),
        (4, _) => replica.counter_add(counter, rng.below(9) as i64 - 4, env).expect("a writer"),
        (5, true) => drop(replica.set_delete(set, &Value::from(key), env).expect("a writer")),
        (5, false) => replica.set_add(set, &Value::from(key), None, env).expect("a writer"),
        (_, _) if rng.chance(40) => drop(replica.undo(&[], env)),
        (_, true) => drop(replica.cart_remove(cart, &Value::from(key), env).expect("a writer")),
        (_, false) => replica.cart_add(cart, &Value::from(key), 2, env).expect("a writer"),
    });
}

/// Something signed into a ledger; what is refused is not.
fn edit_ledger(node: &mut Node, rng: &mut Rng) {
    let house = node.replica.object("house", ObjectKind::Ledger).expect("a kind that is folded");
    let accounts: Vec<AccountId> = node.replica.ledger_accounts(house).iter().map(|of| of.account).collect();
    let me = AccountId::Member(node.replica.member());
    let (from, to) = match accounts.is_empty() || rng.chance(20) {
        true => (me, node.replica.account_named("pot")),
        false if rng.chance(50) => (me, *rng.pick(&accounts)),
        false => (*rng.pick(&accounts), *rng.pick(&accounts)),
    };
    let (amount, name) = (BigInt::from(1 + rng.below(50) as i128), *rng.pick(&["pot", "jar"]));
    let entries = node.replica.ledger_entries(house, None, usize::MAX);
    let entry =
        entries.get(rng.below(entries.len().max(1))).and_then(|entry| entry.by.id.0.zip(Some(entry.by.id.1)));
    let entry = entry.map(|(changeset, index)| stemma::replica::Target { changeset, index: Some(index) });
    node.with(|replica, env| match (rng.below(8), entry) {
        (0, _) => drop(replica.ledger_open(house, name, env)),
        (1, _) => drop(replica.ledger_assign(house, "boat", to, env)),
        (2, Some(entry)) => drop(replica.ledger_reverse(house, entry, None, env)),
        (3, Some(entry)) => drop(replica.ledger_dispute(house, entry, Value::from("no"), env)),
        _ => drop(replica.ledger_transfer(house, (from, to), &amount, None, env)),
    });
    let sum: i128 = node.replica.ledger_accounts(house).iter().map(|of| of.balance).sum();
    assert_eq!(sum, 0, "money only moves");
}

/// Something to say, of what anybody knows.
fn word(rng: &mut Rng, everything: &[ChangesetSummary], members: &[MemberId]) -> Op {
    let one = rng.pick(everything);
    let target = match rng.chance(50) && one.ops > 0 {
        true => Target::Op(one.id, rng.below(one.ops as usize) as u32),
        false => Target::Changeset(one.id),
    };
    let member = *rng.pick(members);
    match rng.below(16) {
        0..6 => {
            let verdict = *rng.pick(&[Verdict::Exclude, Verdict::Exclude, Verdict::Include, Verdict::None]);
            Op::PolicyExclude { verdict, targets: vec![target] }
        }
        6..10 => {
            let scope = match rng.below(6) {
                0 => BanScope::All,
                1 => BanScope::FromHere,
                2 => BanScope::SinceTime(one.time_ms),
                3 => BanScope::SinceChangeset(one.id),
                _ => BanScope::Lifted,
            };
            let subject =
                if rng.chance(40) { BanSubject::Actor(one.actor) } else { BanSubject::Member(member) };
            Op::PolicyBan { subject, scope }
        }
        10..12 => Op::PolicyTrust { member, weight: rng.below(4) as i64 - 1 },
        12 => Op::PolicyThreshold { weight: rng.below(4) as u64 },
        13 => Op::PolicyMode { review: rng.chance(40) },
        _ => {
            let subject = if rng.chance(50) { Accepted::Member(member) } else { Accepted::Target(target) };
            Op::PolicyAccept { accepted: rng.chance(70), subject }
        }
    }
}

fn check(node: &mut Node) {
    let (history, words) = (history(node), node.replica.entries());
    let model = Model::new(node.replica.member(), &history, &words);
    for one in &history {
        let is_policy = words.iter().any(|word| word.changeset == one.id);
        let hidden = (0..one.ops).filter(|index| !is_policy && model.is_hidden(one.id, *index)).count();
        assert_eq!(one.hidden as usize, hidden, "{:?} of {:?}", one.id, one.member);
    }
    node.replica.dbg_check();
    node.with(|replica, env| {
        replica.flush(env);
        let filter = ViewFilter { policy: PolicyOf::Then, ..ViewFilter::default() };
        let view = replica.view(&filter, env).expect("everything is here");
        assert_eq!(replica.view_state_hash(view).expect("open"), replica.state_hash());
        assert_eq!(replica.digest_of_view(view).expect("open"), replica.view_digest());
        replica.close_view(view);
    });
}

/// What each account of the ledger shows: itself, and its entries with all that is said of them.
fn books(node: &mut Node) -> BTreeMap<AccountId, String> {
    let house = node.replica.object("house", ObjectKind::Ledger).expect("a ledger");
    let mut books: BTreeMap<AccountId, String> = BTreeMap::new();
    for account in node.replica.ledger_accounts(house) {
        books.entry(account.account).or_default().push_str(&format!("{account:?}"));
    }
    for entry in node.replica.ledger_entries(house, None, usize::MAX) {
        for account in BTreeSet::from([entry.from, entry.to]) {
            books.entry(account).or_default().push_str(&format!("{entry:?}"));
        }
    }
    books
}

/// The accounts that were told of since the last time.
fn told(node: &mut Node) -> BTreeSet<AccountId> {
    let parts = node.changes.drain(..).filter_map(|change| match change.body {
        PatchBody::Parts(parts) => Some(parts),
        _ => None,
    });
    parts.flatten().filter_map(|part| if let Part::Account(id) = part { Some(id) } else { None }).collect()
}

/// What a preview shows is what comes of it, and what is taken back is as it was.
fn say(node: &mut Node, op: Op, publish: bool, rng: &mut Rng) {
    let before = node.with(|replica, env| {
        replica.flush(env);
        replica.state_hash()
    });
    let preview = match node.with(|replica, env| replica.preview(std::slice::from_ref(&op), env)) {
        Ok(preview) => preview,
        Err(fault) => {
            assert!(matches!(fault, PolicyFault::Oneself | PolicyFault::Index(..)));
            return;
        }
    };
    let expected = node.replica.view_state_hash(preview.view).expect("open");
    node.replica.close_view(preview.view);
    assert_eq!(node.replica.state_hash(), before, "a preview changes nothing");
    let then = books(node);
    node.changes.clear();
    let counts = history(node).iter().map(|one| one.hidden).sum::<u32>();
    let reason = rng.chance(50).then(|| Value::from("because"));
    let said = node.with(|replica, env| replica.say(vec![op.clone()], reason.as_ref(), publish, env));
    let said = said.expect("it was previewed").expect("it is one word");
    assert_eq!(node.replica.state_hash(), expected, "{op:?}");
    let now = books(node);
    let accounts: BTreeSet<AccountId> = then.keys().chain(now.keys()).copied().collect();
    let other = accounts.into_iter().filter(|account| then.get(account) != now.get(account)).collect();
    assert_eq!(
        told(node),
        other,
        "whoever listens hears of what reads otherwise, and of nothing else: {op:?}"
    );
    let now = history(node).iter().map(|one| one.hidden).sum::<u32>();
    assert_eq!(now, counts + preview.hidden - preview.shown);
    let entries = node.replica.entries();
    let last = entries.last().expect("it was said");
    assert_eq!(
        (last.changeset, last.reason.as_ref().is_some()),
        (
            said,
            reason.is_some()
                && !matches!(
                    op,
                    Op::PolicyTrust { .. }
                        | Op::PolicyThreshold { .. }
                        | Op::PolicyMode { .. }
                        | Op::PolicyAccept { .. }
                )
        )
    );
}

fn known(nodes: &[Node]) -> Vec<ChangesetSummary> {
    let mut all: Vec<ChangesetSummary> = nodes.iter().flat_map(history).collect();
    all.sort_by_key(|one| one.id);
    all.dedup_by_key(|one| one.id);
    all
}

#[test]
fn everybody_hides_what_the_model_says() {
    fuzz(12, |seed| {
        let mut rng = Rng::new(seed);
        let mut first = Node::create(seed * 10);
        let token = first.invite(Role::Writer);
        let reader = first.invite(Role::Reader);
        let mut nodes = vec![first];
        nodes.extend((1..3).map(|n| Node::join(seed * 10 + n, &token)));
        nodes.push(Node::join(seed * 10 + 3, &reader));
        let members: Vec<MemberId> = nodes.iter().map(|node| node.replica.member()).collect();
        for _ in 0..60 {
            let at = rng.below(nodes.len());
            nodes.iter_mut().for_each(|node| node.now_ms += 7);
            let is_reader = at == 3;
            match rng.below(100) {
                0..45 if !is_reader => {
                    edit(&mut nodes[at], &mut rng);
                    if rng.chance(60) {
                        nodes[at].with(|replica, env| replica.flush(env));
                    }
                }
                0..70 => {
                    let everything = known(&nodes);
                    if !everything.is_empty() {
                        let op = word(&mut rng, &everything, &members);
                        say(&mut nodes[at], op, rng.chance(75), &mut rng);
                    }
                }
                70..90 => {
                    let other = (at + 1 + rng.below(3)) % 4;
                    let [a, b] = nodes.get_disjoint_mut([at, other]).expect("two");
                    a.with(|replica, env| replica.flush(env));
                    b.with(|replica, env| replica.flush(env));
                    let then = [books(a), books(b)];
                    [&mut *a, &mut *b].into_iter().for_each(|node| node.changes.clear());
                    sync(a, b);
                    for (node, then) in [a, b].into_iter().zip(then) {
                        let (now, told) = (books(node), told(node));
                        let is_told = |account: &AccountId| {
                            told.contains(account) || then.get(account) == now.get(account)
                        };
                        assert!(now.keys().all(is_told), "nothing that arrives is kept from who listens");
                    }
                }
                _ => {
                    let mut node = nodes.remove(at);
                    node.with(|replica, env| replica.flush(env));
                    if rng.chance(60) {
                        node.snapshot();
                    }
                    nodes.insert(at, node.reopen_keeping_actor(rng.chance(70)));
                }
            }
            nodes[at].with(|replica, env| replica.flush(env));
            check(&mut nodes[at]);
        }
        for _ in 0..2 {
            for (a, b) in [(0, 1), (1, 2), (2, 3), (0, 3)] {
                let [a, b] = nodes.get_disjoint_mut([a, b]).expect("two");
                sync(a, b);
            }
        }
        for node in &mut nodes {
            check(node);
            assert_same(&node.twin(seed * 10 + 5), node);
        }
        let heads: Vec<Vec<ChangesetId>> = nodes.iter().map(|node| node.replica.heads()).collect();
        assert!(heads.iter().all(|one| *one == heads[0]), "everybody heard of everything");
        // Where nobody says anything, everybody sees the same.
        for node in &mut nodes {
            let words: Vec<Op> = node
                .replica
                .entries()
                .iter()
                .filter(|word| word.counts)
                .filter(|word| word.member == node.replica.member())
                .filter_map(|word| taken_back(&word.subject))
                .collect();
            node.with(|replica, env| replica.say(words, None, true, env)).expect("they were said");
        }
        let states: Vec<_> = nodes.iter().map(|node| node.replica.state_hash()).collect();
        assert!(states.iter().all(|one| *one == states[0]), "what was hidden is there again");
    });
}

/// The word that unsays another.
fn taken_back(subject: &Subject) -> Option<Op> {
    Some(match subject {
        Subject::Target(target) => Op::PolicyExclude { verdict: Verdict::None, targets: vec![*target] },
        Subject::Ban(subject) => Op::PolicyBan { subject: *subject, scope: BanScope::Lifted },
        Subject::Trust(member) => Op::PolicyTrust { member: *member, weight: 0 },
        Subject::Threshold => Op::PolicyThreshold { weight: 1 },
        Subject::Mode => Op::PolicyMode { review: false },
        Subject::Accept(_) => return None,
    })
}

/// A word on a subject.
fn word_on(subject: Subject, rng: &mut Rng, since: ChangesetId) -> Op {
    match subject {
        Subject::Target(target) => {
            let verdict = *rng.pick(&[Verdict::Exclude, Verdict::Include, Verdict::None]);
            Op::PolicyExclude { verdict, targets: vec![target] }
        }
        Subject::Ban(subject) => {
            let scopes =
                [BanScope::Lifted, BanScope::All, BanScope::FromHere, BanScope::SinceChangeset(since)];
            Op::PolicyBan { subject, scope: *rng.pick(&scopes) }
        }
        Subject::Trust(member) => Op::PolicyTrust { member, weight: rng.below(3) as i64 },
        Subject::Threshold => Op::PolicyThreshold { weight: 1 + rng.below(3) as u64 },
        Subject::Mode => Op::PolicyMode { review: rng.chance(50) },
        Subject::Accept(subject) => Op::PolicyAccept { accepted: rng.chance(50), subject },
    }
}

/// Two devices of a member say what comes to mind, each for itself. Whatever that was: once both have said the same of everything, what
/// they see is the same, and once all is taken back it is what it was, to the bit.
#[test]
fn every_way_to_a_policy_ends_in_the_same_state() {
    fuzz(12, |seed| {
        let mut rng = Rng::new(seed);
        let mut owner = Node::create(seed * 10);
        let token = owner.invite(Role::Writer);
        let mut others = [1, 2].map(|n| Node::join(seed * 10 + n, &token));
        for _ in 0..6 {
            for node in [&mut owner].into_iter().chain(&mut others) {
                node.now_ms += 7;
                edit(node, &mut rng);
                node.with(|replica, env| {
                    replica.event_emit("Seen", &["photo"], Value::from("x"), env).expect("a writer");
                    replica.flush(env)
                });
            }
            others.iter_mut().for_each(|other| sync(&mut owner, other));
        }
        // Their words are the same for both devices.
        for other in &mut others {
            let all = history(other);
            let target = Target::Changeset(rng.pick(&all).id);
            let said = Op::PolicyExclude { verdict: Verdict::Exclude, targets: vec![target] };
            other.with(|replica, env| replica.say(vec![said], None, true, env)).expect("a word");
            sync(&mut owner, other);
        }
        let (all, before) = (history(&owner), owner.replica.state_hash());
        let members: Vec<MemberId> = all.iter().map(|one| one.member).collect();
        let mut devices = [3, 4].map(|n| {
            let mut device = Node::create(seed * 10 + n);
            device.disk = owner.disk.clone();
            device.reopen_keeping_actor(false)
        });
        let mut subjects: Vec<Subject> = Vec::new();
        for device in &mut devices {
            for _ in 0..rng.below(12) {
                let op = word(&mut rng, &all, &members);
                if device.replica.check_words(std::slice::from_ref(&op)).is_ok() {
                    device
                        .with(|replica, env| replica.say(vec![op], None, rng.chance(50), env))
                        .expect("a word");
                }
            }
            let mine =
                device.replica.entries().into_iter().filter(|word| word.member == device.replica.member());
            for word in mine {
                if !subjects.contains(&word.subject) {
                    subjects.push(word.subject);
                }
            }
        }
        let since = rng.pick(&all).id;
        let last: Vec<Op> = subjects.iter().map(|subject| word_on(*subject, &mut rng, since)).collect();
        let none: Vec<Op> = subjects
            .iter()
            .map(|subject| match subject {
                Subject::Accept(subject) => Op::PolicyAccept { accepted: false, subject: *subject },
                subject => taken_back(subject).expect("it can be unsaid"),
            })
            .collect();
        let hidden = |node: &Node| -> Vec<u32> {
            let now = history(node);
            all.iter()
                .map(|one| now.iter().find(|now| now.id == one.id).expect("it is here").hidden)
                .collect()
        };
        for words in [last, none] {
            for device in &mut devices {
                // In whatever order.
                let mut words = words.clone();
                (1..words.len()).for_each(|at| words.swap(at, rng.below(at + 1)));
                device.now_ms += 1_000;
                device.with(|replica, env| replica.say(words, None, true, env)).expect("they can be said");
                device.replica.dbg_check();
            }
            let [a, b] = &devices;
            assert_eq!(a.replica.state_hash(), b.replica.state_hash());
            assert_eq!(hidden(a), hidden(b));
        }
        assert_eq!(devices[0].replica.state_hash(), before, "as if nothing had been said");
        let [a, b] = &mut devices;
        sync(a, b);
        assert_same(a, b);
        assert_eq!(a.replica.state_hash(), before);
    });
}
