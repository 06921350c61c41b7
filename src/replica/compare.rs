//! In what two members believe otherwise, as far as their words can be read here.

use super::{EntryInfo, Replica};
use crate::causal::{ChangesetIx, MemberId, OpIx};
use crate::event::ShownView;
use crate::trust::{Policy, Standing};
use foldhash::HashMap;
use std::collections::BTreeSet;

/// What counts for one of two members and not for the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Ops that are hidden for this member alone.
    pub here: u32,
    /// Ops that are hidden for the other one alone.
    pub there: u32,
    /// The words that decide about these, in the order in which they arrived.
    pub entries: Vec<EntryInfo>,
    /// How many of those that are hidden for this member alone wait for its review: no word decides about them.
    pub waiting: u32,
    /// Whether a session of the other one shows the view digest of this replica; none if none shows any.
    pub agrees: Option<bool>,
}

impl Replica {
    /// Compares what this member believes with what another one does by its published words. O(changesets).
    pub fn compare(&self, member: MemberId) -> Comparison {
        let (words, graph) = (self.policy.entries(), self.log.graph());
        let is_read = |number: &u32| member == self.member() || !words[*number as usize].is_private;
        let numbers: Vec<u32> = (0..words.len() as u32).filter(is_read).collect();
        let read = numbers.iter().map(|number| words[*number as usize].clone());
        let theirs = Policy::of(member, graph, read).doubting(self.policy.doubted().clone());
        let (mut here, mut there, mut waiting, mut entries) = (0, 0, 0, BTreeSet::new());
        let mut authors = HashMap::default();
        for ix in (0..graph.len()).map(ChangesetIx) {
            let ops = self.fold.timeline().ops_of(ix);
            let mine: BTreeSet<OpIx> = self.fold.hidden_in(ops.clone()).collect();
            let other: BTreeSet<OpIx> = self.hidden_by_in(&theirs, &mut authors, ix).collect();
            here += mine.difference(&other).count() as u32;
            there += other.difference(&mine).count() as u32;
            let at = self.authored(ix, self.fold.timeline().stamp(ix).ms);
            for op in mine.symmetric_difference(&other) {
                let index = Some(op.0 - ops.start);
                let standing = self.policy.judge(graph, &at, index, &mut |number| entries.extend([number]));
                waiting += u32::from(standing == Standing::Waits);
                theirs.judge(graph, &at, index, &mut |number| entries.extend([numbers[number as usize]]));
            }
        }
        let own = self.view_digest().0;
        let shown = self.others_present().filter(|(_, other)| other.member == member);
        let shown: Vec<ShownView> = shown.filter_map(|(_, other)| other.view).collect();
        Comparison {
            here,
            there,
            entries: entries.into_iter().map(|number| self.entry_info(number)).collect(),
            waiting,
            agrees: (!shown.is_empty()).then(|| shown.iter().any(|view| view.digest == own)),
        }
    }
}
