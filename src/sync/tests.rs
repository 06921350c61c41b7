//! Frames as bytes: what is written is read, and nothing that comes from outside does more than fail.

use prost::bytes::Bytes;

use super::*;
use crate::causal::{ActorId, ChangesetId, LogChain, LogId, SpaceId, Tip};
use crate::codec::limits::EPHEMERAL_BYTES_MAX;
use crate::event::{MANIFEST_BYTES_MAX, SNAPSHOT_CHUNK_BYTES_MAX, SnapshotId};

const SPACE: SpaceId = SpaceId([7; 32]);

fn row(content: Option<&'static [u8]>) -> Row {
    Row {
        header: Bytes::from_static(b"header"),
        signature: [1; 64],
        skeleton: Bytes::from_static(b"skeleton"),
        content: content.map(Bytes::from_static),
    }
}

/// Every frame, with every optional part once there and once not.
fn frames() -> Vec<Frame> {
    let limits = Limits { frame_bytes: 1, row_bytes: 2, push_bytes: 3, push_rows: 4, subscriptions: 5 };
    let tip = Tip { actor: ActorId([2; 32]), seq: u32::MAX, id: ChangesetId([3; 32]) };
    let position = Position { log_id: LogId([4; 16]), cursor: u64::MAX, chain: LogChain([5; 16]) };
    let proof = Proof { genesis: Bytes::from_static(b"g"), chain: Bytes::new(), signature: [6; 64] };
    let id = ChangesetId([9; 32]);
    let results = vec![
        Verdict::Accepted { cursor: 1 },
        Verdict::Dup { cursor: 2 },
        Verdict::Gap { tip: None },
        Verdict::Gap { tip: Some((0, id)) },
        Verdict::Gap { tip: Some((7, id)) },
        Verdict::Forked { cursor: 3, existing: id },
        Verdict::Rejected(Code::Quota),
        Verdict::Rejected(Code::Unknown(1_000)),
    ];
    let rows = vec![Delivery::Row(row(None)), Delivery::Row(row(Some(b""))), Delivery::Own(id)];
    let error = ErrorFrame { push_id: Some(3), retry_after_ms: 9, ..ErrorFrame::new(Code::Rate, "slow") };
    let mut frames = vec![
        Frame::Hello(Hello { min_version: 1, max_version: 2, relay_key: [8; 32], nonce: [9; 32], limits }),
        Frame::Auth(Auth { version: 1, client_nonce: [7; 16], proofs: vec![proof; 2], token: "t".into() }),
        Frame::Auth(Auth { version: 1, client_nonce: [0; 16], proofs: vec![], token: String::new() }),
        Frame::AuthOk(AuthOk {
            version: 1,
            spaces: vec![
                Admission { space: SPACE, refused: None },
                Admission { space: SPACE, refused: Some(Code::InviteUsed) },
            ],
        }),
        Frame::Subscribe(Subscribe {
            space: SPACE,
            from: Some(position),
            own: vec![tip.actor; 2],
            credit: 5,
            heads: Some([9; 32]),
            held: 0,
            look: false,
        }),
        Frame::Subscribe(Subscribe {
            space: SPACE,
            from: None,
            own: vec![],
            credit: 0,
            heads: None,
            held: 0,
            look: false,
        }),
        Frame::Batch(Batch { space: SPACE, first_cursor: 1, rows, chain: Some(LogChain([5; 16])) }),
        Frame::Batch(Batch { space: SPACE, first_cursor: 0, rows: vec![], chain: None }),
        Frame::CaughtUp(CaughtUp { space: SPACE, cursor: 9 }),
        Frame::Credit(Credit { space: SPACE, bytes: 10 }),
        Frame::Push(Push { push_id: 1, space: SPACE, rows: vec![row(Some(b"content")), row(None)] }),
        Frame::Ack(Ack { push_id: 1, results, said: None }),
        Frame::Tick { time_ms: 1 },
        Frame::Tick { time_ms: 0 },
        Frame::GoAway(GoAway { code: Code::Draining, retry_min_ms: 1, retry_max_ms: 2 }),
        Frame::Error(ErrorFrame { space: Some(SPACE), ..error.clone() }),
        Frame::Error(ErrorFrame { push_id: None, ..error }),
        Frame::Heads(Heads { version: 1, space: SPACE, tips: vec![tip; 2], more: true, credit: 3 }),
        Frame::Heads(Heads { version: 1, space: SPACE, tips: vec![], more: false, credit: 0 }),
        Frame::Ephemeral(Ephemeral { space: SPACE, payload: Bytes::from_static(b"sealed") }),
    ];
    for resync in [None, Some(Resync::LogId), Some(Resync::FutureCursor), Some(Resync::Chain)] {
        let log_id = LogId([4; 16]);
        let chain = resync.map(|_| LogChain([4; 16]));
        frames.push(Frame::Subscribed(Subscribed {
            space: SPACE,
            resync,
            log_id,
            head: 3,
            tips: vec![tip],
            chain,
            place: None,
            said: None,
        }));
    }
    let range = ChainRange { actor: tip.actor, first: 0, last: 16_383 };
    let last = ChainRange { actor: tip.actor, first: u32::MAX, last: u32::MAX };
    let (log_id, chain, place) = (LogId([4; 16]), None, Some(LogChain([4; 16])));
    frames.extend([
        Frame::Subscribe(Subscribe {
            space: SPACE,
            from: None,
            own: vec![],
            credit: 5,
            heads: Some([9; 32]),
            held: 20_000,
            look: false,
        }),
        Frame::Subscribed(Subscribed {
            space: SPACE,
            resync: None,
            log_id,
            head: 3,
            tips: vec![],
            chain,
            place,
            said: Some(Said { time_ms: 5, signature: [7; 64] }),
        }),
        Frame::HeadsRange(HeadsRange { space: SPACE, sums: vec![1] }),
        Frame::HeadsRange(HeadsRange { space: SPACE, sums: vec![u128::MAX, 0] }),
        Frame::HeadsDiffer(HeadsDiffer {
            space: SPACE,
            ranges: vec![0, 4_095],
            tips: vec![tip],
            too_many: false,
        }),
        Frame::HeadsDiffer(HeadsDiffer { space: SPACE, ranges: vec![], tips: vec![], too_many: true }),
        Frame::GetChain(GetChain { space: SPACE, ranges: vec![range], after: 0 }),
        Frame::GetChain(GetChain { space: SPACE, ranges: vec![last; 2], after: 7 }),
        Frame::Chain(Chain { space: SPACE, rows: vec![row(None), row(Some(b"content"))], next: 9 }),
        Frame::Chain(Chain { space: SPACE, rows: vec![], next: 0 }),
    ]);
    frames.extend(snap_frames());
    frames
}

