//! Whether the ops of a changeset can be taken in, and what they are in local terms.

use super::step::{Shape, Step};
use super::{Body, Fold, ObjectIx};
use crate::causal::{CausalGraph, ChangesetIx, MemberId, OpIx};
use crate::crdt::{AccountId, Anchor, Bias, Emission, LedgerOp, SignedOp, Slot, UnitOp, UnitRef, UnitSpan};
use crate::event::{
    self, Account, ChangesetAt, ControlKind, Expand, NameAt, ObjectAt, Op, OpSpan, Skeleton, UnitAt,
};
use std::collections::BTreeMap;
use std::ops::Range;

/// Why the ops of a changeset count for nothing. The same for everybody: decided by skeleton and causal past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// An op names an object of a kind that does not fit.
    #[error("op does not fit the kind of its object")]
    Kind,
    /// Anchors or targets are outside the past or not next to each other.
    #[error("anchor or target is not in the causal past, or anchors are not adjacent")]
    Anchor,
    /// A revoke names ops that its author did not write, or that are not there.
    #[error("revoke of ops that are not the author's own, earlier ones")]
    Revoke,
}

/// An op in local terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Planned {
    Step(ObjectIx, Step),
    Units(ObjectIx, UnitOp),
    Event(Emission),
    Revoke(Box<[Range<u32>]>),
    Skip,
}

/// The ops of a checked changeset, in local terms.
#[derive(Clone, Debug)]
pub struct Incoming {
    pub(super) ops: Vec<Planned>,
}

impl Incoming {
    /// How many ops they are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.ops.len() as u32
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}

impl Fold {
    /// Whether every op is of a kind that this version folds. If not, the changeset is pending.
    pub fn supports(skeleton: &Skeleton) -> bool {
        skeleton.ops.iter().all(|op| match op {
            Op::MapSet { .. }
            | Op::MapDelete { .. }
            | Op::MapChild { .. }
            | Op::MapCouple { .. }
            | Op::CounterAdd { .. }
            | Op::CounterReset { .. }
            | Op::SetAdd { .. }
            | Op::SetRemove { .. }
            | Op::CartAdd { .. }
            | Op::CartRemove { .. }
            | Op::TextInsert { .. }
            | Op::TextDelete { .. }
            | Op::TextMark { .. }
            | Op::ListInsert { .. }
            | Op::ListDelete { .. }
            | Op::ListMove { .. }
            | Op::LedgerOpen { .. }
            | Op::LedgerTransfer { .. }
            | Op::LedgerDispute { .. }
            | Op::LedgerAssign { .. }
            | Op::LedgerReverse { .. }
            | Op::EventCreate { .. }
            | Op::EventEmit { .. }
            | Op::Revoke { .. }
            | Op::PolicyExclude { .. }
            | Op::PolicyBan { .. }
            | Op::PolicyTrust { .. }
            | Op::PolicyThreshold { .. }
            | Op::PolicyMode { .. }
            | Op::PolicyAccept { .. }
            | Op::Skipped { .. } => true,
            // They make no object, and say nothing of one: the caller reads them.
            Op::Control { kind, .. } => {
                matches!(kind, ControlKind::Validators | ControlKind::Redact | ControlKind::Resolve)
            }
            Op::Audit { .. } => true,
        })
    }

    /// Checks the ops of a changeset that is in the graph but not integrated. `refs` are the changesets its table names;
    /// beside its author stands which of them the same member wrote.
    pub fn check(
        &mut self,
        graph: &CausalGraph,
        changeset: ChangesetIx,
        skeleton: &Skeleton,
        refs: &[ChangesetIx],
        author: (MemberId, impl Fn(ChangesetIx) -> bool),
    ) -> Result<Incoming, Invalid> {
        debug_assert!(!self.has_batch(), "arrivals wait until the open batch is sealed");
        self.batch = None;
        let ops = self.plan(graph, changeset, skeleton, refs, author)?;
        let mut sequences: BTreeMap<ObjectIx, Vec<UnitOp>> = BTreeMap::new();
        for planned in &ops {
            if let Planned::Units(object, op) = planned {
                sequences.entry(*object).or_default().push(op.clone());
            }
        }
        let past = self.timeline.over(graph);
        for (object, ops) in &sequences {
            let sequence = self.get(*object).body.sequence();
            sequence.check(&past, changeset, ops).map_err(|_| Invalid::Anchor)?;
        }
        Ok(Incoming { ops })
    }

