//! Who is here, session by session, with messages that are lost, recorded, forged or too many.

use super::*;
use std::collections::VecDeque;

fn id(byte: u8) -> PresenceSession {
    PresenceSession([byte; 8])
}

/// Sessions that hear one another at once; `lost` says what is not heard.
struct Room {
    now: u64,
    sessions: Vec<Presence>,
}

impl Room {
    fn new(count: u8) -> Self {
        let session = |byte| {
            let mut presence = Presence::default();
            presence.begin(|| id(byte));
            presence
        };
        Self { now: 1_000_000, sessions: (1..=count).map(session).collect() }
    }

    /// Everything that is due until `for_ms` later is said and heard.
    fn run(&mut self, for_ms: u64, lost: impl Fn(u8, u8) -> bool) -> Vec<PresenceMessage> {
        let mut said = Vec::new();
        let end = self.now + for_ms;
        while self.now <= end {
            for from in 0..self.sessions.len() {
                self.sessions[from].expire(self.now);
                let view = || ShownView { frontier: [0; 32], digest: [from as u8; 32] };
                let Some(draft) = self.sessions[from].next_message(self.now, true, view) else { continue };
                let message = message(from, draft);
                for to in (0..self.sessions.len()).filter(|to| *to != from && !lost(from as u8, *to as u8)) {
                    self.sessions[to].hear(message.clone(), MemberId([from as u8; 32]), self.now);
                }
                said.push(message);
            }
            self.now += 10;
        }
        said
    }

    fn seen_by(&self, session: usize) -> Vec<u8> {
        self.sessions[session].others().map(|(id, _)| id.0[0]).collect()
    }

    fn show(&mut self, session: usize, fields: &[(&str, bool)]) {
        let fields = fields.iter().map(|(field, value)| ((*field).to_owned(), Value::Bool(*value)));
        self.sessions[session].set(fields.collect());
    }

    fn state(&self, of: u8, at: usize) -> Vec<(String, bool)> {
        let (_, other) = self.sessions[at].others().find(|(other, _)| *other == id(of)).expect("it is here");
        let fields = other.state.iter().map(|(field, value)| (field.clone(), *value == Value::Bool(true)));
        fields.collect()
    }
}

fn message(from: usize, draft: Draft) -> PresenceMessage {
    let chain = draft.is_whole.then(|| crate::event::Chain::new(Vec::new()));
    draft.of(ActorId([from as u8; 32]), chain)
}

fn all_hear(_: u8, _: u8) -> bool {
    false
}

#[test]
fn who_is_here_finds_the_others_with_few_messages() {
    let mut room = Room::new(8);
    let said = room.run(1_000, all_hear);
    for session in 0..8 {
        let others: Vec<u8> = (1..=8).filter(|other| *other != session as u8 + 1).collect();
        assert_eq!(room.seen_by(session), others);
    }
    assert!(said.len() <= 3 * 8, "{} messages", said.len());
}

/// How many messages it takes until so many see each other who come at once, and the most of their answers within 50 ms.
fn greetings_of(count: usize) -> (usize, usize) {
    let mut room = Room { now: 1_000_000, sessions: vec![Presence::default(); count] };
    for (number, presence) in (1_u64..).zip(&mut room.sessions) {
        // Eight bytes that are not one byte eight times.
        presence.begin(|| PresenceSession(number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()));
    }
    let mut said = room.run(10, all_hear).len();
    assert_eq!(said, count, "each says that it is here");
    let answers: Vec<usize> = (0..60).map(|_| room.run(40, all_hear).len()).collect();
    said += answers.iter().sum::<usize>();
    assert!((0..count).all(|session| room.sessions[session].others().count() == count - 1));
    (said, answers.into_iter().max().unwrap_or(0))
}

#[test]
fn who_come_at_once_are_answered_together_and_not_by_all_in_one_moment() {
    let [(few, peak), (many, peak_of_many)] = [20, 40].map(greetings_of);
    assert_eq!(
        (few, many),
        (39, 79),
        "each says once that it is here, and once whom it heard; the last at once"
    );
    assert!(peak <= 6 && peak_of_many <= 8, "{peak} and {peak_of_many} in 50 ms");
}

