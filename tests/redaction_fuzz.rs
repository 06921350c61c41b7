//! Random histories of every kind of object, with redactions, undo, snapshots and restarts: whoever had the bytes and whoever never
//! got them agree.

#[path = "common/attacker.rs"]
mod attacker;
mod common;
#[path = "common/erasing.rs"]
mod erasing;
#[path = "reference/rng.rs"]
mod rng;

use common::{Node, assert_same, sync};
use erasing::{holds, newcomer, object, pair, redact};
use rng::{Rng, fuzz};
use stemma::causal::ChangesetId;
use stemma::codec::BigInt;
use stemma::crdt::AccountId;
use stemma::event::{Expand, ObjectKind, Target, Value};
use stemma::replica::HistoryFilter;
use stemma::store::TailRecord;

/// One edit of any kind.
fn edit(node: &mut Node, rng: &mut Rng) {
    let word: Value = ["a", "bb", "ccc"][rng.below(3)].into();
    let kinds = [
        ("facts", ObjectKind::Map),
        ("notes", ObjectKind::Text),
        ("todo", ObjectKind::List),
        ("tags", ObjectKind::Set),
        ("basket", ObjectKind::Cart),
        ("count", ObjectKind::Counter),
        ("house", ObjectKind::Ledger),
    ];
    let [facts, notes, todo, tags, basket, count, house] = kinds.map(|(name, kind)| object(node, name, kind));
    let me = AccountId::Member(node.replica.member());
    let number = rng.below(1_000) as u32;
    let pot = node.replica.account_named("pot");
    node.with(|replica, env| {
        let len = replica.text(notes).map_or(0, |text| text.len());
        let items = replica.list(todo).map_or(0, |list| list.len());
        match number % 14 {
            0 | 1 => replica.map_set(facts, ["x", "y"][number as usize % 2], word, env).expect("a map"),
            2 => drop(replica.map_delete(facts, "x", env).expect("a map")),
            3 | 4 => replica.text_insert(notes, number % (len + 1), "some", env).expect("in range"),
            5 if len > 1 => replica.text_delete(notes, number % (len - 1), 1, env).expect("in range"),
            6 | 5 if len > 2 => {
                let range = number % (len - 2)..len;
                let expand = Expand { before: false, after: number.is_multiple_of(3) };
                replica.text_mark(notes, range, ("bold", word), Some(expand), env).expect("in range");
            }
            7 | 8 => replica.list_insert(todo, number % (items + 1), vec![word], env).expect("in range"),
            9 if items > 1 => {
                replica.list_move(todo, number % items, (number + 1) % items, env).expect("in range")
            }
            10 => replica
                .set_add(tags, &word, number.is_multiple_of(2).then(|| "v".into()), env)
                .expect("a set"),
            11 => replica.cart_add(basket, &word, 1, env).expect("a cart"),
            12 if replica.is_account(house, &pot) => {
                let memo = number.is_multiple_of(2).then_some(word);
                replica
                    .ledger_transfer(house, (me, pot), &BigInt::from(1), memo, env)
                    .expect("it can be paid");
            }
            12 => drop(replica.ledger_open(house, "pot", env).expect("it is free")),
            13 => replica.event_emit("fact", &["p1"], word, env).expect("an event"),
            _ => replica.counter_add(count, 1, env).expect("a counter"),
        }
    });
}

/// Old peers that had the bytes, newcomers that never got them, and everybody's restarts agree, whatever was redacted when.
#[test]
fn old_peers_and_newcomers_agree_whatever_is_redacted() {
    fuzz(40, |seed| {
        let mut rng = Rng::new(seed);
        let (owner, writer) = pair();
        let mut nodes = vec![owner, writer];
        let mut erased: Vec<(ChangesetId, Vec<u8>)> = Vec::new();
        for round in 0..40 {
            let at = rng.below(nodes.len());
            let count = nodes.len();
            let node = &mut nodes[at];
            match rng.below(10) {
                0 if round > 5 => {
                    let filter = HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() };
                    let all = node.replica.history(&filter);
                    let one = rng.pick(&all).id;
                    let had = node
                        .disk
                        .tail
                        .iter()
                        .flat_map(|record| TailRecord::decode(record).expect("good").0.rows);
                    let had: Vec<Vec<u8>> = had
                        .filter(|row| row.id() == one)
                        .filter_map(|row| Some(row.content()?.to_vec()))
                        .collect();
                    if redact(node, &[Target::Changeset(one)]).is_ok() {
                        erased.extend(had.into_iter().map(|bytes| (one, bytes)));
                    }
                }
                1 => drop(node.with(|replica, env| replica.undo(&[], env))),
                2 => drop(node.with(|replica, env| replica.redo(&[], env))),
                3 if rng.chance(50) => drop(node.snapshot()),
                3 => {
                    let again = nodes.remove(at).reopen();
                    nodes.insert(at, again);
                }
                4 | 5 => {
                    let (first, rest) = nodes.split_at_mut(1);
                    {
                        let other = rng.below(rest.len());
                        sync(&mut first[0], &mut rest[other]);
                    }
                }
                6 if count < 4 => {
                    let fresh = newcomer(10 + count as u64, &mut nodes[0]);
                    nodes.push(fresh);
                }
                _ => {
                    for _ in 0..1 + rng.below(3) {
                        edit(node, &mut rng);
                    }
                    node.with(|replica, env| replica.flush(env));
                }
            }
        }
        // What comes in the first round is confirmed in the second, and known to all after the third.
        for _ in 0..4 {
            let (first, rest) = nodes.split_at_mut(1);
            rest.iter_mut().for_each(|node| sync(&mut first[0], node));
        }
        let fresh = newcomer(99, &mut nodes[0]);
        nodes.push(fresh);
        for node in &nodes {
            assert_same(&nodes[0], node);
            node.replica.dbg_check();
            for (id, bytes) in &erased {
                assert!(node.replica.is_redacted(id) && !holds(node, bytes), "nothing of {id} is left");
            }
        }
        let kept = nodes.pop().expect("the newcomer");
        for node in nodes {
            let mut node = node.reopen();
            node.replica.dbg_check();
            assert_same(&kept, &node);
            assert!(node.snapshot());
            assert_same(&kept, &node.reopen());
        }
    });
}
