//! Clients that follow no rule: whatever they send, the node tells them so or lets them go, keeps nothing of it, and serves
//! everybody else as before.

mod common;

use common::{Author, Client, Node, Space, accepted, id, key, start};
use prost::bytes::Bytes;
use stemma::causal::{ChangesetId, SpaceId};
use stemma::codec::{TlvWriter, Writer};
use stemma::crypto::{Tag, hash};
use stemma::event::{Chain, changeset_id};
use stemma::sync::{Code, Credit, Delivery, Frame, HeadsRange, Push, Row, Subscribe, Verdict};
use stemma_relay::RelayConfig;

async fn node() -> Node {
    Node::start(RelayConfig::default()).await
}

/// Everything in the log, read by a member who comes anew.
async fn read_all(node: &Node, space: &Space) -> Vec<Delivery> {
    let mut reader = Client::enter(node.address, space, &space.member(99)).await;
    let subscribed = reader.subscribe(space, None, &[]).await;
    reader.catch_up(start(&subscribed)).await.0
}

fn push_frame(space: &Space, rows: &[Row]) -> Vec<u8> {
    Frame::Push(Push { push_id: 1, space: space.id(), rows: rows.to_vec() }).encode().to_vec()
}

#[tokio::test]
async fn item_1_a_login_cut_at_any_byte_lets_nobody_in() {
    let node = Node::start(RelayConfig { handshakes_per_second: 1_000_000, ..RelayConfig::default() }).await;
    let space = Space::new(1);
    let author = space.member(10);
    let whole = Client::connect(node.address).await.auth(&[(&space, &author)], "");
    let len = Frame::Auth(whole).encode().len();
    for cut in 0..len {
        let mut client = Client::connect(node.address).await;
        let frame = Frame::Auth(client.auth(&[(&space, &author)], "")).encode();
        client.send_raw(frame.slice(..cut)).await;
        let code = client.last_words().await;
        assert!(matches!(code, Code::Malformed | Code::AuthFailed | Code::Version), "{cut}: {code:?}");
    }
    assert!(read_all(&node, &space).await.is_empty());
}

#[tokio::test]
async fn item_1_a_push_cut_at_any_byte_stores_nothing() {
    let node = Node::start(RelayConfig { handshakes_per_second: 1_000_000, ..RelayConfig::default() }).await;
    let space = Space::new(1);
    let author = space.member(10);
    let rows = space.lane(&author, 1);
    let whole = push_frame(&space, &rows);
    for cut in 0..whole.len() {
        let mut client = Client::enter(node.address, &space, &author).await;
        client.send_raw(Bytes::copy_from_slice(&whole[..cut])).await;
        match client.receive().await {
            Frame::Error(_) => {}
            Frame::Ack(ack) => {
                let stored = |verdict: &Verdict| !matches!(verdict, Verdict::Rejected(_));
                assert!(!ack.results.iter().any(stored), "{cut}: {ack:?}");
            }
            frame => panic!("{cut}: {frame:?}"),
        }
    }
    assert!(read_all(&node, &space).await.is_empty());
}

#[tokio::test]
async fn item_11_no_flipped_bit_of_a_row_is_stored_and_none_keeps_the_good_row_out() {
    let node = node().await;
    let space = Space::new(1);
    let author = space.member(10);
    let good = space.lane(&author, 1).remove(0);
    let mut client = Client::enter(node.address, &space, &author).await;
    let flipped = |bytes: &Bytes, bit: usize| {
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        Bytes::from(bytes)
    };
    let mut bad = Vec::new();
    for bit in 0..good.header.len() * 8 {
        bad.push(Row { header: flipped(&good.header, bit), ..good.clone() });
    }
    for bit in 0..good.skeleton.len() * 8 {
        bad.push(Row { skeleton: flipped(&good.skeleton, bit), ..good.clone() });
    }
    let content = good.content.clone().expect("has one");
    for bit in 0..content.len() * 8 {
        bad.push(Row { content: Some(flipped(&content, bit)), ..good.clone() });
    }
    for bit in 0..512 {
        let mut row = good.clone();
        row.signature[bit / 8] ^= 1 << (bit % 8);
        bad.push(row);
    }
    for rows in bad.chunks(500) {
        for verdict in client.push(&space, rows).await.expect("judged row by row") {
            assert!(matches!(verdict, Verdict::Rejected(_) | Verdict::Gap { .. }), "{verdict:?}");
        }
    }
    assert_eq!(client.push(&space, std::slice::from_ref(&good)).await.expect("pushes"), accepted(1..=1));
    assert_eq!(read_all(&node, &space).await, [Delivery::Row(good)]);
}