#[test]
fn fields_go_one_by_one_and_come_back_whole() {
    let mut room = Room::new(2);
    room.show(0, &[("a", true), ("b", true)]);
    room.run(500, all_hear);
    assert_eq!(room.state(1, 1), [("a".to_owned(), true), ("b".to_owned(), true)]);
    room.show(0, &[("a", false), ("b", true)]);
    room.show(0, &[("a", true), ("b", true), ("c", true)]);
    room.show(0, &[("a", false), ("c", true)]);
    let said = room.run(200, all_hear);
    assert_eq!(said.len(), 1, "what changes within the pause is one message");
    assert_eq!((said[0].removed.len(), said[0].changed.len()), (1, 2));
    assert_eq!(room.state(1, 1), [("a".to_owned(), false), ("c".to_owned(), true)]);
    // What got lost comes with the next whole one.
    room.show(0, &[("a", true)]);
    room.run(200, |_, _| true);
    assert_eq!(room.state(1, 1), [("a".to_owned(), false), ("c".to_owned(), true)]);
    room.run(BEAT_MS, all_hear);
    assert_eq!(room.state(1, 1), [("a".to_owned(), true)]);
}

/// A way for one message in 600 ms, on which sessions come one after another: what answers them waits there, and they go on to say
/// that they do not know who answers.
#[test]
fn on_a_slow_way_answers_do_not_breed() {
    let mut room = Room::new(9);
    let mut under_way = VecDeque::new();
    let (mut free_ms, mut whole) = (room.now, 0);
    let begin = room.now;
    for _ in 0..50_000 {
        let here = 9.min(1 + (room.now - begin) / 700) as usize;
        for from in 0..here {
            room.sessions[from].expire(room.now);
            let view = || ShownView { frontier: [0; 32], digest: [0; 32] };
            if let Some(draft) = room.sessions[from].next_message(room.now, true, view) {
                whole += usize::from(draft.is_whole);
                free_ms = free_ms.max(room.now) + 600;
                under_way.push_back((free_ms, from, message(from, draft)));
            }
        }
        while under_way.front().is_some_and(|(due, ..)| *due <= room.now) {
            let (_, from, message) = under_way.pop_front().expect("just seen");
            for to in (0..here).filter(|to| *to != from) {
                room.sessions[to].hear(message.clone(), MemberId([from as u8; 32]), room.now);
            }
        }
        room.now += 10;
    }
    assert!(under_way.len() < 9, "{} are under way, of {whole} whole ones", under_way.len());
    (0..9).for_each(|session| assert_eq!(room.seen_by(session).len(), 8));
}

#[test]
fn the_silent_are_gone_and_come_back() {
    let mut room = Room::new(3);
    room.run(1_000, all_hear);
    room.run(GONE_MS + 1_000, |from, to| from == 2 || to == 2);
    assert_eq!((room.seen_by(0), room.seen_by(2)), (vec![2], vec![]));
    room.run(2 * BEAT_MS, all_hear);
    assert_eq!((room.seen_by(0), room.seen_by(2)), (vec![2, 3], vec![1, 2]));
}

#[test]
fn leaving_is_seen_at_once_and_nothing_recorded_makes_a_ghost() {
    let mut room = Room::new(2);
    let recorded = room.run(1_000, all_hear);
    let last = room.sessions[0].leave().expect("it was seen");
    let last = message(0, last);
    assert_eq!(room.sessions[1].hear(last.clone(), MemberId([0; 32]), room.now), Heard::Changed);
    assert!(room.seen_by(1).is_empty());
    assert_eq!(room.sessions[0].leave(), None);
    let again = recorded.into_iter().chain([last]).filter(|message| message.session == id(1));
    for message in again {
        assert_eq!(room.sessions[1].hear(message, MemberId([0; 32]), room.now), Heard::Nothing);
    }
    assert!(room.seen_by(1).is_empty());
}

