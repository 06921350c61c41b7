//! Links to peers over ports: each side works out what the other lacks.

use super::link::{Receipt, from_row, own_chain};
use super::receive::Origin;
use super::{Env, Output, Replica, Trouble};
use crate::causal::{ChangesetIx, Tip};
use crate::event::SignedChangeset;
use crate::store::StoreBatch;
use crate::sync::PeerOutput;
use foldhash::HashSet;

impl Replica {
    pub(super) fn drain_peer(&mut self, session: u32, env: &mut Env<'_>) {
        while let Some(output) = self.links.peers.get_mut(&session).and_then(|link| link.session.poll()) {
            match output {
                PeerOutput::Send(frame) => {
                    self.outputs.push_back(Output::Send { session, frame: frame.to_vec() })
                }
                PeerOutput::NeedDifference { tips, settled } => {
                    let lacking = self.lacking(&tips, settled);
                    if let Some(link) = self.links.peers.get_mut(&session) {
                        link.queue.extend(lacking);
                        (link.owes_difference, link.settled) = (true, settled);
                    }
                    self.pump_peer(session);
                }
                PeerOutput::Rows { rows, bytes } => {
                    let signed: Vec<SignedChangeset> =
                        rows.iter().filter_map(|row| from_row(row).ok()).collect();
                    self.refused += (rows.len() - signed.len()) as u64;
                    for _ in signed.len()..rows.len() {
                        self.note_refused(Some(session), None, "it does not decode", env.now_ms);
                    }
                    if let Some(link) = self.links.peers.get_mut(&session) {
                        let new = signed.iter().map(SignedChangeset::id).filter(|id| !self.log.knows(id));
                        link.delivered.extend(new);
                    }
                    let origin = Origin::Session(session, Receipt::Peer(bytes));
                    self.take_rows(signed, origin, StoreBatch::default(), env);
                }
                PeerOutput::Writable => self.pump_peer(session),
                PeerOutput::CaughtUp => {
                    self.outputs.push_back(Output::Sync);
                    self.links.mends.begin(env.now_ms);
                    self.greet(env);
                }
                PeerOutput::Asked(ranges) => self.answer_peer(session, &ranges),
                PeerOutput::Ephemeral(payload) => self.hear_presence(&payload, env),
                PeerOutput::Refused { code, message } => {
                    self.trouble(Trouble::Relay(format!("{code:?}: {message}")))
                }
                PeerOutput::Close => self.outputs.push_back(Output::Close { session }),
            }
        }
    }

    /// What a peer with these tips lacks, ancestors first. Unless it has sent everything it had, actors of which it knows
    /// more are left out.
    pub(super) fn lacking(&self, tips: &[Tip], settled: bool) -> Vec<ChangesetIx> {
        let graph = self.log.graph();
        let mut held = HashSet::default();
        let mut ahead = HashSet::default();
        for tip in tips {
            match graph.get(&tip.id) {
                Some(ix) => {
                    held.extend(own_chain(graph, ix).take_while(|ix| !held.contains(ix)).collect::<Vec<_>>())
                }
                None => {
                    let highest = graph.tips_of(&tip.actor).iter().map(|own| own.seq).max();
                    if highest.is_none_or(|highest| highest <= tip.seq) {
                        ahead.insert(tip.actor);
                    }
                }
            }
        }
        (0..graph.len())
            .map(ChangesetIx)
            .filter(|ix| {
                !held.contains(ix) && (settled || !ahead.contains(&graph.actor(*ix))) && self.sendable(*ix)
            })
            .collect()
    }

    pub(super) fn offer_to_peers(&mut self, numbers: &[ChangesetIx], env: &mut Env<'_>) {
        for session in self.links.peers.keys().copied().collect::<Vec<_>>() {
            if let Some(link) = self.links.peers.get_mut(&session) {
                for ix in numbers {
                    let known = link.delivered.remove(&self.log.graph().id(*ix));
                    if link.settled && !known {
                        link.queue.push_back(*ix);
                    }
                }
            }
            self.pump_peer(session);
            self.drain_peer(session, env);
        }
    }
}
