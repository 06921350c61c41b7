//! Redactions at a relay: whoever may ask for it has content dropped (`docs/protocol.md` §9), of rows that are here and of those
//! that come later. Pure functions over a store.
//!
//! Invariant: what is redacted is dropped before the redaction is in the log, so whoever reads of it never gets the content
//! afterwards. What only those with keys can see decides nothing here.

use std::collections::HashMap;

use stemma::causal::{ActorId, ChangesetId, SpaceId};
use stemma::event::{Author, Class, Genesis, Header, Role};
use stemma::sync::ChainRange;
use tracing::info;

use crate::store::redactions::{CLASS, is_erasable};
use crate::store::{Append, Appended, NewRow, Redaction, Store, StoreError};

/// Appends, and drops what is redacted by it or was before. Also says of which spaces something was dropped.
pub(crate) fn append(
    store: &dyn Store,
    batch: &mut [Append],
) -> Result<(Vec<Appended>, Vec<SpaceId>), StoreError> {
    let spaces: Vec<SpaceId> = batch.iter().map(|append| append.space).collect();
    let before = store.redacted(&spaces)?;
    let mut redacted = Vec::new();
    for append in batch.iter_mut() {
        let was = before.iter().any(|(space, _)| *space == append.space);
        if prepare(store, append, was)? {
            redacted.push(append.space);
        }
    }
    Ok((store.append(batch)?, redacted))
}

/// Drops what is redacted, perhaps before; whether something new is.
fn prepare(store: &dyn Store, append: &mut Append, before: bool) -> Result<bool, StoreError> {
    let Append { space, rows, .. } = append;
    let redactions: Vec<(ActorId, Header)> = rows.iter().filter_map(redaction).collect();
    if redactions.is_empty() && !before {
        return Ok(false);
    }
    let Some(record) = store.space(*space)? else { return Ok(false) };
    let genesis = Genesis::decode(&record.genesis).map_err(|_| StoreError::Damaged)?;
    let mut authors = Authors { store, space: *space, genesis, known: HashMap::new() };
    authors.meet(rows);
    let (mut noted, mut places) = (Vec::new(), Vec::new());
    for (actor, header) in &redactions {
        let Some(by) = authors.of(*actor)? else { continue };
        let (by, as_admin) = (by.member, by.role >= Role::Admin);
        for (target, (actor, seq)) in header.redacts().iter().zip(header.redacts_at()) {
            noted.push(Redaction { target: *target, by, as_admin });
            if as_admin || authors.of(*actor)?.is_some_and(|author| author.member == by) {
                places.push((*actor, *seq, *target));
            }
        }
    }
    if !noted.is_empty() {
        let end = record.head.cursor + rows.len() as u64;
        let dropped = store.redact(*space, &noted, &places, end)?;
        info!(dropped, noted = noted.len(), "redacted");
    }
    strip(&mut authors, rows)?;
    Ok(!noted.is_empty())
}

/// Takes from new rows what was redacted before they came.
fn strip(authors: &mut Authors<'_>, rows: &mut [NewRow]) -> Result<(), StoreError> {
    let has_content = |row: &&mut NewRow| row.row.content.is_some() && is_erasable(&row.row.header);
    let targets: Vec<ChangesetId> = rows.iter_mut().filter(has_content).map(|row| row.id).collect();
    for redaction in authors.store.redactions(authors.space, &targets)? {
        for row in rows.iter_mut().filter(|row| row.id == redaction.target) {
            let author = authors.of(row.actor)?;
            if redaction.as_admin || author.is_some_and(|author| author.member == redaction.by) {
                row.row.content = None;
            }
        }
    }
    Ok(())
}

fn redaction(row: &NewRow) -> Option<(ActorId, Header)> {
    let header = is_of(row, Class::Control).then(|| Header::decode(&row.row.header).ok())??;
    (!header.redacts_at().is_empty()).then_some((row.actor, header))
}

fn is_of(row: &NewRow, class: Class) -> bool {
    row.row.header.get(CLASS) == Some(&(class as u8))
}

/// Who signs for whom, as the first rows of actors say.
struct Authors<'a> {
    store: &'a dyn Store,
    space: SpaceId,
    genesis: Genesis,
    known: HashMap<ActorId, Option<Author>>,
}

impl Authors<'_> {
    /// The first rows of actors that are among these.
    fn meet(&mut self, rows: &[NewRow]) {
        for row in rows.iter().filter(|row| row.seq == 0) {
            let author = self.read(&row.row.header);
            self.known.insert(row.actor, author);
        }
    }

    /// Who an actor is, if its first row is here.
    fn of(&mut self, actor: ActorId) -> Result<Option<Author>, StoreError> {
        if let Some(known) = self.known.get(&actor) {
            return Ok(*known);
        }
        let first = [ChainRange { actor, first: 0, last: 0 }];
        let (rows, _) = self.store.chains(self.space, &first, 0, 0, 1)?;
        let author = rows.first().and_then(|row| self.read(&row.row.header));
        self.known.insert(actor, author);
        Ok(author)
    }

    fn read(&self, header: &[u8]) -> Option<Author> {
        Header::decode(header).ok()?.chain()?.verify_actor(&self.genesis).ok()
    }
}