#[test]
fn who_comes_later_is_not_shown_what_was_said_before() {
    let mut room = Room::new(2);
    let recorded = room.run(1_000, all_hear);
    let mut late = Presence::default();
    late.begin(|| id(9));
    for message in recorded {
        late.hear(message, MemberId([7; 32]), room.now);
    }
    assert_eq!(late.others().count(), 0, "none of them names it");
}

#[test]
fn nobody_speaks_for_the_session_of_another_actor() {
    let mut room = Room::new(2);
    room.run(1_000, all_hear);
    let mut forged = room.sessions[0].clone();
    forged.set([("x".to_owned(), Value::Null)].into());
    let view = || ShownView { frontier: [0; 32], digest: [0; 32] };
    let draft = forged.next_message(room.now + 100, true, view).expect("something changed");
    let forged = PresenceMessage { actor: ActorId([66; 32]), counter: u64::MAX, ..message(0, draft) };
    assert_eq!(room.sessions[1].hear(forged.clone(), MemberId([66; 32]), room.now), Heard::Nothing);
    // Nor makes it go, or deaf to its owner.
    let leaves = PresenceMessage { leaves: true, ..forged };
    assert_eq!(room.sessions[1].hear(leaves, MemberId([66; 32]), room.now), Heard::Nothing);
    room.show(0, &[("a", true)]);
    room.run(500, all_hear);
    assert_eq!(room.state(1, 1), [("a".to_owned(), true)]);
}

#[test]
fn a_clock_that_is_set_back_silences_nobody() {
    let mut room = Room::new(2);
    room.run(1_000, all_hear);
    room.now -= 900_000;
    room.show(0, &[("a", true)]);
    room.run(500, all_hear);
    assert_eq!(room.state(1, 1), [("a".to_owned(), true)]);
    room.run(GONE_MS + 1_000, |from, _| from == 0);
    assert!(room.seen_by(1).is_empty(), "and keeps nobody");
}

#[test]
fn what_changes_is_told_against_what_was_told_and_never_too_long() {
    let mut room = Room::new(2);
    room.run(1_000, all_hear);
    let fields = |round: usize| -> BTreeMap<String, Value> {
        (0..40)
            .map(|field| (format!("sheet {round} row {field} column {round}"), Value::Bool(true)))
            .collect()
    };
    // Ones that nobody was told of need no word when they go.
    for round in 0..30 {
        room.sessions[0].set(fields(round));
    }
    let said = room.run(200, all_hear);
    assert_eq!((said.len(), said[0].removed.len(), said[0].changed.len()), (1, 0, 40));
    // Long names that go beside a long value that comes: told as a whole.
    let long = |at: char| (String::from(at).repeat(4_000), Value::Null);
    room.sessions[0].set([long('a'), long('b')].into());
    room.run(200, all_hear);
    room.sessions[0].set([("z".to_owned(), Value::String("z".repeat(8_000)))].into());
    let said = room.run(200, all_hear);
    assert!(said.len() == 1 && said[0].chain.is_some() && said[0].removed.is_empty());
    assert_eq!(room.sessions[1].others().map(|(_, other)| other.state.len()).collect::<Vec<_>>(), [1]);
}

#[test]
fn many_sessions_cost_bounded_memory() {
    let mut presence = Presence::default();
    presence.begin(|| id(1));
    for number in 0..2_u64 * DEPARTED_MAX as u64 {
        let draft = Draft {
            session: PresenceSession(number.to_be_bytes()),
            counter: 1,
            leaves: false,
            is_whole: true,
            seen: vec![id(1)],
            view: None,
            removed: Vec::new(),
            changed: BTreeMap::new(),
        };
        presence.hear(message(0, draft), MemberId([0; 32]), number);
        if number == 0 {
            assert_eq!(presence.others().count(), 1);
        }
    }
    assert_eq!((presence.others.len(), presence.departed.len()), (SESSIONS_MAX, DEPARTED_MAX));
}

#[test]
fn without_anybody_asking_nothing_is_said_and_nobody_seen() {
    let mut room = Room::new(2);
    room.sessions[0] = Presence::default();
    room.run(1_000, all_hear);
    assert!(room.seen_by(0).is_empty() && room.seen_by(1).is_empty());
    assert_eq!(room.sessions[0].next_ms(true, false), None);
}
