//! The fold in a snapshot. Nothing of it is decided anew when it comes back: what counts, who wins and what is hidden was
//! saved as it was, so loading takes no look at the causal graph.

use super::fold::Place;
use super::objects::Sleeper;
use super::toggle::Reasons;
use super::{Fold, ObjectIx};
use crate::causal::{ChangesetIx, OpIx};
use crate::codec::{DecodeError, Reader, Saved, Writer, saved};
use std::ops::Range;

impl Saved for Fold {
    /// # Panics
    /// If a batch is open.
    fn save(&self, out: &mut Writer) {
        assert!(!self.has_batch(), "what is not sealed is in no snapshot");
        self.timeline.save(out);
        save_places(out, &self.places);
        out.varint(self.revokes.len() as u64);
        for (op, targets) in &self.revokes {
            op.0.save(out);
            saved::save_steps(
                out,
                targets.iter().flat_map(|range| [range.start, range.end]).collect::<Vec<_>>(),
            );
        }
        saved::save_steps(out, self.absent.iter().map(|op| op.0));
        saved::save_steps(out, self.redacted.iter().map(|changeset| changeset.0));
        self.reasons.save(out);
        self.events.save(out);
        self.writings.save(out);
        self.objects.save(out);
    }

    fn load(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut fold = Self { timeline: Saved::load(from)?, ..Self::default() };
        let ops = fold.timeline.next_op();
        fold.places = load_places(from, ops)?;
        let count = from.count("revokes", u32::MAX as usize, 2)?;
        for _ in 0..count {
            let op = u32::load(from)?;
            fold.revokes.insert(OpIx(op), load_targets(from, op)?);
        }
        let revokes = fold.places.iter().zip(0..).filter(|(place, _)| **place == Place::Revoke);
        let known = revokes.map(|(_, op)| OpIx(op)).eq(fold.revokes.keys().copied());
        saved::check(known, from, "revokes", "each revoke has its targets")?;
        fold.absent = saved::load_rising(from)?.into_iter().map(OpIx).collect();
        fold.redacted = saved::load_rising(from)?.into_iter().map(ChangesetIx).collect();
        fold.reasons = Reasons::load(from, ops)?;
        let known = fold.absent.last().is_none_or(|op| op.0 < ops);
        saved::check(known, from, "ops", "they are numbered")?;
        fold.events = Saved::load(from)?;
        let events = fold.places.iter().zip(0..).filter(|(place, _)| **place == Place::Event);
        let known = events.map(|(_, op)| OpIx(op)).eq(fold.events.ops());
        saved::check(known, from, "events", "each is an op")?;
        fold.writings = Saved::load(from)?;
        let mut places = Vec::new();
        let sleepers = Sleeper::load(from)?;
        fold.index.reserve(sleepers.len());
        for (saved, at) in sleepers.into_iter().zip(0..) {
            let is_new = fold.index.insert((saved.id, saved.kind), ObjectIx(at)).is_none();
            saved::check(is_new, from, "objects", "each is there once")?;
            places.push(saved.places);
            fold.objects.push_asleep(saved);
        }
        let exists = |place: &Place| match place {
            Place::Object { object, at } => places.get(object.0 as usize).is_some_and(|places| at < places),
            Place::Event | Place::Revoke | Place::Nowhere => true,
        };
        saved::check(fold.places.iter().all(exists), from, "places", "they exist")?;
        Ok(fold)
    }
}

/// Runs of ops that went to one place.
fn save_places(out: &mut Writer, places: &[Place]) {
    let runs = places.chunk_by(|a, b| a == b);
    out.varint(runs.clone().count() as u64);
    for run in runs {
        (run.len() as u32).save(out);
        match run[0] {
            Place::Nowhere => 0_u32.save(out),
            Place::Revoke => 1_u32.save(out),
            Place::Event => 2_u32.save(out),
            Place::Object { object, at } => {
                out.varint(u64::from(object.0) + 3);
                at.save(out);
            }
        }
    }
}

fn load_places(from: &mut Reader<'_>, ops: u32) -> Result<Vec<Place>, DecodeError> {
    let mut places = Vec::new();
    let runs = from.count("places", u32::MAX as usize, 2)?;
    for _ in 0..runs {
        let len = u32::load(from)? as usize;
        let place = match from.varint("place", u64::from(u32::MAX) + 2)? {
            0 => Place::Nowhere,
            1 => Place::Revoke,
            2 => Place::Event,
            object => Place::Object { object: ObjectIx((object - 3) as u32), at: u32::load(from)? },
        };
        saved::check(len <= ops as usize - places.len(), from, "places", "each op has one")?;
        places.resize(places.len() + len, place);
    }
    saved::check(places.len() == ops as usize, from, "places", "each op has one")?;
    Ok(places)
}

fn load_targets(from: &mut Reader<'_>, revoke: u32) -> Result<Box<[Range<u32>]>, DecodeError> {
    let ends = saved::load_steps(from)?;
    let targets: Box<[Range<u32>]> = ends.chunks_exact(2).map(|ends| ends[0]..ends[1]).collect();
    let fine =
        ends.len() % 2 == 0 && targets.iter().all(|range| range.start < range.end && range.end <= revoke);
    saved::check(fine, from, "revokes", "targets are earlier ops")?;
    Ok(targets)
}