#[tokio::test]
async fn item_10_an_unknown_entry_that_is_not_critical_comes_back_to_the_byte() {
    let node = node().await;
    let space = Space::new(1);
    let author = space.member(10);
    let first = space.row(&author, 0, None, b"first");
    let plain = space.row(&author, 1, Some(id(&first)), b"second");
    let (mut ext, mut out) = (TlvWriter::new(), Writer::new());
    ext.entry(18, b"of a later version");
    ext.finish(&mut out);
    let mut header = plain.header.to_vec();
    header.pop();
    header.extend(out.into_bytes());
    let signed = hash(Tag::CHANGESET_ID, &[&header]);
    let signature = author.actor.sign(Tag::CHANGESET_SIGNATURE, &[&signed.0]).0;
    let strange = Row { header: Bytes::from(header), signature, ..plain };
    let mut client = Client::enter(node.address, &space, &author).await;
    let rows = [first, strange];
    assert_eq!(client.push(&space, &rows).await.expect("pushes"), accepted(1..=2));
    assert_eq!(read_all(&node, &space).await, rows.map(Delivery::Row));
}

#[tokio::test]
async fn items_12_13_and_17_signatures_that_others_might_take_are_refused() {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let node = node().await;
    let space = Space::new(1);
    let author = space.member(10);
    let good = space.lane(&author, 1).remove(0);
    let mut plus_order = good.clone();
    let mut carry = 0;
    for (byte, order) in plus_order.signature[32..].iter_mut().zip(ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    let mut small_order = good.clone();
    small_order.signature[..32].fill(0);
    small_order.signature[0] = 1;
    let of_another_tag = |tag| Row { signature: author.actor.sign(tag, &[&id(&good).0]).0, ..good.clone() };
    let forged =
        [plus_order, small_order, of_another_tag(Tag::LOGIN), of_another_tag(Tag::CERTIFICATE_SIGNATURE)];
    let mut client = Client::enter(node.address, &space, &author).await;
    let verdicts = client.push(&space, &forged).await.expect("judged row by row");
    assert_eq!(verdicts, [Verdict::Rejected(Code::BadSignature); 4]);
}

#[tokio::test]
async fn item_18_rows_and_frames_about_another_space_change_nothing_there() {
    let node = node().await;
    let (space, other) = (Space::new(1), Space::new(2));
    let (author, foreign) = (space.member(10), other.member(20));
    Client::enter(node.address, &other, &foreign).await;
    let mut client = Client::enter(node.address, &space, &author).await;
    let rows = other.lane(&foreign, 2);
    // Their rows into our space, and into theirs without an admission.
    let wrong = [Verdict::Rejected(Code::WrongSpace), Verdict::Rejected(Code::WrongSpace)];
    assert_eq!(client.push(&space, &rows).await.expect("judged row by row"), wrong);
    assert_eq!(client.push(&other, &rows).await.expect_err("not admitted").code, Code::NotFoundOrDenied);
    client.send(Frame::Credit(Credit { space: other.id(), bytes: u64::MAX })).await;
    assert_eq!(client.push(&space, &space.lane(&author, 1)).await.expect("goes on"), accepted(1..=1));
    assert!(read_all(&node, &other).await.is_empty());
}

#[tokio::test]
async fn a_login_that_was_overheard_opens_no_other_connection() {
    let node = node().await;
    let space = Space::new(1);
    let author = space.member(10);
    let mut client = Client::connect(node.address).await;
    let auth = client.auth(&[(&space, &author)], "");
    client.answer_to(auth.clone()).await.expect("the first time");
    // While the first is there, and after it is gone.
    for _ in 0..2 {
        let mut thief = Client::connect(node.address).await;
        assert_eq!(thief.answer_to(auth.clone()).await.err(), Some(Code::AuthFailed));
        assert_eq!(thief.next().await, None);
    }
    drop(client);
    let mut thief = Client::connect(node.address).await;
    assert_eq!(thief.answer_to(auth).await.err(), Some(Code::AuthFailed));
}

#[tokio::test]
async fn before_a_login_pushes_and_credit_end_the_connection() {
    let node = node().await;
    let space = Space::new(1);
    let author = space.member(10);
    let rows = space.lane(&author, 1);
    let push = Bytes::from(push_frame(&space, &rows));
    let credit = Frame::Credit(Credit { space: space.id(), bytes: 1 }).encode();
    for frame in [push, credit] {
        let mut client = Client::connect(node.address).await;
        client.send_raw(frame.clone()).await;
        // A login right behind it comes too late.
        let auth = client.auth(&[(&space, &author)], "");
        client.send(Frame::Auth(auth)).await;
        assert_eq!(client.last_words().await, Code::Malformed);
    }
    assert!(read_all(&node, &space).await.is_empty());
}

#[tokio::test]
async fn oversized_frames_end_the_connection_and_store_nothing() {
    let node = node().await;
    let space = Space::new(1);
    let author = space.member(10);
    let row = space.lane(&author, 1).remove(0);
    // Too many rows, and too many bytes, both in a frame that starts well.
    let many = push_frame(&space, &vec![row.clone(); stemma::sync::PUSH_ROWS_MAX + 1]);
    let mut long = push_frame(&space, std::slice::from_ref(&row));
    long.resize(stemma::sync::FRAME_BYTES_MAX + 1, 0);
    for (frame, code) in [(many, Code::Malformed), (long, Code::TooLarge)] {
        let mut client = Client::enter(node.address, &space, &author).await;
        client.send_raw(Bytes::from(frame)).await;
        assert_eq!(client.last_words().await, code);
    }
    assert!(read_all(&node, &space).await.is_empty());
}

#[tokio::test]
async fn item_37_one_byte_a_fragment_is_a_frame_and_half_a_frame_is_nothing() {
    let node = node().await;
    let space = Space::new(1);
    let author = space.member(10);
    let rows = space.lane(&author, 2);
    let mut client = Client::enter(node.address, &space, &author).await;
    client.send_fragments(&push_frame(&space, &rows[..1]), true).await;
    let Frame::Ack(ack) = client.receive().await else { panic!("an ack") };
    assert_eq!(ack.results, accepted(1..=1));
    // Gone in the middle of the next one.
    let half = push_frame(&space, &rows[1..]);
    client.send_fragments(&half[..half.len() / 2], false).await;
    drop(client);
    assert_eq!(read_all(&node, &space).await, [Delivery::Row(rows[0].clone())]);
    // Duplicates and the reversed order, from somebody else.
    let mut other = Client::enter(node.address, &space, &space.member(11)).await;
    let reversed = [rows[1].clone(), rows[0].clone(), rows[1].clone(), rows[1].clone()];
    let verdicts = other.push(&space, &reversed).await.expect("judged");
    let dup = |cursor| Verdict::Dup { cursor };
    assert_eq!(verdicts, [Verdict::Accepted { cursor: 2 }, dup(1), dup(2), dup(2)]);
}

#[tokio::test]
async fn a_quota_holds_against_many_at_once() {
    let space = Space::new(1);
    let authors: Vec<Author> = (10..14).map(|seed| space.member(seed)).collect();
    let lanes: Vec<Vec<Row>> = authors.iter().map(|author| space.lane(author, 20)).collect();
    let quota_bytes = lanes[0].iter().map(|row| row.bytes() as u64).sum::<u64>() * 2;
    let node = Node::start(RelayConfig { quota_bytes, ..RelayConfig::default() }).await;
    let address = node.address;
    let mut pushes = Vec::new();
    for (author, rows) in authors.iter().zip(&lanes) {
        let mut client = Client::enter(address, &space, author).await;
        let rows = rows.clone();
        let frame = push_frame(&space, &rows);
        client.send_raw(Bytes::from(frame)).await;
        pushes.push(client);
    }
    let mut refused = 0;
    for mut client in pushes {
        let Frame::Ack(ack) = client.receive().await else { panic!("an ack") };
        refused += ack.results.iter().filter(|verdict| !matches!(verdict, Verdict::Accepted { .. })).count();
    }
    let stored = read_all(&node, &space).await;
    let bytes: u64 = stored.iter().map(|row| row.bytes() as u64).sum();
    assert!(bytes <= quota_bytes, "{bytes} of {quota_bytes}");
    assert_eq!((stored.len() + refused, refused > 0), (80, true));
}

#[tokio::test]
async fn whoever_ignores_the_rate_gains_nothing_and_slows_nobody() {
    let config = RelayConfig { rows_per_second: 1, rows_burst: 2, ..RelayConfig::default() };
    let node = Node::start(config).await;
    let space = Space::new(1);
    let (author, other) = (space.member(10), space.member(11));
    let rows = space.lane(&author, 20);
    let mut client = Client::enter(node.address, &space, &author).await;
    client.push(&space, &rows[..10]).await.expect("the bucket was full");
    for row in &rows[10..] {
        let error = client.push(&space, std::slice::from_ref(row)).await.expect_err("overdrawn");
        assert_eq!((error.code, error.retryable), (Code::Rate, true));
    }
    let mut calm = Client::enter(node.address, &space, &other).await;
    assert_eq!(
        calm.push(&space, &space.lane(&other, 1)).await.expect("a bucket of its own"),
        accepted(11..=11)
    );
    assert_eq!(read_all(&node, &space).await.len(), 11);
}

/// To look at all ends of a space costs as much as it has ends: whoever asks for it again and again is told to wait, by either question,
/// and is served with what costs nothing of the kind.
#[tokio::test]
async fn all_ends_of_a_space_are_looked_at_a_few_times() {
    let node = node().await;
    let space = Space::new(1);
    let author = space.member(10);
    let mut client = Client::enter(node.address, &space, &author).await;
    client.push(&space, &space.lane(&author, 1)).await.expect("pushes");
    let subscribe = |heads| Subscribe {
        space: space.id(),
        from: None,
        own: Vec::new(),
        credit: 0,
        heads,
        held: 1,
        look: false,
    };
    for ask in [
        Frame::Subscribe(subscribe(Some([7; 32]))),
        Frame::HeadsRange(HeadsRange { space: space.id(), sums: vec![7] }),
    ] {
        let mut answered = 0;
        let error = loop {
            client.send(ask.clone()).await;
            match client.receive().await {
                Frame::Subscribed(_) | Frame::HeadsDiffer(_) => answered += 1,
                Frame::Error(error) => break error,
                frame => panic!("{frame:?}"),
            }
            assert!(answered < 1_000, "it is never told to wait");
        };
        assert_eq!((error.code, error.space, error.push_id), (Code::Rate, Some(space.id()), None));
        assert!(error.retryable && error.retry_after_ms > 0);
    }
    client.send(Frame::Subscribe(subscribe(None))).await;
    loop {
        match client.receive().await {
            Frame::Subscribed(subscribed) => break assert_eq!(subscribed.head, 1),
            Frame::CaughtUp(_) => {}
            frame => panic!("{frame:?}"),
        }
    }
    let mut calm = Client::enter(node.address, &space, &author).await;
    calm.heads = Some([7; 32]);
    calm.subscribe(&space, None, &[]).await;
}

#[tokio::test]
async fn item_23_many_branches_and_gaps_leave_one_log_that_all_can_read() {
    let node = node().await;
    let space = Space::new(1);
    let author = space.member(10);
    let mut client = Client::enter(node.address, &space, &author).await;
    let root = space.row(&author, 0, None, b"root");
    client.push(&space, std::slice::from_ref(&root)).await.expect("pushes");
    let branches: Vec<Row> =
        (0..50).map(|n| space.row(&author, 1, Some(id(&root)), format!("branch {n}").as_bytes())).collect();
    let verdicts = client.push(&space, &branches).await.expect("pushes");
    let forks = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Forked { .. })).count();
    assert_eq!(forks, 49, "all but the first");
    let nowhere = space.row(&author, 7, Some(ChangesetId([9; 32])), b"nowhere");
    let gap = client.push(&space, &[nowhere]).await.expect("pushes");
    assert!(matches!(gap[..], [Verdict::Gap { tip: Some((1, _)) }]), "{gap:?}");
    let read: Vec<ChangesetId> = read_all(&node, &space).await.iter().map(common::delivered).collect();
    let pushed: Vec<ChangesetId> =
        [&root].into_iter().chain(&branches).map(|row| changeset_id(&row.header)).collect();
    assert_eq!(read, pushed);
}

