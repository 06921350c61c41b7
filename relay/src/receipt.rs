//! What the relay signs that it holds: docs/protocol.md section 3, "What a relay can be shown to withhold".

use std::time::{SystemTime, UNIX_EPOCH};

use stemma::causal::{ActorId, SpaceId, Tip};
use stemma::crypto::SigningKey;
use stemma::event::Holding;
use stemma::sync::{Code, Said, Verdict};

use crate::store::NewRow;

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// All ends of these actors at a time; nothing is said where nobody is asked about.
pub(crate) fn holding(
    key: &SigningKey,
    space: SpaceId,
    time_ms: u64,
    asked: Vec<ActorId>,
    held: Vec<Tip>,
) -> Option<Said> {
    (!asked.is_empty()).then(|| said(Holding::sign(key, &space, time_ms, asked, held)))
}

/// Where the rows of a push belong, as far as they verified.
pub(crate) fn places(judged: &[Result<NewRow, Code>]) -> Vec<Option<Tip>> {
    let place = |row: &NewRow| Tip { actor: row.actor, seq: row.seq, id: row.id };
    judged.iter().map(|row| row.as_ref().ok().map(place)).collect()
}

/// A receipt for those of them that are held now.
pub(crate) fn pushed(
    key: &SigningKey,
    space: SpaceId,
    places: Vec<Option<Tip>>,
    results: &[Verdict],
) -> Option<Said> {
    let held = places.into_iter().zip(results).filter(|(_, verdict)| verdict.is_held());
    let ends = Holding::ends(held.filter_map(|(place, _)| place));
    (!ends.is_empty()).then(|| said(Holding::sign(key, &space, now_ms(), Vec::new(), ends)))
}

fn said(holding: Holding) -> Said {
    Said { time_ms: holding.time_ms, signature: holding.signature.0 }
}
