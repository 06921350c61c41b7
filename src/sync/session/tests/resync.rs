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
    let (mut script, said) = log_in(Some(old), Some([3; 32]));
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

    // Whoever starts at the beginning has nothing to compare, and is told nothing of the kind.
    assert_eq!(log_in(None, Some([3; 32])).1, None);
    for (heads, resync) in [(None, Some(Resync::LogId)), (Some([3; 32]), None)] {
        let (mut script, _) = log_in(Some(place), heads);
        script.relay(Frame::Subscribed(same(resync)));
        assert_eq!(script.ended(), (vec![Code::Malformed], Some(Retry::Backoff)));
    }
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