fn snap_frames() -> Vec<Frame> {
    let id = SnapshotId([6; 32]);
    let by = SignedBy { chain: Bytes::from_static(b"chain"), signature: [6; 64] };
    let manifest = Bytes::from_static(b"manifest");
    let offer = SnapshotOffer { manifest, by: vec![by.clone()], attest: true };
    let witnessed = SnapshotOffer { by: vec![by.clone(); 1 + WITNESSES_MAX], attest: false, ..offer.clone() };
    let look =
        Subscribe { space: SPACE, from: None, own: vec![], credit: 5, heads: None, held: 0, look: true };
    let snaps = [
        Snap::Wanted,
        Snap::Offer(offer),
        Snap::Offer(witnessed),
        Snap::Get { id, number: 0 },
        Snap::Get { id, number: 255 },
        Snap::Chunk { id, number: 1, bytes: Bytes::from_static(b"sealed") },
        Snap::Chunk { id, number: 1, bytes: Bytes::new() },
        Snap::Attest { id, by },
        Snap::Bad { id },
    ];
    let snaps = snaps.map(|snap| Frame::Snap(SPACE, snap));
    std::iter::once(Frame::Subscribe(look)).chain(snaps).collect()
}

#[test]
fn every_frame_reads_back() {
    for frame in frames() {
        assert_eq!(Frame::decode(&frame.clone().encode()), Ok(Some(frame)));
    }
}

/// Frames as version 1 has them, for ever: a line of hex for each of [`frames`]. `STEMMA_WRITE_VECTORS=1` writes the lines of new ones.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/frames-1.txt");

#[test]
fn frames_have_the_bytes_that_they_had() {
    let hex = |frame: &Frame| {
        let bytes = frame.clone().encode();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let lines: Vec<String> = frames().iter().map(hex).collect();
    if std::env::var_os("STEMMA_WRITE_VECTORS").is_some() {
        std::fs::write(GOLDEN, lines.join("\n") + "\n").expect("written");
    }
    let golden = std::fs::read_to_string(GOLDEN).expect("it is part of the repository");
    assert_eq!(golden.lines().collect::<Vec<_>>(), lines, "another version of the protocol");
}

#[test]
fn a_cut_frame_fails_or_is_another_frame_and_never_panics() {
    for frame in frames() {
        let bytes = frame.encode();
        for len in 0..bytes.len() {
            if let Ok(Some(other)) = Frame::decode(&bytes.slice(..len)) {
                // Protobuf may end between two fields; what is left has all that must be there.
                assert_eq!(Frame::decode(&other.clone().encode()), Ok(Some(other)));
            }
        }
    }
}

#[test]
fn a_flipped_bit_never_panics_and_what_is_read_can_be_written() {
    for frame in frames() {
        let bytes = frame.encode();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(Some(other)) = Frame::decode(&Bytes::from(flipped)) {
                assert_eq!(Frame::decode(&other.clone().encode()), Ok(Some(other)));
            }
        }
    }
}

