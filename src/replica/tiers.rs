//! How far this member's changesets got: in the store, at a relay.

use super::output::Tier;
use crate::causal::ChangesetId;
use foldhash::HashMap;

/// By id, in one table: on a device without a relay they are all in it.
#[derive(Default)]
pub(super) struct Tiers {
    of: HashMap<ChangesetId, Standing>,
    unacked: usize,
}

#[derive(Clone, Copy, Default)]
struct Standing {
    reached: Option<Tier>,
    /// No relay is known to have it.
    is_unacked: bool,
}

impl Tiers {
    /// Makes room for that many more.
    pub fn reserve(&mut self, more: usize) {
        self.of.reserve(more);
    }

    /// Notes one that no relay is known to have.
    pub fn await_relay(&mut self, id: ChangesetId) {
        let standing = self.of.entry(id).or_default();
        self.unacked += usize::from(!standing.is_unacked);
        standing.is_unacked = true;
    }

    /// Whether no relay is known to have it.
    pub fn is_unacked(&self, id: &ChangesetId) -> bool {
        self.of.get(id).is_some_and(|standing| standing.is_unacked)
    }

    /// Whether none is that no relay is known to have.
    pub fn all_acked(&self) -> bool {
        self.unacked == 0
    }

    /// How many no relay is known to have.
    pub fn unacked(&self) -> usize {
        self.unacked
    }

    /// No relay is to have one any more, or one has it; says whether that is new.
    pub fn acked(&mut self, id: &ChangesetId) -> bool {
        let Some(standing) = self.of.get_mut(id).filter(|standing| standing.is_unacked) else { return false };
        standing.is_unacked = false;
        self.unacked -= 1;
        if standing.reached.is_none() {
            self.of.remove(id);
        }
        true
    }

    /// The tier it reached, if it is saved at all.
    pub fn reached(&self, id: &ChangesetId) -> Option<Tier> {
        self.of.get(id)?.reached
    }

    /// Notes that it reached a tier.
    pub fn reach(&mut self, id: ChangesetId, tier: Tier) {
        self.of.entry(id).or_default().reached = Some(tier);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_and_what_a_relay_lacks_are_two_things() {
        let [a, b] = [ChangesetId([1; 32]), ChangesetId([2; 32])];
        let mut tiers = Tiers::default();
        for _ in 0..2 {
            tiers.await_relay(a);
        }
        tiers.await_relay(b);
        tiers.reach(b, Tier::Local);
        assert_eq!((tiers.unacked(), tiers.reached(&a), tiers.reached(&b)), (2, None, Some(Tier::Local)));
        assert_eq!((tiers.acked(&a), tiers.acked(&a), tiers.acked(&b)), (true, false, true));
        assert!(tiers.all_acked() && !tiers.is_unacked(&b));
        // Of one that is neither nothing is kept.
        assert_eq!((tiers.of.len(), tiers.reached(&b)), (1, Some(Tier::Local)));
        tiers.reach(a, Tier::Relay);
        assert_eq!((tiers.reached(&a), tiers.unacked()), (Some(Tier::Relay), 0));
    }
}
