//! The units of a text or a list in a snapshot (see `codec::saved`): the ops that made and hid them, and their order.
//!
//! Columns, each with as little as the others leave open. Ops number their units, so the order is told by which op goes on
//! and how far. A run was inserted between the nearest older units, unless others typed there at the same time. A delete
//! names runs of the list, mostly whole ones, mostly beside what was typed or deleted just before.

use super::piece::{NONE, Piece};
use super::piece_list::PieceList;
use super::unit_log::{ChangesetRow, Effect, Kind, OpRow, Span, UnitLog};
use super::unit_op::UNITS_MAX;
use crate::causal::{ChangesetIx, OpIx};
use crate::codec::saved::{self, check, from_unsigned, to_unsigned};
use crate::codec::{DecodeError, Reader, Saved, Writer};

/// The runs of a list in order, each as long as it can be.
pub(super) fn runs<const LEAF: usize, const BLOCK: usize>(list: &PieceList<LEAF, BLOCK>) -> Vec<Piece> {
    let mut runs: Vec<Piece> = list.iter().copied().collect();
    join(&mut runs, |_, _| ());
    runs
}

/// Writes the ops of a list and its runs.
pub(super) fn save(log: &UnitLog, runs: &[Piece], out: &mut Writer) {
    save_ops(log, out);
    let mut order = Order::of(log);
    order.save(runs, out);
    save_neighbours(&order.cuts, out);
    let ends = order.join();
    save_deletes(log, runs, &ends, out);
}

/// Reads both.
pub(super) fn load(from: &mut Reader<'_>) -> Result<(UnitLog, Vec<Piece>), DecodeError> {
    let mut log = load_ops(from)?;
    let mut order = Order::of(&log);
    order.load(from)?;
    load_neighbours(&mut order.cuts, from)?;
    let ends = order.join();
    load_deletes(&mut log, &order.cuts, &ends, from)?;
    Ok((log, order.cuts))
}

/// Room for so many rows is made at once, by the bytes that are there; for more as they prove to be rows.
const ROWS_RESERVED_MAX: usize = 65_536;

/// Bytes of a column: they are compared with what is left.
const COLUMN_BYTES_MAX: usize = u32::MAX as usize;

fn save_ops(log: &UnitLog, out: &mut Writer) {
    let mut lens = Writer::new();
    for row in &log.ops {
        lens.varint(u64::from(row.end - row.first) << 1 | u64::from(row.kind == Kind::Delete));
    }
    out.bytes(lens.as_slice());
    saved::save_ranges(out, log.ops.iter().map(|row| row.op.0));
    let numbers = |chosen: fn(&OpRow) -> bool| {
        let rows = log.ops.iter().zip(0_u32..).filter(move |(row, _)| chosen(row));
        rows.map(|(_, at)| at).collect::<Vec<_>>()
    };
    saved::save_steps(out, numbers(|row| row.kind == Kind::Move));
    saved::save_steps(out, numbers(|row| !row.active));
    // A changeset has a row because it inserted: how many ops.
    let mut counts = Writer::new();
    let mut inserts = log.ops.iter().filter(|row| row.kind != Kind::Delete).peekable();
    for at in 0..log.changesets.len() {
        let end = log.changesets.get(at + 1).map_or(log.units, |next| next.first);
        let of = std::iter::from_fn(|| inserts.next_if(|row| row.first < end));
        counts.varint(of.count() as u64);
    }
    out.bytes(counts.as_slice());
    saved::save_ranges(out, log.changesets.iter().map(|row| row.changeset.0));
    let absent = log.changesets.iter().zip(0..).filter(|(row, _)| row.absent);
    saved::save_steps(out, absent.map(|(_, at)| at).collect::<Vec<u32>>());
}

