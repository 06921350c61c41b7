//! Time: what is done when some of it passed, and when to ask again. Nothing here knows what a clock is: times are arguments.

use super::receive::Origin;
use super::{Env, Replica};

impl Replica {
    /// Time passed: seals a batch that is old enough, redials, notices dead connections, goes on with what is left to do.
    pub fn tick(&mut self, env: &mut Env<'_>) {
        self.batch.begun_ms = self.batch.begun_ms.map(|begun| begun.min(env.now_ms));
        if !self.closed.is_empty() {
            self.seal_slice(env);
        } else if self.batch_deadline().is_some_and(|deadline| deadline <= env.now_ms) {
            self.seal(env);
        } else {
            self.draft_if_due(env);
        }
        self.links.taken_rows = 0;
        self.links.passage.try_all();
        self.integrate_ready(env);
        self.share(env);
        self.attest_if_due(env);
        self.erase_owed(env);
        self.confirm_if_due(env);
        self.inquire(env);
        self.make_blocks(env);
        self.note_if_due(env.now_ms);
        self.pump_peers(env);
        for session in self.links.relays.keys().copied().collect::<Vec<_>>() {
            self.tick_relay(session, env);
        }
        self.note_spoilt(Origin::Import, env);
        self.ask_again(env);
        self.dial(env);
        self.say_presence(env);
    }

    /// When to call [`Replica::tick`] next.
    pub fn next_timer(&self, now_ms: u64) -> Option<u64> {
        let is_ready = self.log.has_ready() && !self.fold.has_batch() && !self.batch.in_transact;
        let is_held_up = self.links.has_rows() || self.links.passage.is_held_up();
        let now = (is_ready || is_held_up || self.shares_now() || self.confirms_now() || self.owes_now())
            .then_some(now_ms);
        let own = [self.batch_deadline(), self.draft_due(), self.presence_due(), now];
        let redial = self.links.redial_ms().filter(|_| self.log.is_whole());
        let linked = [redial, self.links.due_ms(now_ms), self.links.mends.due_ms()];
        let stated = [self.attest_due(), self.blocks_due(), self.noted_due(), self.inquiry_due()];
        own.into_iter().chain(linked).chain(stated).flatten().min()
    }
}
