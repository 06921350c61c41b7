//! Small concurrent histories in which edits name positions, with the text they end in: those recorded by diamond-types,
//! if the folder of traces is there (`STEMMA_TRACES`, else beside the repository), and generated ones of the same
//! shape, whose text the naive model tells.
//!
//! Only the final text is compared. It depends on who goes first in one gap; both sides say (agent, number in what the
//! agent made), so an agent's name becomes the key of an actor here.

#[path = "reference/dag.rs"]
mod dag;
#[path = "reference/text.rs"]
mod reference;
#[path = "reference/rng.rs"]
mod rng;

use dag::{Dag, Numbers, Op, Seen};
use reference::Model;
use rng::{Rng, fuzz};
use serde_json::Value;
use std::path::PathBuf;
use stemma::crdt::Text;

struct Case {
    transactions: Vec<Transaction>,
    end: String,
}

struct Transaction {
    parents: Vec<usize>,
    agent: u64,
    seq: u32,
    /// Position, units deleted, text inserted.
    edits: Vec<(u32, u32, String)>,
}

/// A replica right after a transaction.
#[derive(Clone, Default)]
struct Replica<const LEAF: usize, const BLOCK: usize> {
    text: Text<LEAF, BLOCK>,
    numbers: Numbers,
}

impl<const LEAF: usize, const BLOCK: usize> Replica<LEAF, BLOCK> {
    fn receive(&mut self, dag: &Dag, id: usize) {
        let changeset = &dag.changesets[id];
        let (ix, numbers) = self.numbers.receive(id, changeset.ops.len());
        let ops: Vec<_> = changeset.ops.iter().map(|op| self.numbers.to_local(op)).collect();
        let seen = Seen(dag, &self.numbers);
        self.text.check(&seen, ix, &ops).expect("an honest changeset is valid");
        let ops: Vec<_> = numbers.into_iter().zip(ops).collect();
        self.text.apply(&seen, ix, &ops, Some(&changeset.content), |_| true);
    }

    /// Makes the next changeset of the graph.
    fn edit(&mut self, dag: &mut Dag, transaction: &Transaction) {
        for (pos, deleted, inserted) in &transaction.edits {
            self.text.delete(*pos, *deleted).expect("it is inside");
            self.text.insert(*pos, inserted).expect("it is inside");
        }
        let id = dag.changesets.len();
        let (ops, content) = (self.text.pending_ops(), self.text.pending_text(self.text.pending_len()));
        let ops: Vec<Op> = ops.iter().map(|op| self.numbers.to_global(op, id)).collect();
        let (ix, numbers) = self.numbers.receive(id, ops.len());
        dag.push(transaction.parents.clone(), (transaction.agent, transaction.seq, 0), ops, content);
        self.text.seal(ix, &numbers);
        self.text.dbg_check();
    }
}

/// Makes every transaction where it was made, then lets newcomers get all of them in any order.
fn replay<const LEAF: usize, const BLOCK: usize>(case: &Case, rng: &mut Rng) {
    let mut dag = Dag::default();
    let mut after: Vec<Replica<LEAF, BLOCK>> = Vec::new();
    for transaction in &case.transactions {
        let mut replica = transaction.parents.first().map_or_else(Replica::default, |&id| after[id].clone());
        for id in 0..dag.changesets.len() {
            let known = transaction.parents.iter().any(|&parent| dag.contains(parent, id));
            if known && !replica.numbers.has(id) {
                replica.receive(&dag, id);
            }
        }
        replica.edit(&mut dag, transaction);
        after.push(replica);
    }
    for _ in 0..3 {
        let mut replica = Replica::<LEAF, BLOCK>::default();
        while let Some(id) = replica.numbers.next(&dag, dag.changesets.len(), rng) {
            replica.receive(&dag, id);
        }
        replica.text.dbg_check();
        assert_eq!(replica.text.to_string(), case.end);
    }
}

/// Agents 'a' to 'c' on three documents that edit and merge; positions become neighbours by the model alone.
fn generated(rng: &mut Rng) -> Case {
    let (mut dag, mut model) = (Dag::default(), Model::default());
    let (mut heads, mut seqs) = (vec![Vec::<usize>::new(); 3], [0; 3]);
    let mut transactions = Vec::new();
    while transactions.len() < 45 {
        let at = rng.below(3);
        if rng.chance(30) {
            let mut merged = heads[at].clone();
            merged.extend(heads[rng.below(3)].clone());
            merged.sort_unstable();
            merged.dedup();
            let below = |&id: &usize| merged.iter().any(|&other| other != id && dag.contains(other, id));
            heads[at] = merged.iter().copied().filter(|id| !below(id)).collect();
            continue;
        }
        let (agent, parents, id) = (rng.below(3), heads[at].clone(), transactions.len());
        let seq = seqs[agent];
        dag.push(parents.clone(), (agent as u64, seq, 0), vec![], String::new());
        let (mut edits, mut offset) = (Vec::new(), 0);
        for index in 0..1 + rng.below(3) {
            let (edit, op) = edit(rng, &dag, &model, id);
            let values: Vec<u16> = edit.2.encode_utf16().collect();
            offset += model.add_op(&dag, (id, index), &op, offset, &values);
            seqs[agent] += edit.1 + values.len() as u32;
            edits.push(edit);
        }
        transactions.push(Transaction { parents, agent: agent as u64, seq, edits });
        heads[at] = vec![id];
    }
    let end = String::from_utf16(&model.text(|_| true, |_| true)).expect("no pair was cut");
    Case { transactions, end }
}