/// The units that deletes name are still to come.
fn load_ops(from: &mut Reader<'_>) -> Result<UnitLog, DecodeError> {
    let mut log = UnitLog::default();
    let mut lens = from.part("lengths", COLUMN_BYTES_MAX)?;
    log.ops.reserve_exact(lens.varints().min(ROWS_RESERVED_MAX));
    let mut spans = 0_u32;
    while !lens.rest().is_empty() {
        let packed = lens.number("length", u64::from(UNITS_MAX) << 1 | 1)?;
        let (kind, count) = match packed & 1 {
            0 => (Kind::Insert, &mut log.units),
            _ => (Kind::Delete, &mut spans),
        };
        let (first, len) = (*count, (packed >> 1) as u32);
        *count = first.saturating_add(len);
        check(len > 0 && *count <= UNITS_MAX, from, "unit log", "an op has units or names some")?;
        log.ops.push(OpRow { op: OpIx(0), kind, first, end: *count, active: true });
    }
    log.ops.shrink_to_fit();
    let rows = log.ops.iter_mut();
    saved::load_ranges(from, rows, |row, number| row.op = OpIx(number))?;
    for at in saved::load_rising(from)? {
        let row = log.ops.get_mut(at as usize);
        let row = row.filter(|row| row.kind == Kind::Insert && row.end - row.first == 1);
        check(row.is_some(), from, "unit log", "a move has one unit")?;
        row.into_iter().for_each(|row| row.kind = Kind::Move);
    }
    for at in saved::load_rising(from)? {
        let row = log.ops.get_mut(at as usize);
        check(row.is_some(), from, "unit log", "ops are numbered")?;
        row.into_iter().for_each(|row| row.active = false);
    }
    let mut counts = from.part("counts", COLUMN_BYTES_MAX)?;
    log.changesets.reserve_exact(counts.varints().min(log.ops.len()));
    let mut firsts = log.ops.iter().filter(|row| row.kind != Kind::Delete).map(|row| row.first);
    while !counts.rest().is_empty() {
        let count = counts.varint_u32("count", UNITS_MAX)? as usize;
        let first = firsts.next();
        let has_ops = count > 0 && first.is_some() && (count == 1 || firsts.nth(count - 2).is_some());
        check(has_ops, from, "unit log", "a changeset inserts")?;
        let first = first.unwrap_or_default();
        log.changesets.push(ChangesetRow { changeset: ChangesetIx(0), first, absent: false });
    }
    check(firsts.next().is_none(), from, "unit log", "each unit has a changeset")?;
    saved::load_ranges(from, log.changesets.iter_mut(), |row, number| row.changeset = ChangesetIx(number))?;
    for at in saved::load_rising(from)? {
        let row = log.changesets.get_mut(at as usize);
        check(row.is_some(), from, "unit log", "changesets are numbered")?;
        row.into_iter().for_each(|row| row.absent = true);
    }
    Ok(log)
}

/// The walk through a list, op by op.
struct Order {
    /// The first unit of each op that inserts, then the number of units.
    starts: Vec<u32>,
    /// By op, the unit that comes next.
    next: Vec<u32>,
    /// Ops that were begun, the innermost last; some of them are through.
    begun: Vec<u32>,
    /// The op after the one that was met last.
    expected: u32,
    /// What was walked, cut where the op changes.
    cuts: Vec<Piece>,
    /// By op, the cut that ends it.
    ends: Vec<u32>,
}

impl Order {
    fn of(log: &UnitLog) -> Self {
        let rows = log.ops.iter().filter(|row| row.kind != Kind::Delete);
        let next: Vec<u32> = rows.map(|row| row.first).collect();
        let starts = next.iter().copied().chain([log.units]).collect();
        let ends = vec![0; next.len()];
        Self { starts, next, begun: Vec::new(), expected: 0, cuts: Vec::new(), ends }
    }

    /// The op that goes on if nothing else is said.
    fn innermost(&mut self) -> Option<u32> {
        while let Some(&op) = self.begun.last() {
            if self.rest(op) > 0 {
                return Some(op);
            }
            self.begun.pop();
        }
        None
    }

    /// Units of an op that were not met yet.
    fn rest(&self, op: u32) -> u32 {
        self.starts[op as usize + 1] - self.next[op as usize]
    }

    fn take(&mut self, op: u32, len: u32, hide: u32) {
        let first = self.next[op as usize];
        if first == self.starts[op as usize] {
            self.begun.push(op);
        }
        self.next[op as usize] = first + len;
        self.expected = op + 1;
        self.ends[op as usize] = self.cuts.len() as u32;
        self.cuts.push(Piece { first, len, left: NONE, right: NONE, hide });
    }

