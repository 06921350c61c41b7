//! Concurrent typing at one place: what must stay together stays together, whoever arrives first.

#[path = "reference/dag.rs"]
mod dag;
#[path = "reference/rng.rs"]
mod rng;

use dag::{Dag, Numbers, Op, Seen};
use stemma::causal::{ChangesetIx, OpIx};
use stemma::crdt::{Anchor, Bias, Text, UnitOp, UnitRef, UnitSpan};

/// A few people with a replica each. Each edit is a changeset of its own.
struct People {
    dag: Dag,
    replicas: Vec<Replica>,
}

#[derive(Default)]
struct Replica {
    text: Text,
    numbers: Numbers,
    heads: Vec<usize>,
}

impl People {
    fn new(count: usize) -> Self {
        Self { dag: Dag::default(), replicas: (0..count).map(|_| Replica::default()).collect() }
    }

    /// Edits at one replica, as a changeset. Person and key are one number, so 0 sorts first.
    fn edit(&mut self, who: usize, edit: impl FnOnce(&mut Text)) -> usize {
        let Replica { text, numbers, heads } = &mut self.replicas[who];
        edit(text);
        let id = self.dag.changesets.len();
        let ops = text.pending_ops();
        let content = text.pending_text(ops.len());
        let seq = numbers.received.len() as u32;
        let ops: Vec<Op> = ops.iter().map(|op| numbers.to_global(op, id)).collect();
        let (ix, op_ixs) = numbers.receive(id, ops.len());
        self.dag.push(std::mem::replace(heads, vec![id]), (who as u64, seq, 0), ops, content);
        text.seal(ix, &op_ixs);
        id
    }

    fn insert(&mut self, who: usize, pos: u32, s: &str) -> usize {
        self.edit(who, |text| text.insert(pos, s).expect("it is inside"))
    }

    fn delete(&mut self, who: usize, pos: u32, len: u32) -> usize {
        self.edit(who, |text| text.delete(pos, len).expect("it is inside"))
    }

    /// Types each character before the last.
    fn insert_backwards(&mut self, who: usize, pos: u32, s: &str) {
        for letter in s.chars().rev() {
            self.insert(who, pos, letter.encode_utf8(&mut [0; 4]));
        }
    }

    /// Types each character behind the last, as one changeset each.
    fn insert_forwards(&mut self, who: usize, pos: u32, s: &str) {
        for (at, letter) in (pos..).zip(s.chars()) {
            self.insert(who, at, letter.encode_utf8(&mut [0; 4]));
        }
    }

    fn receive(&mut self, who: usize, id: usize) {
        let Replica { text, numbers, heads } = &mut self.replicas[who];
        let (ix, ops) = numbers.receive(id, self.dag.changesets[id].ops.len());
        let ops: Vec<_> =
            ops.into_iter().zip(self.dag.changesets[id].ops.iter().map(|op| numbers.to_local(op))).collect();
        text.apply(&Seen(&self.dag, numbers), ix, &ops, Some(&self.dag.changesets[id].content), |_| true);
        text.dbg_check();
        heads.retain(|&head| !self.dag.contains(id, head));
        heads.push(id);
    }

    /// Everybody gets everything, in several orders; returns the one text there is.
    fn merge(&mut self) -> String {
        let mut rng = rng::Rng::new(7);
        self.replicas.extend((0..8).map(|_| Replica::default()));
        let end = self.dag.changesets.len();
        for who in 0..self.replicas.len() {
            while let Some(id) = self.replicas[who].numbers.next(&self.dag, end, &mut rng) {
                self.receive(who, id);
            }
        }
        let text = self.replicas[0].text.to_string();
        assert!(self.replicas.iter().all(|replica| replica.text.to_string() == text));
        self.replicas.truncate(self.replicas.len() - 8);
        text
    }