/// A random edit by whoever knows what `id` knows: by position, and by neighbours.
fn edit(rng: &mut Rng, dag: &Dag, model: &Model, id: usize) -> ((u32, u32, String), Op) {
    let shows = model.shows(|op| dag.contains(id, op.0), |_| true);
    let known: Vec<_> = shows.iter().map(|&(unit, shown)| (model.units[unit].id, shown)).collect();
    let known: Vec<_> = known.into_iter().filter(|(unit, _)| dag.contains(id, unit.0)).collect();
    let visible: Vec<usize> = (0..known.len()).filter(|&at| known[at].1).collect();
    if !visible.is_empty() && rng.chance(35) {
        let pos = rng.below(visible.len());
        let len = (1 + rng.below(3)).min(visible.len() - pos);
        let spans = visible[pos..pos + len].iter().map(|&at| (known[at].0.0, known[at].0.1, 1)).collect();
        return ((pos as u32, len as u32, String::new()), Op::Delete { spans });
    }
    let pos = if rng.chance(30) { 0 } else { rng.below(visible.len() + 1) };
    let text: String = (0..1 + rng.below(2)).map(|_| *rng.pick(&['K', 'e', '_', 'ö', '中'])).collect();
    let behind = pos.checked_sub(1).map(|before| visible[before]);
    let op = Op::Insert {
        left: behind.map(|at| known[at].0),
        right: known.get(behind.map_or(0, |at| at + 1)).map(|unit| unit.0),
        len: text.chars().count() as u32,
    };
    ((pos as u32, 0, text), op)
}

#[test]
fn generated_histories_end_as_the_model_says() {
    fuzz(60, |seed| {
        let mut rng = Rng::new(seed);
        let case = generated(&mut rng);
        replay::<4, 4>(&case, &mut rng);
        replay::<32, 64>(&case, &mut rng);
    });
}

#[test]
fn recorded_histories_end_as_recorded() {
    let folder = std::env::var_os("STEMMA_TRACES").map_or_else(|| "../shared/traces".into(), PathBuf::from);
    let Ok(packed) = std::fs::read(folder.join("conformance.json.br")) else {
        println!("no recorded traces: the generated ones have to do");
        return;
    };
    let mut lines = Vec::new();
    brotli_decompressor::BrotliDecompress(&mut packed.as_slice(), &mut lines).expect("it is a brotli file");
    let lines = String::from_utf8(lines).expect("it is text");
    for (at, line) in lines.lines().enumerate() {
        let case = recorded(&serde_json::from_str(line).expect("a trace in each line"));
        let result = std::panic::catch_unwind(move || {
            let mut rng = Rng::new(at as u64);
            replay::<4, 4>(&case, &mut rng);
            replay::<32, 64>(&case, &mut rng);
        });
        assert!(result.is_ok(), "trace {at}");
    }
    assert!(lines.lines().count() >= 1000);
}

/// A trace numbers events; a transaction is several of them, and is named by its last one.
fn recorded(trace: &Value) -> Case {
    let number = |value: &Value| value.as_u64().expect("a number") as u32;
    let list = |value: &Value| value.as_array().expect("a list").clone();
    let all = list(&trace["txns"]);
    let last_event: Vec<u32> = all.iter().map(|one| number(&one["span"][1]) - 1).collect();
    let transaction = |one: &Value| Transaction {
        parents: list(&one["parents"])
            .iter()
            .map(|event| last_event.binary_search(&number(event)).expect("parents are whole transactions"))
            .collect(),
        agent: one["agent"]
            .as_str()
            .expect("a name")
            .bytes()
            .fold(0, |name, byte| name << 8 | u64::from(byte)),
        seq: number(&one["seqStart"]),
        edits: list(&one["ops"])
            .iter()
            .map(|op| (number(&op[0]), number(&op[1]), op[2].as_str().expect("text").to_owned()))
            .collect(),
    };
    Case {
        transactions: all.iter().map(transaction).collect(),
        end: trace["endContent"].as_str().expect("text").to_owned(),
    }
}