    fn save(&mut self, runs: &[Piece], out: &mut Writer) {
        let (mut ops, mut lens, mut hides) = (Writer::new(), Writer::new(), Vec::new());
        for run in runs {
            let mut left = run.tail(0);
            while left.len > 0 {
                let innermost = self.innermost();
                let op = self.starts.partition_point(|start| *start <= left.first) as u32 - 1;
                let step = || 1 + to_unsigned(i64::from(op) - i64::from(self.expected));
                ops.varint(if innermost == Some(op) { 0 } else { step() });
                let len = left.len.min(self.rest(op));
                let told = if len == self.rest(op) { 0 } else { len };
                lens.varint(u64::from(told) << 1 | u64::from(left.hide > 0));
                if left.hide > 1 {
                    hides.push((self.cuts.len() as u32, left.hide));
                }
                self.take(op, len, left.hide);
                let cut = self.cuts.last_mut().expect("it was just pushed");
                (cut.left, cut.right) = (left.left, left.right);
                left = left.split(len);
            }
        }
        out.bytes(ops.as_slice()).bytes(lens.as_slice());
        hides.save(out);
    }

    fn load(&mut self, from: &mut Reader<'_>) -> Result<(), DecodeError> {
        let (mut ops, mut lens) =
            (from.part("ops", COLUMN_BYTES_MAX)?, from.part("lengths", COLUMN_BYTES_MAX)?);
        let count = self.next.len() as i64;
        self.cuts.reserve_exact(ops.varints().min(lens.varints()));
        while !ops.rest().is_empty() {
            let op = match ops.number("op", u64::from(u32::MAX) << 1)?.checked_sub(1) {
                None => self.innermost(),
                Some(step) => Some(i64::from(self.expected) + from_unsigned(step))
                    .filter(|op| (0..count).contains(op))
                    .map(|op| op as u32),
            };
            let packed = lens.number("length", u64::from(UNITS_MAX) << 1 | 1)?;
            let (told, hide) = ((packed >> 1) as u32, (packed & 1) as u32);
            let rest = op.map_or(0, |op| self.rest(op));
            check(rest > told, &ops, "order", "an op goes on for as long as it has units")?;
            let len = if told == 0 { rest } else { told };
            self.take(op.unwrap_or_default(), len, hide);
        }
        lens.finish("lengths")?;
        let whole = self.next.iter().eq(&self.starts[1..]);
        check(whole, from, "order", "each unit is in it")?;
        for (at, hide) in Vec::<(u32, u32)>::load(from)? {
            let cut = self.cuts.get_mut(at as usize);
            check(cut.is_some(), from, "order", "what is hidden is there")?;
            cut.into_iter().for_each(|cut| cut.hide = hide);
        }
        Ok(())
    }

    /// Makes runs of the cuts that can be, and tells by op the run that has its last unit.
    fn join(&mut self) -> Vec<u32> {
        let mut run_of = vec![0; self.cuts.len()];
        join(&mut self.cuts, |cut, run| run_of[cut] = run);
        self.cuts.shrink_to_fit();
        self.ends.iter().map(|cut| run_of[*cut as usize]).collect()
    }
}

/// Makes neighbours one where they can be, telling for each what became of it.
fn join(runs: &mut Vec<Piece>, mut became: impl FnMut(usize, u32)) {
    let mut kept = 0;
    for at in 0..runs.len() {
        let run = runs[at];
        match runs[..kept].last_mut() {
            Some(last) if last.joins(&run) => last.len += run.len,
            _ => {
                runs[kept] = run;
                kept += 1;
            }
        }
        became(at, kept as u32 - 1);
    }
    runs.truncate(kept);
}

/// Puts each between the nearest older units, as it is where nobody typed in the same place at the same time.
fn expect_neighbours(cuts: &mut [Piece]) {
    let mut older: Vec<usize> = Vec::new();
    for at in 0..cuts.len() {
        let first = cuts[at].first;
        while let Some(last) = older.pop_if(|last| cuts[*last].first > first) {
            cuts[last].right = first;
        }
        cuts[at].left = older.last().map_or(NONE, |last| cuts[*last].end() - 1);
        older.push(at);
    }
    older.into_iter().for_each(|at| cuts[at].right = NONE);
}

/// By how much a neighbour is another one than was expected. No unit is −1.
fn save_neighbour(out: &mut Writer, unit: u32, expected: u32) {
    out.zigzag(i64::from(unit as i32) - i64::from(expected as i32));
}

fn load_neighbour(from: &mut Reader<'_>, expected: u32, first: u32) -> Result<u32, DecodeError> {
    let unit = from.zigzag("unit")?.saturating_add(i64::from(expected as i32));
    check((-1..i64::from(first)).contains(&unit), from, "neighbour", "it is older")?;
    Ok(unit as i32 as u32)
}