#[test]
fn unknown_types_and_flags_are_dropped_only_if_they_may_be() {
    for kind in [0x00, 0x0e, 0x0f, 0x15, 0x16, 0x17, 0x19, 0x1f, 0x26, 0x2f, 0x80, 0xff] {
        assert_eq!(Frame::decode(&Bytes::from(vec![kind, 1, 9, 9])), Ok(None), "{kind:#x}");
        let refused = Err(FrameError::Unknown { kind, flags: 0 });
        assert_eq!(Frame::decode(&Bytes::from(vec![kind, 0, 9, 9])), refused, "{kind:#x}");
    }
    assert_eq!(Frame::decode(&Bytes::from_static(&[0x0b, 0x03])), Ok(None));
    let refused = Err(FrameError::Unknown { kind: 0x0b, flags: 2 });
    assert_eq!(Frame::decode(&Bytes::from_static(&[0x0b, 0x02])), refused);
    assert_eq!(Frame::decode(&Bytes::from_static(&[0x0b, 0x01])), Ok(Some(Frame::Tick { time_ms: 0 })));
}

#[test]
fn unknown_fields_are_skipped() {
    // Field 100 as a varint, field 101 as bytes.
    let unknown = [0xa0, 0x06, 0x05, 0xaa, 0x06, 0x02, 0xff, 0xff];
    for frame in frames() {
        let bytes = [&frame.clone().encode()[..], &unknown].concat();
        assert_eq!(Frame::decode(&Bytes::from(bytes)), Ok(Some(frame)));
    }
}

#[test]
fn limits_hold() {
    let said = |bytes| Frame::Ephemeral(Ephemeral { space: SPACE, payload: vec![0; bytes].into() }).encode();
    assert!(Frame::decode(&said(EPHEMERAL_BYTES_MAX)).is_ok());
    assert_eq!(Frame::decode(&said(EPHEMERAL_BYTES_MAX + 1)), Ok(None));
    let large = Bytes::from(vec![0x09; FRAME_BYTES_MAX + 1]);
    assert_eq!(Frame::decode(&large), Err(FrameError::TooLarge { bytes: FRAME_BYTES_MAX + 1 }));
    assert_eq!(Frame::decode(&Bytes::new()), Err(FrameError::Short { bytes: 0 }));

    let actors = vec![ActorId([1; 32]); OWN_ACTORS_MAX + 1];
    let too_many = |kind, limit| Err(FrameError::TooMany { kind, limit });
    let subscribe = |own| {
        Frame::Subscribe(Subscribe {
            space: SPACE,
            from: None,
            own,
            credit: 0,
            heads: None,
            held: 0,
            look: false,
        })
        .encode()
    };
    assert_eq!(Frame::decode(&subscribe(actors.clone())), too_many(0x04, OWN_ACTORS_MAX));
    assert!(Frame::decode(&subscribe(actors[1..].to_vec())).is_ok());
    let push = |count| Frame::Push(Push { push_id: 1, space: SPACE, rows: vec![row(None); count] }).encode();
    assert_eq!(Frame::decode(&push(PUSH_ROWS_MAX + 1)), too_many(0x09, PUSH_ROWS_MAX));
    assert!(Frame::decode(&push(PUSH_ROWS_MAX)).is_ok());
    let proof = Proof { genesis: Bytes::new(), chain: Bytes::new(), signature: [0; 64] };
    let auth =
        Auth { version: 1, client_nonce: [0; 16], proofs: vec![proof; PROOFS_MAX + 1], token: String::new() };
    assert_eq!(Frame::decode(&Frame::Auth(auth).encode()), too_many(0x02, PROOFS_MAX));
    let tip = Tip { actor: ActorId([2; 32]), seq: 1, id: ChangesetId([3; 32]) };
    let tips = vec![tip; HEADS_TIPS_MAX + 1];
    let heads = Heads { version: 1, space: SPACE, tips, more: false, credit: 0 };
    assert_eq!(Frame::decode(&Frame::Heads(heads).encode()), too_many(0x10, HEADS_TIPS_MAX));

    let field = |kind, field| Err(FrameError::Field { kind, field });
    let sums =
        |count| Frame::decode(&Frame::HeadsRange(HeadsRange { space: SPACE, sums: vec![1; count] }).encode());
    assert!(sums(4_096).is_ok());
    for count in [0, 3, 8_192] {
        assert_eq!(sums(count), field(0x11, "sums"));
    }
    let actor = ActorId([2; 32]);
    let asked = |ranges: Vec<ChainRange>| {
        Frame::decode(&Frame::GetChain(GetChain { space: SPACE, ranges, after: 0 }).encode())
    };
    let range = |first, last| ChainRange { actor, first, last };
    assert!(asked(vec![range(0, 8_191); 2]).is_ok());
    assert_eq!(asked(vec![range(0, 8_191), range(0, 8_192)]), field(0x12, "ranges"));
    assert_eq!(asked(vec![range(0, u32::MAX)]), field(0x12, "ranges"));
    assert_eq!(asked(vec![range(0, 0); CHAIN_RANGES_MAX + 1]), too_many(0x12, CHAIN_RANGES_MAX));
}

