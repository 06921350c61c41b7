//! Rich text in named cases, each in one or two replicas that exchange all they have.

#[path = "reference/dag.rs"]
mod dag;
#[path = "reference/rng.rs"]
mod rng;

use dag::{Dag, Numbers, Op, Seen};
use stemma::causal::{ChangesetIx, NameId, OpIx};
use stemma::crdt::{Anchor, Bias, Text, UnitError, UnitOp};
use stemma::event::{Expand, Number, Value};

const BOLD: u8 = b'b';
const LINK: u8 = b'l';
/// What most marks do, and what links do.
const GROWS: Expand = Expand { before: false, after: true };
const STAYS: Expand = Expand { before: false, after: false };

/// Replicas of one text.
struct World {
    dag: Dag,
    replicas: Vec<(Text, Numbers, Vec<usize>)>,
}

impl World {
    /// So many replicas, all with the same text.
    fn new(replicas: usize, text: &str) -> Self {
        let empty = || (Text::new(), Numbers::default(), Vec::new());
        let mut world = Self { dag: Dag::default(), replicas: (0..replicas).map(|_| empty()).collect() };
        world.edit(0, |text_of| text_of.insert(0, text).expect("it is inside"));
        world.merge();
        world
    }

    /// Edits and seals; says which changeset that is.
    fn edit(&mut self, who: usize, edit: impl FnOnce(&mut Text)) -> usize {
        let (text, numbers, heads) = &mut self.replicas[who];
        edit(text);
        text.settle(&Seen(&self.dag, numbers));
        let (ops, content) = (text.pending_ops(), text.pending_text(text.pending_len()));
        let mut values = text.pending_values(ops.len()).into_iter();
        let id = self.dag.changesets.len();
        let ops: Vec<Op> = ops
            .iter()
            .map(|op| {
                let mut op = numbers.to_global(op, id);
                if let Op::Mark { value, .. } = &mut op {
                    *value = number(&values.next().expect("each mark has a value"));
                }
                op
            })
            .collect();
        let count = ops.len();
        self.dag.push(std::mem::replace(heads, vec![id]), (who as u64, id as u32, 0), ops, content);
        let (changeset, ops) = numbers.receive(id, count);
        text.seal(changeset, &ops);
        id
    }

    fn mark(&mut self, who: usize, range: std::ops::Range<u32>, key: u8, value: u8, expand: Expand) -> usize {
        self.edit(who, |text| {
            text.mark_range(range, NameId([key; 16]), self::value(value), expand).expect("it is inside");
        })
    }

    /// Everybody gets everything.
    fn merge(&mut self) {
        for (text, numbers, heads) in &mut self.replicas {
            for id in 0..self.dag.changesets.len() {
                if numbers.has(id) {
                    continue;
                }
                let changeset = &self.dag.changesets[id];
                let (ix, ops) = numbers.receive(id, changeset.ops.len());
                let seen = Seen(&self.dag, numbers);
                let what: Vec<UnitOp> = changeset.ops.iter().map(|op| numbers.to_local(op)).collect();
                text.check(&seen, ix, &what).expect("all are honest");
                let all: Vec<(OpIx, UnitOp)> = ops.iter().copied().zip(what).collect();
                text.apply(&seen, ix, &all, Some(&changeset.content), |_| true);
                for (op, of) in ops.into_iter().zip(&changeset.ops) {
                    if let Op::Mark { value, .. } = of {
                        assert!(text.fill_mark(op, &self::value(*value)));
                    }
                }
                text.settle(&seen);
                text.dbg_check_marks(&seen);
                heads.retain(|&head| !self.dag.contains(id, head));
                heads.push(id);
            }
        }
        let first = self.read(0);
        assert!((1..self.replicas.len()).all(|who| self.read(who) == first), "all read the same");
    }

    /// Switches all ops of a changeset, everywhere.
    fn set(&mut self, id: usize, on: bool) {
        for (text, numbers, _) in &mut self.replicas {
            for index in 0..self.dag.changesets[id].ops.len() {
                let op = numbers.op_ix((id, index)).expect("it was merged");
                text.set_active(op, on);
            }
            text.settle(&Seen(&self.dag, numbers));
        }
    }

