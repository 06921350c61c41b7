//! The session against a relay written by hand.

use super::super::message::{
    Admission, Chain, ChainRange, GetChain, GoAway, HeadsDiffer, HeadsRange, Resync,
};
use super::*;
use crate::causal::Tip;

mod refusals;
mod resync;

const SPACE: SpaceId = SpaceId([7; 32]);
const LOG: LogId = LogId([1; 16]);
const CREDIT: u64 = 1_000;
const LIMITS: Limits =
    Limits { frame_bytes: 1 << 20, row_bytes: 1 << 18, push_bytes: 1_000, push_rows: 4, subscriptions: 16 };

/// The relay's side of the conversation, written by hand.
struct Script {
    session: Session,
    now_ms: u64,
}

impl Script {
    fn new(from: Option<Position>) -> Self {
        let config = SessionConfig {
            space: SPACE,
            from,
            own: vec![ActorId([2; 32])],
            credit_bytes: CREDIT,
            look: true,
        };
        Self { session: Session::new(config), now_ms: 1_000 }
    }

    /// A session that reads on from `from` in a log that fits.
    fn streaming(from: Option<Position>, head: u64) -> Self {
        let mut script = Self::new(from);
        script.log_in();
        script.relay(Frame::Subscribed(subscribed(None, LOG, head)));
        script.outputs();
        script
    }

    fn log_in(&mut self) {
        self.session.connected(self.now_ms);
        self.relay(hello());
        self.session.login(login());
        self.relay(admitted(None));
        self.outputs();
    }

    fn relay(&mut self, frame: Frame) {
        self.session.on_frame(self.now_ms, &frame.encode());
    }

    fn tick(&mut self, ms: u64) {
        self.now_ms += ms;
        self.session.on_tick(self.now_ms);
    }

    fn outputs(&mut self) -> Vec<SessionOutput> {
        std::iter::from_fn(|| self.session.poll()).collect()
    }

    fn sent(&mut self) -> Vec<Frame> {
        let frame = |output| match output {
            SessionOutput::Send(bytes) => {
                Some(Frame::decode(&bytes).expect("a good frame").expect("a known one"))
            }
            _ => None,
        };
        self.outputs().into_iter().filter_map(frame).collect()
    }

    /// The codes refused, and how the connection ends.
    fn ended(&mut self) -> (Vec<Code>, Option<Retry>) {
        let mut codes = Vec::new();
        let mut end = None;
        for output in self.outputs() {
            match output {
                SessionOutput::Refused { code, .. } => codes.push(code),
                SessionOutput::Close { retry } => end = Some(retry),
                _ => {}
            }
        }
        (codes, end)
    }
}

#[test]
fn from_hello_to_live() {
    let mut script = Script::new(None);
    script.session.connected(0);
    assert_eq!(script.outputs(), [SessionOutput::Status(Status::Connecting)]);
    script.relay(hello());
    let challenge = Challenge { relay_key: [3; 32], nonce: [4; 32] };
    assert_eq!(script.outputs(), [SessionOutput::Login(challenge)]);
    script.session.login(Login { token: Some("t".into()), ..login() });
    let [Frame::Auth(auth), Frame::Subscribe(subscribe)] = &script.sent()[..] else {
        panic!("AUTH and SUBSCRIBE")
    };
    assert_eq!((auth.version, auth.client_nonce, auth.token.as_str()), (1, [5; 16], "t"));
    assert_eq!(auth.proofs, [login().proof]);
    assert_eq!(
        (subscribe.from, subscribe.credit, &subscribe.own[..]),
        (None, CREDIT, &[ActorId([2; 32])][..])
    );
    script.relay(admitted(None));
    assert_eq!(script.outputs(), []);
    script.relay(Frame::Subscribed(subscribed(None, LOG, 2)));
    assert_eq!(
        script.outputs(),
        [
            SessionOutput::Subscribed { resync: None, place: None, log_id: LOG, head: 2, tips: vec![] },
            SessionOutput::Status(Status::CatchingUp)
        ]
    );
    let (frame, position) = batch(start(), &[row(1), row(2)]);
    script.relay(frame);
    let rows = vec![Delivery::Row(row(1)), Delivery::Row(row(2))];
    assert_eq!(script.outputs(), [SessionOutput::Rows { rows, position }]);
    script.relay(caught_up(2));
    assert_eq!(script.outputs(), [SessionOutput::Status(Status::Live)]);
    script.session.stored(position);
    let bytes = 2 * row(1).bytes() as u64;
    assert_eq!(script.sent(), [Frame::Credit(Credit { space: SPACE, bytes })]);
    script.session.disconnected();
    assert_eq!(script.outputs(), [SessionOutput::Status(Status::Offline)]);
}