    /// Like `merge`, while opinions differ.
    fn merge_all_but_text(&mut self) {
        for who in 0..self.replicas.len() {
            for id in 0..self.dag.changesets.len() {
                if !self.replicas[who].numbers.has(id) {
                    self.receive(who, id);
                }
            }
        }
    }
}

#[test]
fn words_typed_forwards_stay_whole() {
    let mut people = People::new(2);
    people.insert(0, 0, "<>");
    people.merge();
    people.insert_forwards(0, 1, "milk");
    people.insert_forwards(1, 1, "eggs");
    assert_eq!(people.merge(), "<milkeggs>");
}

#[test]
fn words_typed_backwards_stay_whole() {
    let mut people = People::new(2);
    people.insert(0, 0, "<>");
    people.merge();
    people.insert_backwards(0, 1, "milk");
    people.insert_backwards(1, 1, "eggs");
    let text = people.merge();
    assert!(text == "<milkeggs>" || text == "<eggsmilk>", "{text}");
}

#[test]
fn words_typed_both_ways_stay_whole() {
    let mut people = People::new(2);
    people.insert(0, 0, "<>");
    people.merge();
    people.insert_forwards(0, 1, "milk");
    people.insert_backwards(0, 1, "oat");
    people.insert_backwards(1, 1, "eggs");
    people.insert_forwards(1, 5, "ham");
    let text = people.merge();
    assert!(text == "<oatmilkeggsham>" || text == "<eggshamoatmilk>", "{text}");
}

#[test]
fn words_appended_at_the_end_stay_whole() {
    let mut people = People::new(3);
    for (who, word) in ["one ", "two ", "six "].into_iter().enumerate() {
        people.insert_forwards(who, 0, word);
    }
    assert_eq!(people.merge(), "one two six ");
}

/// One inserts before an item it saw, another concurrently before both: nothing may come between "1" and "2".
#[test]
fn a_pair_that_one_author_made_stays_together() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut people = People::new(3);
        let two = people.insert(order[0], 0, "2");
        people.receive(order[1], two);
        people.insert(order[1], 0, "1");
        people.insert(order[2], 0, "x");
        let text = people.merge();
        assert!(text == "12x" || text == "x12", "{text}");
    }
}

#[test]
fn two_devices_of_one_person_are_two_authors() {
    let mut people = People::new(3);
    people.insert(0, 0, "()");
    people.merge();
    people.insert_forwards(1, 1, "desk");
    people.insert_forwards(2, 1, "phone");
    people.insert_forwards(1, 5, "top");
    assert_eq!(people.merge(), "(desktopphone)");
}

#[test]
fn typing_at_both_ends_of_a_deleted_run_keeps_the_ends() {
    let mut people = People::new(3);
    people.insert(0, 0, "a---b");
    people.merge();
    let delete = people.delete(0, 1, 3);
    people.insert(1, 1, "L");
    people.insert(2, 4, "R");
    assert_eq!(people.merge(), "aLRb");
    for Replica { text, numbers, .. } in &mut people.replicas {
        text.set_active(numbers.op_ix((delete, 0)).expect("all have it"), false);
        assert_eq!(text.to_string(), "aL---Rb");
    }
}

#[test]
fn typing_at_both_ends_of_an_excluded_run_keeps_the_ends() {
    let mut people = People::new(3);
    people.insert(0, 0, "ab");
    people.merge();
    let middle = people.insert(0, 1, "---");
    people.merge();
    let set = |people: &mut People, who: usize, on| {
        let Replica { text, numbers, .. } = &mut people.replicas[who];
        text.set_active(numbers.op_ix((middle, 0)).expect("all have it"), on);
    };
    set(&mut people, 0, false);
    people.insert(1, 1, "L");
    people.insert(2, 4, "R");
    people.merge_all_but_text();
    assert_eq!(people.replicas[0].text.to_string(), "aLRb");
    set(&mut people, 0, true);
    assert_eq!(people.merge(), "aL---Rb");
    // Off everywhere it leaves one place, in which words still stay whole.
    (0..3).for_each(|who| set(&mut people, who, false));
    people.insert_forwards(1, 2, "one");
    people.insert_backwards(2, 2, "two");
    people.merge_all_but_text();
    let texts: Vec<String> = people.replicas.iter().map(|replica| replica.text.to_string()).collect();
    assert!(texts[0] == "aLonetwoRb" || texts[0] == "aLtwooneRb", "{}", texts[0]);
    assert!(texts.iter().all(|text| *text == texts[0]));
}