    /// The text, each run as `[keys text]`, with values other than 1 behind their key.
    fn read(&self, who: usize) -> String {
        let text = &self.replicas[who].0;
        let (mut out, mut at) = (String::new(), 0);
        for run in text.runs() {
            let piece = text.slice(at..at + run.len).expect("runs cover the text");
            at += run.len;
            if run.marks.is_empty() {
                out.push_str(&piece);
                continue;
            }
            let keys = run.marks.iter().map(|(key, value)| match number(value) {
                1 => char::from(key.0[0]).to_string(),
                number => format!("{}{number}", char::from(key.0[0])),
            });
            out.push_str(&format!("[{} {piece}]", keys.collect::<String>()));
        }
        out
    }
}

fn value(number: u8) -> Value {
    if number == 0 { Value::Null } else { Value::Number(Number::new(number.into()).expect("finite")) }
}

fn number(value: &Value) -> u8 {
    let Value::Number(number) = value else { return 0 };
    number.get() as u8
}

fn insert(at: u32, text: &str) -> impl FnOnce(&mut Text) + '_ {
    move |of| of.insert(at, text).expect("it is inside")
}

fn delete(at: u32, len: u32) -> impl FnOnce(&mut Text) {
    move |of| of.delete(at, len).expect("it is inside")
}

#[test]
fn bold_grows_at_its_end_and_a_link_does_not() {
    let mut world = World::new(2, "one two three");
    world.mark(0, 0..3, BOLD, 1, GROWS);
    world.mark(0, 8..13, LINK, 1, STAYS);
    world.merge();
    assert_eq!(world.read(1), "[b one] two [l three]");
    world.edit(1, insert(3, "!"));
    world.edit(1, insert(14, "?"));
    world.edit(1, insert(0, "<"));
    world.edit(1, insert(10, ">"));
    world.merge();
    assert_eq!(world.read(0), "<[b one!] two >[l three]?");
    world.edit(0, insert(2, "X"));
    world.edit(0, insert(13, "Y"));
    assert_eq!(world.read(0), "<[b oXne!] two >[l tYhree]?");
}

#[test]
fn a_mark_can_grow_at_both_ends_or_at_its_start() {
    let mut world = World::new(1, "ab cd");
    world.mark(0, 0..2, BOLD, 1, Expand { before: true, after: true });
    world.mark(0, 3..5, LINK, 1, Expand { before: true, after: false });
    world.edit(0, insert(0, "("));
    world.edit(0, insert(3, ")"));
    world.edit(0, insert(5, "<"));
    world.edit(0, insert(8, ">"));
    assert_eq!(world.read(0), "[b (ab)] [l <cd]>");
}

#[test]
fn bold_and_not_bold_at_once() {
    let mut world = World::new(2, "abcdef");
    world.mark(0, 0..6, BOLD, 1, GROWS);
    world.merge();
    let (less, more) = (world.mark(0, 2..6, BOLD, 0, GROWS), world.mark(1, 0..4, BOLD, 2, GROWS));
    world.merge();
    // Where both cover a letter, one of them wins, the same for both.
    let newer_first = world.dag.newer((less, 0), (more, 0)).is_gt();
    let expected = if newer_first { "[b2 ab]cdef" } else { "[b2 abcd]ef" };
    assert_eq!(world.read(0), expected);
    // Whoever saw both decides.
    world.mark(1, 1..3, BOLD, 1, GROWS);
    world.merge();
    assert!(world.read(0).starts_with("[b2 a][b bc]"));
}

#[test]
fn typing_at_each_edge_while_another_marks() {
    let mut world = World::new(2, "abcd");
    world.mark(0, 1..3, BOLD, 1, GROWS);
    world.mark(0, 1..3, LINK, 1, STAYS);
    world.edit(1, insert(1, "<"));
    world.edit(1, insert(4, ">"));
    world.merge();
    assert_eq!(world.read(0), "a<[bl bc][b >]d");
}