#[test]
fn the_next_connection_starts_where_rows_were_stored() {
    let mut script = Script::streaming(None, 3);
    let (first, at_one) = batch(start(), &[row(1)]);
    let (second, at_three) = batch(at_one, &[row(2), row(3)]);
    script.relay(first);
    script.relay(second);
    script.session.stored(at_one);
    script.session.disconnected();
    assert_eq!(subscribe_of(&mut script).from, Some(at_one));

    // Rows of the old connection that are stored late count too.
    script.session.stored(at_three);
    script.session.disconnected();
    assert_eq!(subscribe_of(&mut script).from, Some(at_three));
    script.session.stored(at_one);
    script.session.disconnected();
    assert_eq!(subscribe_of(&mut script).from, Some(at_three), "a position never goes back");

    let actors: Vec<ActorId> = (0..300_u16).map(|i| ActorId([i as u8; 32])).collect();
    script.session.set_own(actors.clone());
    assert_eq!(subscribe_of(&mut script).own, actors[44..], "the newest own actors are asked about");
}

#[test]
fn a_member_that_is_not_admitted_stays_denied() {
    for code in [Code::InviteExpired, Code::InviteUsed, Code::Denied] {
        let mut script = Script::new(None);
        script.session.connected(0);
        script.relay(hello());
        script.session.login(login());
        script.outputs();
        script.relay(admitted(Some(code)));
        assert_eq!(script.session.status(), Status::Denied);
        assert_eq!(script.ended(), (vec![code], Some(Retry::Never)));
        script.session.disconnected();
        assert_eq!(script.session.status(), Status::Denied, "it stays so while there is no connection");
        assert_eq!(script.session.push_window(), Window { bytes: 0, rows: 0 });
    }
}

#[test]
fn errors_about_the_connection_end_it() {
    let within = Retry::Within { min_ms: 5_000, max_ms: 10_000 };
    let cases = [
        (Code::NotFoundOrDenied, 0, Retry::Never),
        (Code::AuthFailed, 0, Retry::Never),
        (Code::Version, 0, Retry::Never),
        (Code::Malformed, 0, Retry::Backoff),
        (Code::StoreUnavailable, 5_000, within),
        (Code::Unknown(99), 0, Retry::Backoff),
    ];
    for (code, retry_after_ms, retry) in cases {
        let mut script = Script::streaming(None, 0);
        script.relay(Frame::Error(ErrorFrame {
            space: Some(SPACE),
            retry_after_ms,
            ..ErrorFrame::new(code, "no")
        }));
        assert_eq!(script.ended(), (vec![code], Some(retry)));
    }
    let mut script = Script::streaming(None, 0);
    let other = Some(SpaceId([8; 32]));
    script.relay(Frame::Error(ErrorFrame { space: other, ..ErrorFrame::new(Code::NotFoundOrDenied, "") }));
    assert_eq!(script.ended(), (vec![], None), "another space is none of this session's business");
}

#[test]
fn no_common_version_is_final() {
    for (min_version, max_version) in [(2, 3), (0, 0)] {
        let mut script = Script::new(None);
        script.session.connected(0);
        let Frame::Hello(greeting) = hello() else { unreachable!() };
        script.relay(Frame::Hello(Hello { min_version, max_version, ..greeting }));
        assert_eq!(script.ended(), (vec![Code::Version], Some(Retry::Never)));
        script.session.disconnected();
        assert_eq!(script.session.status(), Status::Denied, "nobody waits for it");
        script.session.ask_again();
        assert_eq!(script.session.status(), Status::Offline);
    }
}