/// A chain that proves an actor does not prove another one, at login and in rows.
#[tokio::test]
async fn a_borrowed_chain_proves_nothing() {
    let node = node().await;
    let space = Space::new(1);
    let author = space.member(10);
    let thief = Author { chain: Chain::new(author.chain.certificates().to_vec()), actor: key(666) };
    let mut client = Client::connect(node.address).await;
    let auth = client.auth(&[(&space, &thief)], "");
    assert_eq!(client.answer_to(auth).await.err(), Some(Code::AuthFailed));
}

/// Thousands of subscriptions, half of them to spaces that nobody let the client into, sent without reading an answer.
#[tokio::test]
async fn subscriptions_without_end_are_one_a_space_and_slow_nobody() {
    const ROUNDS: usize = 50_000;
    let node = node().await;
    let space = Space::new(1);
    let (author, other) = (space.member(10), space.member(11));
    let mut client = Client::enter(node.address, &space, &author).await;
    let subscribe = |space: SpaceId| {
        Frame::Subscribe(Subscribe {
            space,
            from: None,
            own: Vec::new(),
            credit: 1 << 20,
            heads: None,
            held: 0,
            look: false,
        })
    };
    let mut answered = (0, 0);
    for round in 0..ROUNDS {
        let mut stranger = [7; 32];
        stranger[..8].copy_from_slice(&round.to_le_bytes());
        client.send(subscribe(SpaceId(stranger))).await;
        client.send(subscribe(space.id())).await;
        // Its own socket is what slows it down: it has to read now and then, or waits for ever.
        while answered.0 + 64 < round {
            match client.receive().await {
                Frame::Subscribed(_) => answered.0 += 1,
                Frame::Error(error) if error.code == Code::NotFoundOrDenied => answered.1 += 1,
                Frame::CaughtUp(_) => {}
                frame => panic!("{frame:?}"),
            }
        }
    }
    let mut calm = Client::enter(node.address, &space, &other).await;
    assert_eq!(calm.push(&space, &space.lane(&other, 1)).await.expect("it is served"), accepted(1..=1));
    // The answers come in the order of the questions, and then what the last one is sent.
    while answered != (ROUNDS, ROUNDS) {
        match client.receive().await {
            Frame::Subscribed(_) => answered.0 += 1,
            Frame::Error(error) if error.code == Code::NotFoundOrDenied => answered.1 += 1,
            Frame::Batch(_) | Frame::CaughtUp(_) => {}
            frame => panic!("{frame:?}"),
        }
    }
    calm.push(&space, &space.lane(&other, 2)[1..]).await.expect("it is served");
    let mut second = 0;
    client.send(Frame::Push(Push { push_id: 1, space: space.id(), rows: space.lane(&author, 1) })).await;
    loop {
        match client.receive().await {
            Frame::Batch(batch) => {
                let cursors = batch.first_cursor..batch.first_cursor + batch.rows.len() as u64;
                second += usize::from(cursors.contains(&2));
                if cursors.contains(&3) {
                    break;
                }
            }
            Frame::Ack(ack) => assert_eq!(ack.results, accepted(3..=3)),
            Frame::CaughtUp(_) => {}
            frame => panic!("{frame:?}"),
        }
    }
    assert_eq!(second, 1, "the last subscription is the only one");
}