#[test]
fn marked_text_that_was_deleted_meanwhile_takes_the_mark_along() {
    let mut world = World::new(2, "abcdef");
    let delete = world.edit(1, delete(1, 3));
    world.mark(0, 1..4, BOLD, 1, GROWS);
    world.merge();
    assert_eq!(world.read(0), "aef");
    world.edit(0, insert(1, "x"));
    assert_eq!(world.read(0), "axef");
    world.merge();
    world.set(delete, false);
    assert_eq!(world.read(1), "ax[b bcd]ef");
}

#[test]
fn without_one_of_two_marks_the_other_shows() {
    let mut world = World::new(2, "abcdef");
    let first = world.mark(0, 0..4, BOLD, 1, GROWS);
    world.merge();
    let second = world.mark(1, 2..6, BOLD, 2, GROWS);
    world.merge();
    assert_eq!(world.read(0), "[b ab][b2 cdef]");
    world.set(second, false);
    assert_eq!(world.read(0), "[b abcd]ef");
    world.set(first, false);
    assert_eq!(world.read(0), "abcdef");
    world.set(second, true);
    assert_eq!(world.read(0), "ab[b2 cdef]");
    world.set(first, true);
    assert_eq!(world.read(1), "[b ab][b2 cdef]");
}

#[test]
fn a_link_does_not_grow_though_its_end_is_hidden() {
    let mut world = World::new(2, "see here now");
    world.mark(0, 4..8, LINK, 1, STAYS);
    world.mark(0, 4..8, BOLD, 1, GROWS);
    let cut = world.edit(0, delete(6, 4));
    assert_eq!(world.read(0), "see [bl he]ow");
    // Right behind "he" the link would still go on: its end is the hidden "e" of "here".
    world.edit(0, insert(6, "x"));
    assert_eq!(world.read(0), "see [bl he][b x]ow");
    world.merge();
    assert_eq!(world.read(1), "see [bl he][b x]ow");
    world.set(cut, false);
    assert_eq!(world.read(1), "see [bl here][b x] now");
    // Alone, bold goes on.
    world.mark(1, 0..3, BOLD, 1, GROWS);
    world.edit(1, delete(2, 2));
    world.edit(1, insert(2, "y"));
    assert_eq!(world.read(1), "[b sey][bl here][b x] now");
}

#[test]
fn what_grows_to_the_left_does_so_from_behind_a_hidden_unit() {
    let mut world = World::new(1, "a-bc");
    world.mark(0, 2..4, BOLD, 1, Expand { before: true, after: false });
    world.edit(0, delete(1, 1));
    world.edit(0, insert(1, "x"));
    assert_eq!(world.read(0), "a[b xbc]");
}

#[test]
fn typing_between_hidden_units_leaves_only_what_ends_there() {
    // The hidden run "bcdef" holds the ends of two links and lies before a third.
    let mut world = World::new(1, "abcdefgh");
    world.mark(0, 0..3, LINK, 1, STAYS);
    world.mark(0, 3..5, LINK, 2, STAYS);
    world.mark(0, 6..8, LINK, 3, STAYS);
    world.edit(0, delete(1, 5));
    assert_eq!(world.read(0), "[l a][l3 gh]");
    world.edit(0, insert(1, "x"));
    assert_eq!(world.read(0), "[l a]x[l3 gh]");
}

#[test]
fn inserting_with_marks_shows_just_these() {
    let mut world = World::new(1, "abc");
    world.mark(0, 0..3, BOLD, 1, GROWS);
    let (dag, numbers) = (world.dag.clone(), world.replicas[0].1.clone());
    let marked = |at: u32, text: &'static str, marks: Vec<(u8, u8)>| {
        let marks: Vec<_> = marks.iter().map(|(key, number)| (NameId([*key; 16]), value(*number))).collect();
        let (dag, numbers) = (dag.clone(), numbers.clone());
        move |of: &mut Text| {
            of.insert_marked(&Seen(&dag, &numbers), at, text, &marks).expect("it is inside");
        }
    };
    world.edit(0, |text| {
        marked(1, "-", vec![])(text);
        marked(2, "+", vec![(BOLD, 1), (LINK, 2)])(text);
        // What is there already takes no op.
        marked(5, "d", vec![(BOLD, 1)])(text);
        assert_eq!(text.pending_len(), 3 + 2 + 1);
    });
    assert_eq!(world.read(0), "[b a]-[bl2 +][b bcd]");
}

