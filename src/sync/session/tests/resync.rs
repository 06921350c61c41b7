//! A relay whose log is another one than was read.

use super::*;
use crate::causal::LogChain;

#[test]
fn a_resync_starts_over() {
    let (_, old) = batch(start(), &[row(1), row(2)]);
    for (resync, log_id) in
        [(Resync::LogId, LogId([9; 16])), (Resync::FutureCursor, LOG), (Resync::Chain, LOG)]
    {
        let mut script = Script::new(Some(old));
        script.log_in();
        script.relay(Frame::Subscribed(subscribed(Some(resync), log_id, 1)));
        assert_eq!(
            script.outputs(),
            [
                SessionOutput::Subscribed {
                    resync: Some(resync),
                    place: None,
                    log_id,
                    head: 1,
                    tips: vec![]
                },
                SessionOutput::Status(Status::Reset)
            ]
        );
        let start = Position { log_id, cursor: 0, chain: start_chain(log_id, SPACE) };
        let (frame, position) = batch(start, &[row(5)]);
        script.relay(frame);
        script.relay(caught_up(1));
        assert_eq!(script.outputs().last(), Some(&SessionOutput::Status(Status::Live)));
        script.session.stored(position);
        script.session.disconnected();
        assert_eq!(subscribe_of(&mut script).from, Some(position));
    }
}

#[test]
fn another_log_of_the_same_is_read_on_from_its_end() {
    let (_, old) = batch(start(), &[row(1), row(2)]);
    let place = Position { log_id: LogId([9; 16]), cursor: 7, chain: LogChain([8; 16]) };
    let same = |resync| Subscribed { chain: Some(place.chain), ..subscribed(resync, place.log_id, 7) };
    let log_in = |from: Option<Position>, heads| {
        let mut script = Script::new(from);
        script.session.connected(0);
        script.relay(hello());
        script.outputs();
        script.session.login(Login { heads, ..login() });
        let Some(Frame::Subscribe(subscribe)) = script.sent().pop() else { panic!("a SUBSCRIBE") };
        script.relay(admitted(None));
        (script, subscribe.heads)
    };
    let (mut script, said) = log_in(Some(old), Some(([3; 32], 7)));
    assert_eq!(said, Some([3; 32]));
    script.relay(Frame::Subscribed(same(Some(Resync::LogId))));
    let Some(SessionOutput::Subscribed { resync: None, place: Some(found), .. }) =
        script.outputs().into_iter().next()
    else {
        panic!("subscribed")
    };
    assert_eq!(found, place);
    assert_eq!(script.session.status(), Status::CatchingUp);
    let (frame, next) = batch(place, &[row(5)]);
    script.relay(frame);
    assert!(matches!(&script.outputs()[..], [SessionOutput::Rows { position, .. }] if *position == next));
    script.session.disconnected();
    assert_eq!(subscribe_of(&mut script).from, Some(place), "from what is stored");

    // A log that was never read may hold the same too.
    let (mut script, said) = log_in(None, Some(([3; 32], 7)));
    assert_eq!(said, Some([3; 32]));
    script.relay(Frame::Subscribed(same(None)));
    assert!(
        matches!(script.outputs()[0], SessionOutput::Subscribed { place: Some(found), .. } if found == place)
    );

    // Whoever compares nothing, or is where the log is, is told nothing of the kind.
    for (heads, resync) in [(None, Some(Resync::LogId)), (Some(([3; 32], 7)), None)] {
        for (chain, held_back) in [(Some(place.chain), None), (None, Some(place.chain))] {
            let (mut script, _) = log_in(Some(place), heads);
            script.relay(Frame::Subscribed(Subscribed { chain, place: held_back, ..same(resync) }));
            assert_eq!(script.ended(), (vec![Code::Malformed], Some(Retry::Backoff)));
        }
    }
}

/// A session that was told of a log that holds something else, up to 7 rows.
fn comparing(resync: Option<Resync>) -> (Script, Position) {
    let (_, old) = batch(start(), &[row(1), row(2)]);
    let place = Position { log_id: LogId([9; 16]), cursor: 7, chain: LogChain([8; 16]) };
    let mut script = Script::new(resync.map(|_| old));
    script.session.connected(0);
    script.relay(hello());
    script.session.login(Login { heads: Some(([3; 32], 7)), ..login() });
    script.relay(admitted(None));
    script.outputs();
    script.relay(Frame::Subscribed(Subscribed {
        place: Some(place.chain),
        ..subscribed(resync, place.log_id, 7)
    }));
    let status = if resync.is_some() { Status::Reset } else { Status::CatchingUp };
    assert_eq!(script.outputs(), [SessionOutput::Status(status), SessionOutput::Compare { place }]);
    (script, place)
}