#[test]
fn rows_must_follow_and_give_the_chain() {
    let Frame::Batch(good) = batch(start(), &[row(1)]).0 else { unreachable!() };
    let bad = [
        Batch { space: SpaceId([8; 32]), ..good.clone() },
        Batch { first_cursor: 2, ..good.clone() },
        Batch { first_cursor: 0, ..good.clone() },
        Batch { rows: vec![], ..good.clone() },
        Batch { chain: None, ..good.clone() },
        Batch { rows: vec![Delivery::Row(row(2))], ..good.clone() },
        Batch { rows: vec![Delivery::Own(ChangesetId([1; 32]))], ..good.clone() },
    ];
    for bad in bad {
        let mut script = Script::streaming(None, 1);
        script.relay(Frame::Batch(bad));
        assert_eq!(script.ended(), (vec![Code::Malformed], Some(Retry::Backoff)));
        script.relay(Frame::Batch(good.clone()));
        assert_eq!(script.outputs(), [], "a session that is over takes nothing in");
    }
    let mut script = Script::streaming(None, 1);
    script.relay(caught_up(1));
    assert_eq!(script.ended(), (vec![Code::Malformed], Some(Retry::Backoff)), "caught up with what?");
}

#[test]
fn many_rows_are_handed_over_in_slices_each_with_its_place() {
    let mut script = Script::streaming(None, 300);
    let rows: Vec<Row> = (0..300).map(|n| row(n as u8)).collect();
    let (frame, end) = batch(start(), &rows);
    script.relay(frame);
    let mut cursor = 0;
    for output in script.outputs() {
        let SessionOutput::Rows { rows: slice, position } = output else { panic!("{output:?}") };
        assert!(slice.len() <= 128);
        cursor += slice.len() as u64;
        let (_, place) = batch(start(), &rows[..cursor as usize]);
        assert_eq!(position, place);
        script.session.stored(position);
    }
    assert_eq!(cursor, end.cursor);
}

#[test]
fn own_rows_come_back_as_ids() {
    let mut script = Script::streaming(None, 0);
    let id = changeset_id(&row(1).header);
    let chain = next_chain(start().chain, id);
    let own = Batch { space: SPACE, first_cursor: 1, rows: vec![Delivery::Own(id)], chain: Some(chain) };
    script.relay(Frame::Batch(own));
    let position = Position { cursor: 1, chain, ..start() };
    assert_eq!(script.outputs(), [SessionOutput::Rows { rows: vec![Delivery::Own(id)], position }]);
    script.session.stored(position);
    assert_eq!(script.sent(), [Frame::Credit(Credit { space: SPACE, bytes: 32 })]);
}

#[test]
fn a_relay_may_overdraw_the_credit_once() {
    let mut script = Script::streaming(None, 9);
    let size = row(1).bytes() as u64;
    let rows: Vec<Row> = (0..u8::try_from(CREDIT / size + 1).expect("few")).map(row).collect();
    let (first, after) = batch(start(), &rows);
    let (second, _) = batch(after, &[row(100)]);
    script.relay(first);
    assert_eq!(script.ended(), (vec![], None));
    script.relay(second);
    assert_eq!(script.ended(), (vec![Code::Malformed], Some(Retry::Backoff)));
}

#[test]
fn credit_goes_back_in_quarters_or_when_all_is_stored() {
    let mut script = Script::streaming(None, 9);
    let size = row(1).bytes() as u64;
    let mut at = start();
    let mut places = Vec::new();
    for i in 0..6 {
        let (frame, after) = batch(at, &[row(i)]);
        script.relay(frame);
        places.push(after);
        at = after;
    }
    script.outputs();
    script.session.stored(places[0]);
    assert_eq!(script.sent(), [], "{size} of {CREDIT} is not worth a frame");
    script.session.stored(places[2]);
    assert_eq!(script.sent(), [Frame::Credit(Credit { space: SPACE, bytes: 3 * size })]);
    script.session.stored(places[2]);
    assert_eq!(script.sent(), []);
    script.session.stored(places[3]);
    script.session.stored(places[5]);
    assert_eq!(script.sent(), [Frame::Credit(Credit { space: SPACE, bytes: 3 * size })]);
}