    /// The ops of a skeleton in local terms.
    pub(super) fn plan(
        &mut self,
        graph: &CausalGraph,
        changeset: ChangesetIx,
        skeleton: &Skeleton,
        refs: &[ChangesetIx],
        (author, own): (MemberId, impl Fn(ChangesetIx) -> bool),
    ) -> Result<Vec<Planned>, Invalid> {
        let objects: Vec<Option<ObjectIx>> =
            skeleton.objects.iter().map(|(id, kind)| self.object(*id, *kind)).collect();
        let unit = |unit: &UnitAt| UnitRef {
            changeset: match unit.changeset.0 {
                0 => changeset,
                number => refs[number as usize - 1],
            },
            offset: unit.offset,
        };
        let anchor = |anchor: &event::Anchor| match anchor {
            event::Anchor::Start => Anchor::Start,
            event::Anchor::End => Anchor::End,
            event::Anchor::Before(at) => Anchor::Unit { unit: unit(at), bias: Bias::Before },
            event::Anchor::After(at) => Anchor::Unit { unit: unit(at), bias: Bias::After },
        };
        let targets = |span: &OpSpan| {
            let number = span.changeset.0 as usize;
            let target = *number.checked_sub(1).and_then(|at| refs.get(at)).ok_or(Invalid::Revoke)?;
            let ops = self.timeline.ops_of(target);
            let first = ops.start.checked_add(span.first).ok_or(Invalid::Revoke)?;
            let end = first.checked_add(span.count).filter(|end| *end <= ops.end).ok_or(Invalid::Revoke)?;
            if own(target) { Ok(first..end) } else { Err(Invalid::Revoke) }
        };
        let name = |at: &NameAt| skeleton.names[at.0 as usize];
        let signing = Signing { fold: self, changeset, skeleton, refs, objects: &objects };
        let command = skeleton.command.map(|command| (command, signing.head(graph)));
        let emission = |of_type, creates, concerns| {
            let command = command.map(|(command, head)| (author, command, head));
            Emission { of_type, creates, concerns, command }
        };
        let plan = |(op, index): (&Op, u32)| {
            let at = |object: &ObjectAt| objects[object.0 as usize].ok_or(Invalid::Kind);
            let step = |object: &ObjectAt, step: Step| Ok(Planned::Step(at(object)?, step));
            if let Some((object, kind)) = op.object()
                && objects[object.0 as usize].is_none_or(|object| self.get(object).kind() != kind)
            {
                return Err(Invalid::Kind);
            }
            match op {
                Op::MapSet { object, key } => step(object, Step::Put(Slot::Key(name(key)), Shape::Value)),
                Op::MapDelete { object, key } => step(object, Step::Take(Slot::Key(name(key)))),
                Op::MapChild { object, key, kind, options } => {
                    let shape = Shape::Child(*kind, options.as_slice().into());
                    step(object, Step::Put(Slot::Key(name(key)), shape))
                }
                Op::MapCouple { object, group, count, present } => {
                    let shape = Shape::Tuple { count: *count, present: *present };
                    step(object, Step::Put(Slot::Group(*group), shape))
                }
                Op::CounterAdd { object, amount } => step(object, Step::Add(*amount)),
                Op::CounterReset { object } => step(object, Step::Reset),
                Op::SetAdd { object, element, has_value } => {
                    let shape = if *has_value { Shape::Value } else { Shape::Bare };
                    step(object, Step::Put(Slot::Key(name(element)), shape))
                }
                Op::SetRemove { object, element } => step(object, Step::Take(Slot::Key(name(element)))),
                Op::CartAdd { object, item, quantity } => step(object, Step::AddTo(name(item), *quantity)),
                Op::CartRemove { object, item } => step(object, Step::Remove(name(item))),
                Op::TextInsert { object, left, right, len }
                | Op::ListInsert { object, left, right, count: len } => {
                    let (left, right) = (left.as_ref().map(unit), right.as_ref().map(unit));
                    Ok(Planned::Units(at(object)?, UnitOp::Insert { left, right, len: *len }))
                }
                Op::TextDelete { object, spans } | Op::ListDelete { object, spans } => {
                    let spans = spans.iter().map(|span| {
                        let UnitRef { changeset, offset } = unit(&span.first);
                        UnitSpan { changeset, offset, len: span.len }
                    });
                    Ok(Planned::Units(at(object)?, UnitOp::Delete { spans: spans.collect() }))
                }
                Op::ListMove { object, element, left, right } => {
                    let (left, right) = (left.as_ref().map(unit), right.as_ref().map(unit));
                    Ok(Planned::Units(at(object)?, UnitOp::Move { element: unit(element), left, right }))
                }
                Op::TextMark { object, start, end, key, expand } => {
                    if *expand != expand_of(start, end) {
                        return Err(Invalid::Anchor);
                    }
                    let (start, end, key) = (anchor(start), anchor(end), name(key));
                    Ok(Planned::Units(at(object)?, UnitOp::Mark { start, end, key }))
                }
                Op::LedgerOpen { object, .. }
                | Op::LedgerTransfer { object, .. }
                | Op::LedgerDispute { object, .. }
                | Op::LedgerAssign { object, .. }
                | Op::LedgerReverse { object, .. } => match signing.read(op, index)? {
                    Some(op) => step(object, Step::Sign(Box::new(SignedOp { op, author, command }))),
                    None => Ok(Planned::Skip),
                },
                Op::EventCreate { type_name, id } => {
                    let concerns = Box::from([name(id)]);
                    Ok(Planned::Event(emission(name(type_name), true, concerns)))
                }
                Op::EventEmit { type_name, concerns } => {
                    let concerns = concerns.iter().map(name).collect();
                    Ok(Planned::Event(emission(name(type_name), false, concerns)))
                }
                Op::Revoke { targets: spans } => {
                    Ok(Planned::Revoke(spans.iter().map(targets).collect::<Result<_, _>>()?))
                }
                _ => Ok(Planned::Skip),
            }
        };
        skeleton.ops.iter().zip(0..).map(plan).collect()
    }
}