/// Both copies show once the delete is off: nobody can know that they are the same words.
#[test]
fn what_was_typed_again_beside_a_deleted_copy_stands_beside_it() {
    let mut people = People::new(2);
    people.insert(0, 0, "<words>");
    people.merge();
    let delete = people.delete(0, 1, 5);
    people.insert(0, 1, "words");
    people.insert(1, 3, "-");
    assert_eq!(people.merge(), "<words->");
    for Replica { text, numbers, .. } in &mut people.replicas {
        text.set_active(numbers.op_ix((delete, 0)).expect("all have it"), false);
        assert_eq!(text.to_string(), "<wordswo-rds>");
    }
}

/// No algorithm keeps these apart: three type both ways into one gap, having seen some of each other. All agree.
#[test]
fn many_ways_into_one_gap_converge() {
    let mut rng = rng::Rng::new(5);
    for _ in 0..20 {
        let mut people = People::new(3);
        people.insert(0, 0, "<>");
        people.merge();
        let mut typed = 2;
        for step in 0..12 {
            let who = rng.below(3);
            let pos = 1 + rng.below(people.replicas[who].text.len() as usize - 1) as u32;
            if rng.chance(50) {
                people.insert_forwards(who, pos, "abc");
            } else {
                people.insert_backwards(who, pos, "xyz");
            }
            typed += 3;
            let other = rng.below(3);
            if other != who && step % 2 == 0 {
                let end = people.dag.changesets.len();
                for _ in 0..2 {
                    if let Some(id) = people.replicas[other].numbers.next(&people.dag, end, &mut rng) {
                        people.receive(other, id);
                    }
                }
            }
        }
        let text = people.merge();
        assert_eq!((text.len(), &text[..1], &text[typed - 1..]), (typed, "<", ">"));
    }
}

#[test]
fn typing_around_a_run_that_is_off_is_around_it_when_it_is_back() {
    let mut people = People::new(2);
    people.insert(0, 0, "ab");
    people.merge();
    let middle = people.insert(0, 1, "---");
    people.merge();
    let set = |people: &mut People, who: usize, on| {
        let Replica { text, numbers, .. } = &mut people.replicas[who];
        text.set_active(numbers.op_ix((middle, 0)).expect("all have it"), on);
    };
    set(&mut people, 0, false);
    assert_eq!(people.replicas[0].text.to_string(), "ab");
    people.insert(0, 1, "x");
    people.insert(1, 3, "y");
    people.delete(1, 0, 1);
    people.merge_all_but_text();
    set(&mut people, 0, true);
    assert_eq!(people.merge(), "x--y-b");
}

/// What an excluded delete brings back can be edited like any text.
#[test]
fn text_that_came_back_can_be_deleted_and_typed_into() {
    let mut people = People::new(2);
    people.insert(0, 0, "abcd");
    people.merge();
    let delete = people.delete(1, 0, 4);
    people.merge_all_but_text();
    let Replica { text, numbers, .. } = &mut people.replicas[0];
    text.set_active(numbers.op_ix((delete, 0)).expect("it is there"), false);
    people.delete(0, 2, 1);
    people.insert(0, 2, "X");
    assert_eq!(people.replicas[0].text.to_string(), "abXd");
    people.merge_all_but_text();
    assert_eq!(people.replicas[1].text.to_string(), "X");
}