#[test]
fn pushes_are_acked_in_their_order() {
    let mut script = Script::streaming(None, 0);
    script.session.push(vec![row(1), row(2)]);
    script.session.push(vec![row(3)]);
    assert!(!script.session.is_settled());
    let [Frame::Push(first), Frame::Push(second)] = &script.sent()[..] else { panic!("two pushes") };
    assert_eq!((first.push_id, first.rows.len(), second.push_id), (1, 2, 2));
    let verdicts = [Verdict::Accepted { cursor: 1 }, Verdict::Gap { tip: None }];
    script.relay(Frame::Ack(Ack { push_id: 1, results: verdicts.to_vec(), said: None }));
    let results =
        vec![(changeset_id(&row(1).header), verdicts[0]), (changeset_id(&row(2).header), verdicts[1])];
    assert_eq!(script.outputs(), [SessionOutput::Acked { results }]);
    let forked = Verdict::Forked { cursor: 2, existing: ChangesetId([9; 32]) };
    script.relay(Frame::Ack(Ack { push_id: 2, results: vec![forked], said: None }));
    let results = vec![(changeset_id(&row(3).header), forked)];
    assert_eq!(script.outputs(), [SessionOutput::Acked { results }]);
    assert!(script.session.is_settled());

    script.relay(Frame::Ack(Ack { push_id: 2, results: vec![forked], said: None }));
    script.relay(Frame::Ack(Ack { push_id: 7, results: vec![], said: None }));
    assert_eq!(script.outputs(), [], "an ack for nothing says nothing");
    script.tick(30_000);
    assert_eq!(script.sent(), [], "nothing is sent again by itself");
    script.session.push(vec![row(4)]);
    script.relay(Frame::Ack(Ack { push_id: 3, results: vec![], said: None }));
    assert_eq!(script.ended(), (vec![Code::Malformed], Some(Retry::Backoff)), "a verdict for each row");
}

#[test]
fn what_a_busy_relay_refused_is_sent_again_in_its_order_one_by_one() {
    let mut script = Script::streaming(None, 0);
    (1..=3).for_each(|name| script.session.push(vec![row(name)]));
    let busy = |push_id, retry_after_ms| {
        Frame::Error(ErrorFrame {
            push_id: Some(push_id),
            retryable: true,
            retry_after_ms,
            ..ErrorFrame::new(Code::Rate, "slow down")
        })
    };
    let taken = |push_id| {
        Frame::Ack(Ack { push_id, results: vec![Verdict::Accepted { cursor: push_id }], said: None })
    };
    let pushed = |script: &mut Script| -> Vec<u64> {
        let number = |frame| if let Frame::Push(push) = frame { Some(push.push_id) } else { None };
        script.sent().into_iter().filter_map(number).collect()
    };
    assert_eq!(pushed(&mut script), [1, 2, 3]);
    // The first is asked to wait longest.
    [(1, 5_000), (2, 1), (3, 1)].into_iter().for_each(|(push, ms)| script.relay(busy(push, ms)));
    assert!(script.session.is_held_up());
    script.tick(1_000);
    assert_eq!(pushed(&mut script), [] as [u64; 0]);
    script.tick(4_000);
    assert_eq!(pushed(&mut script), [1]);
    assert_eq!(script.session.push_window().rows, 0, "nothing new goes before what waits");
    script.tick(1_000);
    assert_eq!(pushed(&mut script), [] as [u64; 0], "not before the first is answered");
    for push in 1..=3 {
        script.relay(taken(push));
        script.tick(1_000);
        let next: &[u64] = if push < 3 { &[push + 1] } else { &[] };
        assert_eq!(pushed(&mut script), next);
    }
    assert!(!script.session.is_held_up() && script.session.is_settled());
    assert!(script.session.push_window().rows > 0);
}

#[test]
fn the_window_counts_bytes_and_rows() {
    let mut script = Script::new(None);
    assert_eq!(script.session.push_window(), Window { bytes: 0, rows: 0 });
    script.log_in();
    assert_eq!(script.session.push_window(), Window { bytes: 0, rows: 0 });
    script.relay(Frame::Subscribed(subscribed(None, LOG, 0)));
    assert_eq!(script.session.push_window(), Window { bytes: 1_000, rows: 4 });
    script.session.push(vec![row(1), row(2)]);
    assert_eq!(script.session.push_window(), Window { bytes: 1_000 - 2 * row(1).bytes(), rows: 4 });
    script.relay(Frame::Ack(Ack { push_id: 1, results: vec![Verdict::Dup { cursor: 1 }; 2], said: None }));
    assert_eq!(script.session.push_window(), Window { bytes: 1_000, rows: 4 });
    script.session.push(vec![]);
    assert!(script.session.is_settled(), "an empty push is none");
}

