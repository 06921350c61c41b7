//! Receipts: what relays signed that they hold, kept until they say otherwise (`docs/protocol.md` §3).

use super::link::Links;
use super::reputation::Fact;
use super::{Env, Replica};
use crate::audit::Evidence;
use crate::causal::{ActorId, ChangesetId, Tip};
use crate::codec::{Reader, Writer};
use crate::crypto::Signature;
use crate::event::Holding;
use crate::store::StoreName;
use crate::sync::Said;

impl Links {
    /// Reads the last receipt of a relay.
    pub(super) fn load_receipt(&mut self, url: &str, record: &[u8]) {
        let mut from = Reader::new(record);
        if let (Ok(relay), Ok(holding)) = (from.array("relay"), Holding::read(&mut from)) {
            self.receipts.insert(url.to_owned(), (relay, holding));
        }
    }

    /// The record of the last receipt of a relay, for its store.
    pub(super) fn receipt_record(&self, url: &str) -> Option<(StoreName, String, Vec<u8>)> {
        let (relay, holding) = self.receipts.get(url)?;
        let mut out = Writer::new();
        out.raw(relay);
        holding.write(&mut out);
        Some((StoreName::Meta, format!("receipt/{url}"), out.into_bytes()))
    }
}

impl Replica {
    /// A relay signed that it holds what was pushed to it. Nothing of it is checked before it matters.
    pub(super) fn take_receipt(&mut self, session: u32, ids: &[ChangesetId], said: Said) {
        let graph = self.log.graph();
        let tip = |id: &ChangesetId| {
            let ix = graph.get(id)?;
            Some(Tip { actor: graph.actor(ix), seq: graph.seq(ix), id: *id })
        };
        let Some(held) = ids.iter().map(tip).collect::<Option<Vec<Tip>>>() else { return };
        let Some(link) = self.links.relays.get(&session).filter(|_| !held.is_empty()) else { return };
        let Said { time_ms, signature } = said;
        let holding = Holding {
            time_ms,
            asked: Vec::new(),
            held: Holding::ends(held),
            signature: Signature(signature),
        };
        let (url, relay) = (link.url.clone(), link.relay_key);
        self.links.receipts.insert(url, (relay, holding));
    }

    /// A relay signed what it holds of actors: if it lacks what it signed for, everybody is shown that.
    pub(super) fn compare_receipt(
        &mut self,
        session: u32,
        asked: Vec<ActorId>,
        tips: Vec<Tip>,
        said: Said,
        env: &mut Env<'_>,
    ) {
        let Some(link) = self.links.relays.get(&session) else { return };
        let (url, key) = (link.url.clone(), link.relay_key);
        let Some((relay, receipt)) = self.links.receipts.get(&url) else { return };
        let Said { time_ms, signature } = said;
        let now = Holding { time_ms, asked, held: tips, signature: Signature(signature) };
        if *relay != key || !receipt.is_broken_by(&now) {
            return;
        }
        let evidence = Evidence::Withheld { relay: key, said: Box::new([receipt.clone(), now]) };
        self.links.receipts.remove(&url);
        if evidence.check(self.identity.genesis(), self.identity.keyring()).is_ok() {
            self.count_peer(session, Fact::Proven, 1, env.now_ms);
            self.report_evidence(evidence, env);
        }
    }
}