/// A skeleton whose ops on ledgers are read.
struct Signing<'a> {
    fold: &'a Fold,
    changeset: ChangesetIx,
    skeleton: &'a Skeleton,
    refs: &'a [ChangesetIx],
    objects: &'a [Option<ObjectIx>],
}

impl Signing<'_> {
    /// What an op says to its ledger; none if it names what is no entry of that.
    fn read(&self, op: &Op, index: u32) -> Result<Option<LedgerOp>, Invalid> {
        let name = |at: &NameAt| self.skeleton.names[at.0 as usize];
        let account = |account: &Account| match account {
            Account::Member(member) => AccountId::Member(*member),
            Account::Named(at) => AccountId::Named(name(at)),
        };
        Ok(Some(match op {
            Op::LedgerOpen { account, .. } => LedgerOp::Open(name(account)),
            Op::LedgerTransfer { from, to, amount, .. } => {
                LedgerOp::Transfer { from: account(from), to: account(to), amount: amount.clone() }
            }
            Op::LedgerAssign { asset, to, .. } => LedgerOp::Assign(name(asset), account(to)),
            Op::LedgerReverse { object, changeset, op } => {
                return Ok(self.entry(*object, (*changeset, *op), index, false)?.map(LedgerOp::Reverse));
            }
            Op::LedgerDispute { object, changeset, op } => {
                return Ok(self.entry(*object, (*changeset, *op), index, true)?.map(LedgerOp::Dispute));
            }
            _ => return Ok(None),
        }))
    }

    /// An entry that an op of a ledger names; one of this changeset if it stands before it.
    fn entry(
        &self,
        object: ObjectAt,
        (changeset, op): (ChangesetAt, u32),
        index: u32,
        may_be_reverse: bool,
    ) -> Result<Option<OpIx>, Invalid> {
        let Some(earlier) = changeset.0.checked_sub(1) else {
            let named = self.skeleton.ops.get(op as usize).filter(|_| op < index).ok_or(Invalid::Anchor)?;
            let is_entry = match named {
                Op::LedgerTransfer { object: of, .. } => *of == object,
                // It is one itself if it names one.
                Op::LedgerReverse { object: of, .. } => {
                    may_be_reverse && *of == object && self.read(named, op)?.is_some()
                }
                _ => false,
            };
            return Ok(is_entry.then_some(OpIx(self.first() + op)));
        };
        let ops = self.fold.timeline.ops_of(self.refs[earlier as usize]);
        let named = ops.start.checked_add(op).filter(|op| *op < ops.end).ok_or(Invalid::Anchor)?;
        let of = self.objects[object.0 as usize].ok_or(Invalid::Kind)?;
        let Body::Ledger(ledger) = &self.fold.get(of).body else { return Err(Invalid::Kind) };
        let entry = ledger.entry_of(OpIx(named));
        let fits = entry.is_some_and(|at| may_be_reverse || ledger.transfer_of(at) == at);
        Ok(fits.then_some(OpIx(named)))
    }

    /// The number of its first op.
    fn first(&self) -> u32 {
        match self.changeset.0 < self.fold.timeline.changesets() {
            true => self.fold.timeline.ops_of(self.changeset).start,
            false => self.fold.timeline.next_op(),
        }
    }

    /// The first op of its transaction.
    fn head(&self, graph: &CausalGraph) -> OpIx {
        let earlier = self.skeleton.goes_on().and_then(|steps| graph.nth_prev(self.changeset, steps));
        let ops = earlier.map(|earlier| self.fold.timeline.ops_of(earlier)).filter(|ops| !ops.is_empty());
        OpIx(ops.map_or_else(|| self.first(), |ops| ops.start))
    }
}

/// How a mark with these ends grows.
pub(super) fn expand_of(start: &event::Anchor, end: &event::Anchor) -> Expand {
    Expand {
        before: matches!(start, event::Anchor::Start | event::Anchor::After(_)),
        after: matches!(end, event::Anchor::End | event::Anchor::Before(_)),
    }
}