#[test]
#[should_panic(expected = "inside the window")]
fn a_push_beyond_the_window_is_a_mistake_of_the_caller() {
    Script::streaming(None, 0).session.push((0..5).map(row).collect());
}

#[test]
fn a_lost_ack_leaves_the_rest_to_the_caller() {
    let mut script = Script::streaming(None, 0);
    script.session.push(vec![row(1)]);
    script.session.disconnected();
    assert!(
        script.outputs().iter().all(|output| !matches!(output, SessionOutput::Send(_))),
        "nothing is left to send"
    );
    script.log_in();
    let tip = Tip { actor: ActorId([2; 32]), seq: 0, id: changeset_id(&row(1).header) };
    script.relay(Frame::Subscribed(Subscribed { tips: vec![tip], ..subscribed(None, LOG, 1) }));
    let [SessionOutput::Subscribed { tips, .. }, _] = &script.outputs()[..] else { panic!("subscribed") };
    assert_eq!(tips[..], [tip]);
    script.session.push(vec![row(1)]);
    let [Frame::Push(push)] = &script.sent()[..] else { panic!("one push") };
    assert_eq!(push.push_id, 2);
    script.relay(Frame::Ack(Ack { push_id: 1, results: vec![Verdict::Accepted { cursor: 1 }], said: None }));
    assert_eq!(script.outputs(), [], "an ack of another connection");
    script.relay(Frame::Ack(Ack { push_id: 2, results: vec![Verdict::Dup { cursor: 1 }], said: None }));
    assert!(matches!(&script.outputs()[..], [SessionOutput::Acked { results }] if results.len() == 1));
}

#[test]
fn a_minute_of_silence_is_the_end() {
    let mut script = Script::streaming(None, 0);
    script.tick(59_999);
    assert_eq!(script.outputs(), []);
    script.relay(Frame::Tick { time_ms: 1 });
    script.tick(59_999);
    assert_eq!(script.outputs(), []);
    script.tick(1);
    assert_eq!(script.outputs(), [SessionOutput::Close { retry: Retry::Backoff }]);
    script.tick(60_000);
    assert_eq!(script.outputs(), [], "once");
    let mut never_greeted = Script::new(None);
    never_greeted.session.connected(0);
    never_greeted.outputs();
    never_greeted.now_ms = 0;
    never_greeted.tick(60_000);
    assert_eq!(never_greeted.outputs(), [SessionOutput::Close { retry: Retry::Backoff }]);
}

#[test]
fn a_relay_that_goes_away_says_when_to_come_back() {
    let mut script = Script::streaming(None, 0);
    script.relay(Frame::GoAway(GoAway { code: Code::Draining, retry_min_ms: 100, retry_max_ms: 50 }));
    assert_eq!(script.ended(), (vec![Code::Draining], Some(Retry::Within { min_ms: 100, max_ms: 100 })));
}

#[test]
fn frames_out_of_place_end_the_connection() {
    type Stage = fn(&mut Script);
    let out_of_place: [(Stage, Frame); 5] = [
        (|script| script.session.connected(0), admitted(None)),
        (|script| script.session.connected(0), caught_up(0)),
        (Script::log_in, hello()),
        (Script::log_in, batch(start(), &[row(1)]).0),
        (Script::log_in, Frame::Credit(Credit { space: SPACE, bytes: 1 })),
    ];
    for (prepare, frame) in out_of_place {
        let mut script = Script::new(None);
        prepare(&mut script);
        script.outputs();
        script.relay(frame);
        assert_eq!(script.ended(), (vec![Code::Malformed], Some(Retry::Backoff)));
    }
    let mut script = Script::new(None);
    script.session.connected(0);
    script.relay(hello());
    script.session.login(login());
    let spaces = vec![Admission { space: SpaceId([8; 32]), refused: None }];
    script.relay(Frame::AuthOk(AuthOk { version: 1, spaces }));
    assert_eq!(script.ended(), (vec![Code::Malformed], Some(Retry::Backoff)));
}

#[test]
fn unknown_frames_are_ignored_only_if_they_say_so() {
    let mut script = Script::streaming(None, 0);
    script.session.on_frame(0, b"\x60\x01future");
    assert_eq!(script.outputs(), []);
    script.session.on_frame(0, b"\x60\x00future");
    let [Frame::Error(error)] = &script.sent()[..] else { panic!("the relay is told") };
    assert_eq!(error.code, Code::Malformed);
    let mut script = Script::streaming(None, 0);
    script.session.on_frame(0, &vec![1; (1 << 20) + 1]);
    assert_eq!(script.ended(), (vec![Code::TooLarge], Some(Retry::Backoff)));
}