#[test]
fn a_unit_is_hidden_while_any_reason_holds() {
    let mut people = People::new(3);
    let insert = people.insert(0, 0, "abc");
    people.merge();
    let deletes = [people.delete(1, 1, 1), people.delete(2, 0, 2)];
    assert_eq!(people.merge(), "c");
    let Replica { text, numbers, .. } = &mut people.replicas[0];
    let op = |id: usize| numbers.op_ix((id, 0)).expect("all have it");
    for (what, on, expected) in [
        (deletes[1], false, "ac"),
        (deletes[1], false, "ac"),
        (insert, false, ""),
        (deletes[0], false, ""),
        (insert, true, "abc"),
        (deletes[1], true, "c"),
    ] {
        text.set_active(op(what), on);
        assert_eq!(text.to_string(), expected);
    }
    text.set_active(OpIx(99), false);
    assert_eq!(text.to_string(), "c");
}

#[test]
fn edits_join_into_as_few_ops_as_they_are() {
    let mut text = Text::new();
    let edit = |text: &mut Text, edits: &[(u32, u32, &str)]| {
        for &(pos, deleted, s) in edits {
            text.delete(pos, deleted).expect("it is inside");
            text.insert(pos, s).expect("it is inside");
        }
        let ops = text.pending_ops();
        let first = if text.authorship().iter().any(|run| run.1 == ChangesetIx(0)) { 1 } else { 0 };
        let numbers: Vec<OpIx> = (0..ops.len() as u32).map(|op| OpIx(first * 100 + op)).collect();
        assert_eq!(text.check(&Alone, ChangesetIx::OPEN, &ops), Ok(()));
        text.seal(ChangesetIx(first), &numbers);
        ops
    };
    let unit = |changeset: u32, offset| Some(UnitRef { changeset: ChangesetIx(changeset), offset });
    let own = |offset| unit(ChangesetIx::OPEN.0, offset);
    let typed = edit(&mut text, &[(0, 0, "h"), (1, 0, "el"), (3, 0, "lo"), (2, 0, "-")]);
    let insert = |left, right, len| UnitOp::Insert { left, right, len };
    assert_eq!(typed, [insert(None, None, 5), insert(own(1), own(2), 1)]);
    assert_eq!(text.to_string(), "he-llo");

    // "he-llo": backspace over "e-", the delete key over "ll", backspace over "h".
    let deleted = edit(&mut text, &[(2, 1, ""), (1, 1, ""), (1, 1, ""), (1, 1, ""), (0, 1, "")]);
    let span = |offset, len| UnitSpan { changeset: ChangesetIx(0), offset, len };
    let delete = |spans: &[UnitSpan]| UnitOp::Delete { spans: spans.to_vec() };
    assert_eq!(deleted, [delete(&[span(5, 1), span(0, 4)])]);
    assert_eq!(text.to_string(), "o");
}

#[test]
fn a_replacement_is_a_delete_and_an_insert() {
    let mut text = Text::new();
    text.insert(0, "one two").expect("it is inside");
    text.seal(ChangesetIx(0), &[OpIx(0)]);
    let mark = text.mark();
    text.delete(4, 3).expect("it is inside");
    text.insert(4, "six").expect("it is inside");
    text.delete(0, 1).expect("it is inside");
    text.delete(5, 1).expect("it is inside");
    assert_eq!((text.to_string().as_str(), text.pending_ops().len()), ("ne si", 4));
    text.rollback(mark);
    assert_eq!((text.to_string().as_str(), text.is_sealed()), ("one two", true));
}

/// The same position is another place once an op was switched.
#[test]
fn a_toggle_ends_a_run_of_deletes() {
    let mut text = Text::new();
    for (number, word) in ["abc", "xyz"].into_iter().enumerate() {
        text.insert(0, word).expect("it is inside");
        text.seal(ChangesetIx(number as u32), &[OpIx(number as u32)]);
    }
    text.delete(4, 1).expect("it is inside");
    text.set_active(OpIx(1), false);
    text.set_active(OpIx(1), true);
    text.delete(4, 1).expect("it is inside");
    assert_eq!((text.to_string().as_str(), text.pending_ops().len()), ("xyza", 2));
}

