//! Pushes that are refused whole.

use super::*;

#[test]
fn a_push_refused_for_a_while_is_sent_again_then() {
    let mut script = Script::streaming(None, 0);
    script.session.push(vec![row(1)]);
    let first = script.sent();
    let error = |push_id, code: Code| {
        let retryable = true;
        Frame::Error(ErrorFrame {
            push_id,
            retryable,
            retry_after_ms: 500,
            ..ErrorFrame::new(code, "slow down")
        })
    };
    script.relay(error(Some(1), Code::Rate));
    assert_eq!(script.ended(), (vec![Code::Rate], None));
    assert_eq!(script.session.push_window(), Window { bytes: 0, rows: 0 }, "what follows must not overtake");
    script.tick(499);
    assert_eq!(script.sent(), []);
    script.tick(1);
    assert_eq!(script.sent(), first);
    script.tick(5_000);
    assert_eq!(script.sent(), [], "once");

    // A relay that calls an unknown code retryable does not make it so.
    script.relay(error(Some(1), Code::Unknown(77)));
    let outputs = script.outputs();
    let rejected = Verdict::Rejected(Code::Unknown(77));
    let results = vec![(changeset_id(&row(1).header), rejected)];
    assert_eq!(outputs[1..], [SessionOutput::Acked { results }]);
    assert!(script.session.is_settled());
    script.relay(error(Some(1), Code::Rate));
    script.tick(10_000);
    assert_eq!(script.sent(), [], "a push that was answered is over");
}

/// Whatever a relay says about when to come back, the same push comes less and less often.
#[test]
fn a_push_refused_again_and_again_waits_longer_each_time() {
    let mut script = Script::streaming(None, 0);
    script.session.push(vec![row(1)]);
    script.sent();
    let refused = || {
        Frame::Error(ErrorFrame { push_id: Some(1), retryable: true, ..ErrorFrame::new(Code::Rate, "no") })
    };
    let mut waits = Vec::new();
    for _ in 0..9 {
        script.relay(refused());
        script.outputs();
        let asked = script.now_ms;
        while script.sent().is_empty() {
            script.relay(Frame::Tick { time_ms: 0 });
            script.tick(100);
        }
        waits.push(script.now_ms - asked);
    }
    assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
}

#[test]
fn a_push_that_finds_no_room_is_a_verdict_on_its_rows() {
    let mut script = Script::streaming(None, 0);
    script.session.push(vec![row(1)]);
    script.sent();
    let error = ErrorFrame { push_id: Some(1), retryable: true, ..ErrorFrame::new(Code::Quota, "full") };
    script.relay(Frame::Error(error));
    let results = vec![(changeset_id(&row(1).header), Verdict::Rejected(Code::Quota))];
    assert_eq!(script.outputs()[1..], [SessionOutput::Acked { results }]);
}