#[test]
fn an_answer_to_an_old_challenge_is_dropped() {
    let mut script = Script::new(None);
    script.session.login(login());
    script.session.connected(0);
    script.relay(hello());
    script.session.disconnected();
    script.session.login(login());
    assert_eq!(script.sent(), []);
    script.session.on_frame(0, &hello().encode());
    script.session.on_tick(1 << 40);
    assert_eq!(script.outputs(), [], "without a connection nothing happens");
}

#[test]
fn cut_and_spoilt_frames_never_panic() {
    let frames = [
        hello(),
        admitted(None),
        Frame::Subscribed(subscribed(None, LOG, 1)),
        batch(start(), &[row(1)]).0,
        caught_up(0),
        Frame::Ack(Ack { push_id: 1, results: vec![Verdict::Accepted { cursor: 1 }], said: None }),
        Frame::GoAway(GoAway { code: Code::Draining, retry_min_ms: 1, retry_max_ms: 2 }),
        Frame::Error(ErrorFrame::new(Code::Rate, "text")),
    ];
    let stages: [fn(&mut Script); 3] = [
        |script| script.session.connected(0),
        Script::log_in,
        |script| {
            script.log_in();
            script.relay(Frame::Subscribed(subscribed(None, LOG, 1)));
            script.session.push(vec![row(1)]);
        },
    ];
    for frame in frames {
        let bytes = frame.encode();
        for (cut, stage) in (0..bytes.len()).flat_map(|cut| stages.map(|stage| (cut, stage))) {
            let mut spoilt = bytes.to_vec();
            spoilt[cut] ^= 0x81;
            for bytes in [&bytes[..cut], &spoilt[..]] {
                let mut script = Script::new(None);
                stage(&mut script);
                script.session.on_frame(1, bytes);
                script.session.on_tick(2);
                script.outputs();
            }
        }
    }
}

fn subscribe_of(script: &mut Script) -> Subscribe {
    script.session.connected(script.now_ms);
    script.relay(hello());
    script.session.login(login());
    let mut sent = script.sent();
    let Some(Frame::Subscribe(subscribe)) = sent.pop() else { panic!("a SUBSCRIBE") };
    subscribe
}

fn hello() -> Frame {
    Frame::Hello(Hello { min_version: 1, max_version: 1, relay_key: [3; 32], nonce: [4; 32], limits: LIMITS })
}

fn login() -> Login {
    let proof =
        Proof { genesis: Bytes::from_static(b"g"), chain: Bytes::from_static(b"c"), signature: [6; 64] };
    Login { client_nonce: [5; 16], proof, token: None, heads: None }
}

fn admitted(refused: Option<Code>) -> Frame {
    Frame::AuthOk(AuthOk { version: 1, spaces: vec![Admission { space: SPACE, refused }] })
}

fn subscribed(resync: Option<Resync>, log_id: LogId, head: u64) -> Subscribed {
    Subscribed { space: SPACE, resync, log_id, head, tips: vec![], chain: None, place: None, said: None }
}

fn start() -> Position {
    Position { log_id: LOG, cursor: 0, chain: start_chain(LOG, SPACE) }
}

fn batch(after: Position, rows: &[Row]) -> (Frame, Position) {
    let chain = rows.iter().fold(after.chain, |chain, row| next_chain(chain, changeset_id(&row.header)));
    let position = Position { cursor: after.cursor + rows.len() as u64, chain, ..after };
    let rows = rows.iter().cloned().map(Delivery::Row).collect();
    let frame = Batch { space: SPACE, first_cursor: after.cursor + 1, rows, chain: Some(chain) };
    (Frame::Batch(frame), position)
}

fn caught_up(cursor: u64) -> Frame {
    Frame::CaughtUp(CaughtUp { space: SPACE, cursor })
}

fn row(name: u8) -> Row {
    Row {
        header: Bytes::from(vec![name; 30]),
        signature: [0; 64],
        skeleton: Bytes::from_static(&[1; 6]),
        content: None,
    }
}