#[test]
fn another_log_of_nearly_the_same_is_compared_and_read_on_from_its_end() {
    for resync in [Some(Resync::LogId), None] {
        let (mut script, place) = comparing(resync);
        assert_eq!(script.session.push_window(), Window { bytes: 0, rows: 0 });
        script.session.compare(vec![1, 2]);
        assert_eq!(script.sent(), [Frame::HeadsRange(HeadsRange { space: SPACE, sums: vec![1, 2] })]);
        let tips = vec![Tip { actor: ActorId([2; 32]), seq: 5, id: ChangesetId([6; 32]) }];
        let answer = HeadsDiffer { space: SPACE, ranges: vec![1], tips: tips.clone(), too_many: false };
        script.relay(Frame::HeadsDiffer(answer));
        assert_eq!(script.outputs(), [SessionOutput::Differ { ranges: vec![1], tips, too_many: false }]);
        let ranges = vec![ChainRange { actor: ActorId([2; 32]), first: 4, last: 5 }];
        script.session.get_chain(ranges.clone(), 0);
        assert_eq!(script.sent(), [Frame::GetChain(GetChain { space: SPACE, ranges, after: 0 })]);
        script.relay(Frame::Chain(Chain { space: SPACE, rows: vec![row(4), row(5)], next: 0 }));
        assert_eq!(script.outputs(), [SessionOutput::Chain { rows: vec![row(4), row(5)], next: Some(0) }]);
        script.session.resume(Some(place));
        let [Frame::Subscribe(subscribe)] = &script.sent()[..] else { panic!("a SUBSCRIBE") };
        assert_eq!((subscribe.from, subscribe.heads, subscribe.held), (Some(place), None, 0));
        script.relay(Frame::Subscribed(subscribed(None, place.log_id, 7)));
        assert!(matches!(script.outputs()[0], SessionOutput::Subscribed { resync: None, place: None, .. }));
        assert_eq!(script.session.status(), Status::CatchingUp);
        let (frame, next) = batch(place, &[row(8)]);
        script.relay(frame);
        assert!(matches!(&script.outputs()[..], [SessionOutput::Rows { position, .. }] if *position == next));
    }
}

#[test]
fn what_differs_too_much_is_read_from_the_start_as_if_nothing_had_been_compared() {
    for resync in [Some(Resync::LogId), None] {
        let (mut script, place) = comparing(resync);
        script.session.compare(vec![1]);
        script.relay(Frame::HeadsDiffer(HeadsDiffer {
            space: SPACE,
            ranges: vec![],
            tips: vec![],
            too_many: true,
        }));
        script.outputs();
        script.session.resume(None);
        let [Frame::Subscribe(subscribe)] = &script.sent()[..] else { panic!("a SUBSCRIBE") };
        assert_eq!((subscribe.from, subscribe.heads, subscribe.held), (None, None, 0));
        script.relay(Frame::Subscribed(subscribed(None, place.log_id, 7)));
        let SessionOutput::Subscribed { resync: told, .. } = script.outputs().remove(0) else {
            panic!("subscribed")
        };
        assert_eq!(told, resync);
        let start = Position { log_id: place.log_id, cursor: 0, chain: start_chain(place.log_id, SPACE) };
        script.relay(batch(start, &[row(1)]).0);
        assert!(matches!(&script.outputs()[..], [SessionOutput::Rows { .. }]));
    }
}

#[test]
fn answers_that_nobody_asked_for_end_the_connection() {
    let differ =
        || Frame::HeadsDiffer(HeadsDiffer { space: SPACE, ranges: vec![], tips: vec![], too_many: false });
    let chain = |rows| Frame::Chain(Chain { space: SPACE, rows, next: 0 });
    let large = Row { skeleton: vec![0; crate::sync::BATCH_BYTES_MAX].into(), ..row(1) };
    let cases: [(&str, Frame); 4] = [
        ("heads", differ()),
        ("a chain", chain(vec![])),
        ("a row", batch(start(), &[row(1)]).0),
        ("more than an answer may have", chain(vec![large; 2])),
    ];
    for (what, frame) in cases {
        let (mut script, _) = comparing(Some(Resync::LogId));
        if what.starts_with("more") {
            script.session.get_chain(vec![ChainRange { actor: ActorId([2; 32]), first: 0, last: 1 }], 0);
        }
        script.relay(frame);
        assert_eq!(script.ended(), (vec![Code::Malformed], Some(Retry::Backoff)), "{what}");
    }
    let mut script = Script::streaming(None, 0);
    script.relay(differ());
    assert_eq!(script.ended(), (vec![Code::Malformed], Some(Retry::Backoff)));
}

#[test]
fn positions_of_a_log_that_was_left_are_ignored() {
    let (_, old) = batch(start(), &[row(1), row(2)]);
    let mut script = Script::new(Some(old));
    script.log_in();
    script.relay(Frame::Subscribed(subscribed(Some(Resync::LogId), LogId([9; 16]), 0)));
    script.session.stored(old);
    script.session.disconnected();
    assert_eq!(subscribe_of(&mut script).from, None);
}

#[test]
fn a_relay_that_takes_a_foreign_position_is_left() {
    let (_, old) = batch(start(), &[row(1), row(2)]);
    for answer in [subscribed(None, LogId([9; 16]), 2), subscribed(None, LOG, 1)] {
        let mut script = Script::new(Some(old));
        script.log_in();
        script.relay(Frame::Subscribed(answer));
        assert_eq!(script.ended(), (vec![Code::Malformed], Some(Retry::Backoff)));
    }
}