#[test]
fn what_is_said_of_snapshots_has_limits() {
    let decoded = |snap| Frame::decode(&Frame::Snap(SPACE, snap).encode());
    let field = |kind, field| Err(FrameError::Field { kind, field });
    let id = SnapshotId([6; 32]);
    let by = SignedBy { chain: Bytes::new(), signature: [6; 64] };
    let offer = |bytes, count| {
        let (manifest, by) = (vec![0; bytes].into(), vec![by.clone(); count]);
        decoded(Snap::Offer(SnapshotOffer { manifest, by, attest: false }))
    };
    assert!(offer(MANIFEST_BYTES_MAX, 1).is_ok());
    assert_eq!(offer(MANIFEST_BYTES_MAX + 1, 1), field(0x21, "manifest"));
    assert_eq!(offer(1, 0), field(0x21, "manifest"));
    let limit = WITNESSES_MAX + 1;
    assert_eq!(offer(1, limit + 1), Err(FrameError::TooMany { kind: 0x21, limit }));
    let chunk = |bytes| decoded(Snap::Chunk { id, number: 0, bytes: vec![0; bytes].into() });
    assert!(chunk(SNAPSHOT_CHUNK_BYTES_MAX).is_ok());
    assert_eq!(chunk(SNAPSHOT_CHUNK_BYTES_MAX + 1), field(0x23, "bytes"));
    assert_eq!(decoded(Snap::Get { id, number: 256 }), field(0x22, "number"));
}

#[test]
fn a_megabyte_of_empty_rows_is_refused_before_it_is_built() {
    let mut bytes = vec![0x06, 0];
    while bytes.len() + 2 <= FRAME_BYTES_MAX {
        bytes.extend([0x1a, 0x00]);
    }
    assert_eq!(Frame::decode(&Bytes::from(bytes)), Err(FrameError::Body { kind: 0x06 }));
}

#[test]
fn the_fullest_push_fits_into_a_frame() {
    let one = Row { header: Bytes::from(vec![0; PUSH_BYTES_MAX / PUSH_ROWS_MAX - 66]), ..row(None) };
    let one = Row { skeleton: Bytes::from_static(&[0; 2]), ..one };
    assert!(
        one.bytes() * PUSH_ROWS_MAX <= PUSH_BYTES_MAX && (one.bytes() + 1) * PUSH_ROWS_MAX > PUSH_BYTES_MAX
    );
    let push = Push { push_id: u64::MAX, space: SPACE, rows: vec![one; PUSH_ROWS_MAX] };
    assert!(Frame::Push(push).encode().len() <= FRAME_BYTES_MAX);
}

#[test]
fn fields_of_another_size_are_named() {
    let field = |bytes: &'static [u8]| match Frame::decode(&Bytes::from_static(bytes)) {
        Err(FrameError::Field { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(field(b"\x07\x00"), "space");
    assert_eq!(field(b"\x07\x00\x0a\x01x"), "space");
    assert_eq!(field(b"\x01\x00"), "limits");
    assert_eq!(field(b"\x09\x00"), "push_id");
    assert_eq!(field(b"\x05\x00\x10\x04"), "resync");
    assert_eq!(field(b"\x0a\x00\x08\x01\x12\x00"), "verdict");
    assert_eq!(field(b"\x0a\x00\x08\x01\x12\x02\x08\x06"), "verdict");
    assert_eq!(field(b"\x0a\x00\x08\x01\x12\x02\x08\x05"), "verdict");
    assert_eq!(field(b"\x0a\x00\x08\x01\x12\x02\x08\x04"), "id");
}

#[test]
fn codes_have_one_number_each() {
    for number in 0..200 {
        let code = Code::of(number);
        assert_eq!(code.number(), number);
        assert_eq!(code.name() == "UNKNOWN", code == Code::Unknown(number));
        assert!(!code.is_retryable() || code != Code::Unknown(number));
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut read = 0;
    for round in 0..60_000_u32 {
        let len = (next() % 60) as usize;
        let mut bytes: Vec<u8> = (0..len).map(|_| (next() >> 11) as u8 % 48).collect();
        bytes.splice(0..0, [(round % 39) as u8, 0]);
        read += u32::from(matches!(Frame::decode(&Bytes::from(bytes)), Ok(Some(_))));
    }
    assert!(read > 100, "a fuzzer that never gets past the first field finds nothing: {read}");
}