#[test]
fn a_key_grows_as_it_was_last_marked() {
    let mut world = World::new(1, "see here");
    let link = NameId([LINK; 16]);
    assert_eq!(world.replicas[0].0.habit(&link), GROWS);
    world.mark(0, 4..8, LINK, 1, STAYS);
    world.mark(0, 4..6, LINK, 0, GROWS);
    assert_eq!(world.replicas[0].0.habit(&link), STAYS);
}

#[test]
fn characters_of_two_units_are_marked_whole() {
    let mut world = World::new(1, "a😀b");
    world.mark(0, 2..3, BOLD, 1, GROWS);
    assert_eq!(world.read(0), "a[b 😀]b");
    world.mark(0, 0..2, LINK, 1, GROWS);
    assert_eq!(world.read(0), "[l a][bl 😀]b");
}

#[test]
fn nothing_cannot_be_marked() {
    let mut text = Text::new();
    text.insert(0, "abc").expect("it is inside");
    let mut mark = |range| text.mark_range(range, NameId([1; 16]), Value::Null, GROWS);
    assert_eq!(mark(1..1), Err(UnitError::EmptyRange));
    #[allow(clippy::reversed_empty_ranges)]
    let backwards = mark(2..1);
    assert_eq!(backwards, Err(UnitError::EmptyRange));
    assert_eq!(mark(1..4), Err(UnitError::OutOfRange { position: 4, len: 3 }));
    assert!(text.pending_len() == 1);
}

#[test]
fn anchors_survive_edits_exclusion_and_undo() {
    let mut world = World::new(2, "abcdef");
    let insert_id = world.edit(1, insert(3, "xyz"));
    world.merge();
    let anchor = |world: &World, pos, bias| world.replicas[0].0.anchor_at(pos, bias).expect("it is inside");
    let position = |world: &World, anchor: Anchor| world.replicas[0].0.position(anchor);
    // Behind "abcx" and before "z".
    let (left, right) = (anchor(&world, 4, Bias::After), anchor(&world, 5, Bias::Before));
    world.edit(1, insert(0, "__"));
    world.merge();
    assert_eq!((position(&world, left), position(&world, right)), (Some(6), Some(7)));
    // Without the text they were in, they stand where it was.
    world.set(insert_id, false);
    assert_eq!(world.read(0), "__abcdef");
    assert_eq!((position(&world, left), position(&world, right)), (Some(5), Some(5)));
    world.set(insert_id, true);
    assert_eq!((position(&world, left), position(&world, right)), (Some(6), Some(7)));
    let cut = world.edit(1, delete(4, 4));
    world.merge();
    assert_eq!((position(&world, left), position(&world, right)), (Some(4), Some(4)));
    world.edit(0, insert(4, "new"));
    world.merge();
    world.set(cut, false);
    assert_eq!(world.read(0), "__abnewcxyzdef");
    assert_eq!((position(&world, left), position(&world, right)), (Some(9), Some(10)));
}

#[test]
fn authors_are_those_of_what_shows() {
    let mut world = World::new(2, "abcd");
    let other = world.edit(1, insert(2, "xy"));
    world.merge();
    let cut = world.edit(0, delete(1, 2));
    world.mark(0, 0..3, BOLD, 1, GROWS);
    world.merge();
    let runs = |world: &World| world.replicas[0].0.authorship();
    let (first, second) = (ChangesetIx(0), ChangesetIx(1));
    assert_eq!(runs(&world), [(1, first), (1, second), (2, first)]);
    world.set(cut, false);
    assert_eq!(runs(&world), [(2, first), (2, second), (2, first)]);
    world.set(other, false);
    assert_eq!(runs(&world), [(4, first)]);
}