/// A paste above what one changeset can hold is cut into ops that fit, and never through a pair.
#[test]
fn a_large_paste_becomes_several_ops() {
    let mut text = Text::new();
    let paste = format!("a{}", "😀".repeat(100_000));
    text.insert(0, &paste).expect("it is inside");
    let ops = text.pending_ops();
    assert_eq!(text.check(&Alone, ChangesetIx::OPEN, &ops), Ok(()));
    assert_eq!(ops.len(), 4);
    let mut sealed = String::new();
    for number in 0..4 {
        let part = text.pending_text(1);
        assert!(part.len() < 256 * 1024 && !part.contains('\u{FFFD}'));
        sealed += &part;
        text.seal(ChangesetIx(number), &[OpIx(number)]);
        text.dbg_check();
    }
    assert_eq!((sealed == paste, text.is_sealed()), (true, true));
    // Deleting it names each changeset's units.
    text.delete(0, text.len()).expect("it is inside");
    let UnitOp::Delete { spans } = &text.pending_ops()[0] else { panic!("it is a delete") };
    assert_eq!(spans.len(), 4);
}

#[test]
fn positions_outside_are_refused_and_change_nothing() {
    let mut text = Text::new();
    text.insert(0, "a😀b").expect("it is inside");
    assert!(text.insert(5, "x").is_err());
    assert!(text.delete(4, 1).is_err());
    assert!(text.delete(1, u32::MAX).is_err());
    assert!(text.slice(0..5).is_err());
    assert!(text.anchor_at(5, Bias::Before).is_err());
    let unit = UnitRef { changeset: ChangesetIx(3), offset: 0 };
    assert_eq!(text.position(Anchor::Unit { unit, bias: Bias::After }), None);
    let unit = UnitRef { changeset: ChangesetIx::OPEN, offset: 4 };
    assert_eq!(text.position(Anchor::Unit { unit, bias: Bias::After }), None);
    assert_eq!((text.to_string().as_str(), text.pending_ops().len()), ("a😀b", 1));
    // Inside a pair: typed before it, deleted with all of it.
    text.insert(2, "-").expect("it is inside");
    assert_eq!(text.to_string(), "a-😀b");
    text.delete(3, 1).expect("it is inside");
    assert_eq!(text.to_string(), "a-b");
}

#[test]
fn anchors_hold_their_place() {
    let mut text = Text::new();
    text.insert(0, "one two").expect("it is inside");
    text.seal(ChangesetIx(0), &[OpIx(0)]);
    let at = |text: &Text, pos, bias| text.anchor_at(pos, bias).expect("it is inside");
    let (start, end) = (at(&text, 4, Bias::Before), at(&text, 7, Bias::After));
    let (edge, tail) = (at(&text, 0, Bias::After), at(&text, 7, Bias::Before));
    assert_eq!((edge, tail), (Anchor::Start, Anchor::End));
    text.insert(0, ">> ").expect("it is inside");
    text.insert(10, "!").expect("it is inside");
    let positions =
        |text: &Text| [edge, start, end, tail].map(|anchor| text.position(anchor).expect("it is known"));
    assert_eq!(positions(&text), [0, 7, 10, 11]);
    text.delete(5, 5).expect("it is inside");
    assert_eq!(positions(&text), [0, 5, 5, 6]);
}

/// A history of one author.
struct Alone;

impl stemma::crdt::History for Alone {
    fn contains(&self, _: ChangesetIx, _: ChangesetIx) -> bool {
        true
    }
    fn order(&self, a: ChangesetIx, b: ChangesetIx) -> std::cmp::Ordering {
        a.cmp(&b)
    }
    fn changeset_of(&self, op: OpIx) -> ChangesetIx {
        ChangesetIx(op.0)
    }
}
