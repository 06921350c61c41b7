//! Ops in the terms of the naive model.

use crate::{GROUPS, KINDS, object_id, place_of, reference};
use stemma::crdt::Slot;
use stemma::event::{ChangesetAt, Op, OpSpan, Skeleton};

/// What an op says, in the terms of the model; `written` is what stands in the content.
pub fn to_model(op: &Op, written: String, skeleton: &Skeleton, refs: &[usize]) -> reference::Op {
    let object = |at: &stemma::event::ObjectAt| {
        let id = skeleton.objects[at.0 as usize].0;
        (0..KINDS.len()).find(|object| object_id(*object) == id).expect("a known object")
    };
    let key = |at: &stemma::event::NameAt| place_of(Slot::Key(skeleton.names[at.0 as usize]));
    match op {
        Op::MapSet { object: of, key: at } | Op::MapChild { object: of, key: at, .. } => {
            reference::Op::Put((object(of), key(at)), written)
        }
        Op::MapCouple { object: of, group, .. } => reference::Op::Put((object(of), GROUPS + group), written),
        Op::MapDelete { object: of, key: at } => reference::Op::Take((object(of), key(at))),
        Op::SetAdd { object: of, element, .. } => reference::Op::Put((object(of), key(element)), written),
        Op::SetRemove { object: of, element } => reference::Op::Take((object(of), key(element))),
        Op::CounterAdd { object: of, amount } => reference::Op::Add((object(of), 0), *amount),
        Op::CounterReset { object: of } => reference::Op::Reset((object(of), 0)),
        Op::CartAdd { object: of, item, quantity } => reference::Op::Add((object(of), key(item)), *quantity),
        Op::CartRemove { object: of, item } => reference::Op::Reset((object(of), key(item))),
        Op::Revoke { targets } => {
            let ops = |span: &OpSpan| {
                let ChangesetAt(number) = span.changeset;
                let changeset = refs[number as usize - 1];
                (span.first..span.first + span.count).map(move |op| (changeset, op as usize))
            };
            reference::Op::Revoke(targets.iter().flat_map(ops).collect())
        }
        Op::ListInsert { .. } | Op::ListDelete { .. } | Op::ListMove { .. } => reference::Op::List,
        Op::TextInsert { .. } | Op::TextDelete { .. } | Op::TextMark { .. } => reference::Op::Text,
        Op::LedgerOpen { .. }
        | Op::LedgerTransfer { .. }
        | Op::LedgerReverse { .. }
        | Op::LedgerDispute { .. }
        | Op::LedgerAssign { .. } => reference::Op::Ledger,
        other => panic!("nobody writes {other:?}"),
    }
}