fn save_neighbours(cuts: &[Piece], out: &mut Writer) {
    let mut expected = cuts.to_vec();
    expect_neighbours(&mut expected);
    let others = cuts.iter().zip(&expected).zip(0_u32..).filter(|((cut, expected), _)| cut != expected);
    out.varint(others.clone().count() as u64);
    let mut last = 0;
    for ((cut, expected), at) in others {
        (at - last).save(out);
        last = at;
        save_neighbour(out, cut.left, expected.left);
        save_neighbour(out, cut.right, expected.right);
    }
}

fn load_neighbours(cuts: &mut [Piece], from: &mut Reader<'_>) -> Result<(), DecodeError> {
    expect_neighbours(cuts);
    // Three numbers of a byte at least.
    let count = from.count("neighbours", u32::MAX as usize, 3)?;
    let mut at = 0_usize;
    for _ in 0..count {
        at = at.saturating_add(u32::load(from)? as usize);
        check(at < cuts.len(), from, "neighbours", "they are of a run")?;
        let Piece { first, left, right, .. } = cuts[at];
        cuts[at].left = load_neighbour(from, left, first)?;
        cuts[at].right = load_neighbour(from, right, first)?;
    }
    Ok(())
}

/// `ends` has by op that inserts the run with its last unit: what is deleted is mostly near what was typed last.
fn save_deletes(log: &UnitLog, runs: &[Piece], ends: &[u32], out: &mut Writer) {
    let mut by_unit: Vec<(u32, u32)> = runs.iter().zip(0..).map(|(run, at)| (run.first, at)).collect();
    by_unit.sort_unstable();
    let (mut places, mut parts) = (Writer::new(), Writer::new());
    let (mut ends, mut near) = (ends.iter(), 0);
    for (_, _, effect) in log.effects() {
        let Effect::Delete(spans) = effect else {
            near = ends.next().map_or(0, |run| i64::from(*run));
            continue;
        };
        for span in spans {
            let at = by_unit[by_unit.partition_point(|(first, _)| *first <= span.first) - 1].1;
            let run = runs[at as usize];
            let is_part = (run.first, run.len) != (span.first, span.len);
            places.varint(to_unsigned(i64::from(at) - near) << 1 | u64::from(is_part));
            if is_part {
                let offset = span.first - run.first;
                offset.save(&mut parts);
                (if offset + span.len == run.len { 0 } else { span.len }).save(&mut parts);
            }
            near = i64::from(at) + 1;
        }
    }
    out.bytes(places.as_slice()).bytes(parts.as_slice());
}

fn load_deletes(
    log: &mut UnitLog,
    runs: &[Piece],
    ends: &[u32],
    from: &mut Reader<'_>,
) -> Result<(), DecodeError> {
    let (mut places, mut parts) =
        (from.part("deletes", COLUMN_BYTES_MAX)?, from.part("parts", COLUMN_BYTES_MAX)?);
    let deletes = || log.ops.iter().filter(|row| row.kind == Kind::Delete);
    let count = deletes().next_back().map_or(0, |row| row.end as usize);
    check(count <= places.rest().len(), from, "deletes", "each names units")?;
    log.spans.reserve_exact(count);
    let (mut ends, mut near) = (ends.iter(), 0);
    for row in &log.ops {
        if row.kind != Kind::Delete {
            near = ends.next().map_or(0, |run| i64::from(*run));
            continue;
        }
        for _ in row.first..row.end {
            let packed = places.number("delete", u64::from(u32::MAX) << 2)?;
            let at = near + from_unsigned(packed >> 1);
            let run = usize::try_from(at).ok().and_then(|at| runs.get(at));
            let (mut first, mut len) = run.map_or((0, 0), |run| (run.first, run.len));
            if packed & 1 != 0 {
                let offset = u32::load(&mut parts)?;
                check(offset < len, &parts, "deletes", "they begin in a run")?;
                first += offset;
                len = match u32::load(&mut parts)? {
                    0 => len - offset,
                    told => told,
                };
            }
            let end = first.checked_add(len).filter(|end| len > 0 && *end <= log.units);
            check(end.is_some(), &places, "deletes", "they are of units")?;
            log.spans.push(Span { first, len });
            near = at + 1;
        }
    }
    places.finish("deletes")?;
    parts.finish("parts")
}
