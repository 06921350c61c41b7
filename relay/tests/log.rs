//! Pushing, reading, following: what goes in comes out, once, in order, to everybody who may see it.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Client, Node, Space, accepted, delivered, follow, id, start};
use prost::bytes::Bytes;
use stemma::causal::{LogChain, LogId, Tip};
use stemma::event::{Certificate, CertificateKind, Chain, Role, differing, heads_digest, range_sums};
use stemma::sync::{
    ChainRange, Code, Credit, Delivery, Ephemeral, Frame, GetChain, HeadsRange, Position, Resync, Row,
    Verdict,
};
use stemma_relay::RelayConfig;
use stemma_relay::store::{MemoryStore, SqliteStore};

async fn node() -> Node {
    Node::start(RelayConfig::default()).await
}

#[tokio::test]
async fn a_pushed_row_is_acked_and_comes_back_byte_for_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    let node =
        Node::on(Arc::new(SqliteStore::open(folder.path()).expect("opens")), RelayConfig::default()).await;
    let space = Space::new(1);
    let author = space.member(10);
    let rows = space.lane(&author, 20);
    let mut client = Client::enter(node.address, &space, &author).await;
    assert_eq!(client.push(&space, &rows).await.expect("pushes"), accepted(1..=20));

    let mut reader = Client::enter(node.address, &space, &space.member(11)).await;
    let subscribed = reader.subscribe(&space, None, &[author.id()]).await;
    assert_eq!((subscribed.head, subscribed.resync), (20, None));
    assert_eq!(
        subscribed.tips.iter().map(|tip| (tip.seq, tip.id)).collect::<Vec<_>>(),
        [(19, id(&rows[19]))]
    );
    let (read, _) = reader.catch_up(start(&subscribed)).await;
    assert_eq!(read, rows.into_iter().map(Delivery::Row).collect::<Vec<_>>());
}

#[tokio::test]
async fn dups_gaps_and_forks_are_told() {
    let node = node().await;
    let space = Space::new(1);
    let author = space.member(10);
    let rows = space.lane(&author, 4);
    let mut client = Client::enter(node.address, &space, &author).await;
    client.push(&space, &rows[..2]).await.expect("pushes");
    assert_eq!(client.push(&space, &rows[..1]).await.expect("pushes"), [Verdict::Dup { cursor: 1 }]);
    let gap = Verdict::Gap { tip: Some((1, id(&rows[1]))) };
    assert_eq!(client.push(&space, &rows[3..]).await.expect("pushes"), [gap]);
    let branch = space.row(&author, 1, Some(id(&rows[0])), b"branch");
    let forked = Verdict::Forked { cursor: 3, existing: id(&rows[1]) };
    assert_eq!(client.push(&space, std::slice::from_ref(&branch)).await.expect("pushes"), [forked]);
    let stranger = space.lane(&space.member(11), 3);
    assert_eq!(client.push(&space, &stranger[2..]).await.expect("pushes"), [Verdict::Gap { tip: None }]);

    let subscribed = client.subscribe(&space, None, &[author.id()]).await;
    let tips: Vec<_> = subscribed.tips.iter().map(|tip| tip.id).collect();
    assert!(tips.contains(&id(&branch)) && tips.contains(&id(&rows[1])) && tips.len() == 2, "{tips:?}");
    assert_eq!(client.push(&space, &[]).await.expect("an empty push"), []);
}

#[tokio::test]
async fn a_member_pushes_what_others_wrote() {
    let node = node().await;
    let space = Space::new(1);
    let (author, courier) = (space.member(10), space.granted(11, Role::Reader, None));
    let mut client = Client::enter(node.address, &space, &courier).await;
    let rows = space.lane(&author, 3);
    assert_eq!(client.push(&space, &rows).await.expect("pushes"), accepted(1..=3));
}

#[tokio::test]
async fn rows_that_do_not_verify_are_refused_one_by_one() {
    let node = node().await;
    let (space, other) = (Space::new(1), Space::new(2));
    let author = space.member(10);
    let good = space.lane(&author, 2);
    let mut bad_signature = good[0].clone();
    bad_signature.signature[0] ^= 1;
    let mut bad_skeleton = good[0].clone();
    bad_skeleton.skeleton = Bytes::from(vec![0; bad_skeleton.skeleton.len()]);
    let mut no_skeleton = good[0].clone();
    no_skeleton.skeleton = Bytes::new();
    let mut bad_content = good[0].clone();
    bad_content.content = Some(Bytes::from_static(b"other"));
    let mut swapped = good[0].clone();
    swapped.content = Some(swapped.skeleton.clone());
    let mut bad_header = good[0].clone();
    bad_header.header = bad_header.header.slice(1..);
    let mut other_suite = good[0].clone();
    let mut header = other_suite.header.to_vec();
    header[1] = 2;
    other_suite.header = Bytes::from(header);
    let elsewhere = other.lane(&other.member(20), 1).remove(0);

    // A chain that does not come from the root: the grant is signed by somebody else.
    let impostor = Space::new(3);
    let kind = CertificateKind::Grant { role: Role::Owner, not_after: None };
    let grant = Certificate::issue(&impostor.root, space.id(), common::key(10).public(), kind);
    let mut certificates = author.chain.certificates().to_vec();
    certificates[0] = grant;
    let forged = common::Author { chain: Chain::new(certificates), actor: common::key(2_010) };
    let unentitled = space.row(&forged, 0, None, b"unentitled");

    let cases = [
        (bad_signature, Code::BadSignature),
        (bad_skeleton, Code::BadRow),
        (no_skeleton, Code::BadRow),
        (bad_content, Code::BadRow),
        (swapped, Code::BadRow),
        (bad_header, Code::BadRow),
        (other_suite, Code::Unsupported),
        (elsewhere, Code::WrongSpace),
        (unentitled, Code::BadChain),
    ];
    let mut client = Client::enter(node.address, &space, &author).await;
    let rows: Vec<_> = cases.iter().map(|(row, _)| row.clone()).chain(good).collect();
    let verdicts = client.push(&space, &rows).await.expect("pushes");
    for ((_, code), verdict) in cases.iter().zip(&verdicts) {
        assert_eq!(*verdict, Verdict::Rejected(*code));
    }
    assert_eq!(verdicts[cases.len()..], accepted(1..=2));
}

#[tokio::test]
async fn a_row_may_come_without_its_content() {
    let node = node().await;
    let space = Space::new(1);
    let author = space.member(10);
    let mut row = space.lane(&author, 1).remove(0);
    row.content = None;
    let mut client = Client::enter(node.address, &space, &author).await;
    assert_eq!(client.push(&space, std::slice::from_ref(&row)).await.expect("pushes"), accepted(1..=1));
    let mut reader = Client::enter(node.address, &space, &author).await;
    let subscribed = reader.subscribe(&space, None, &[]).await;
    assert_eq!(reader.catch_up(start(&subscribed)).await.0, [Delivery::Row(row)]);
}

#[tokio::test]
async fn reading_goes_on_where_it_ended() {
    let node = node().await;
    let space = Space::new(1);
    let author = space.member(10);
    let rows = space.lane(&author, 10);
    let mut client = Client::enter(node.address, &space, &author).await;
    client.push(&space, &rows[..6]).await.expect("pushes");
    let mut reader = Client::enter(node.address, &space, &author).await;
    let subscribed = reader.subscribe(&space, None, &[]).await;
    let (_, position) = reader.catch_up(start(&subscribed)).await;
    client.push(&space, &rows[6..]).await.expect("pushes");

    let mut back = Client::enter(node.address, &space, &author).await;
    let subscribed = back.subscribe(&space, Some(position), &[]).await;
    assert_eq!((subscribed.resync, subscribed.head), (None, 10));
    let (read, end) = back.catch_up(position).await;
    assert_eq!(read.iter().map(delivered).collect::<Vec<_>>(), rows[6..].iter().map(id).collect::<Vec<_>>());
    let mut again = Client::enter(node.address, &space, &author).await;
    assert_eq!(again.subscribe(&space, Some(end), &[]).await.resync, None);
    assert_eq!(again.catch_up(end).await, (vec![], end));
}

#[tokio::test]
async fn a_position_of_another_history_starts_over() {
    let node = node().await;
    let space = Space::new(1);
    let author = space.member(10);
    let mut client = Client::enter(node.address, &space, &author).await;
    client.push(&space, &space.lane(&author, 3)).await.expect("pushes");
    let subscribed = client.subscribe(&space, None, &[]).await;
    let (_, end) = client.catch_up(start(&subscribed)).await;
    let cases = [
        (Position { log_id: LogId([9; 16]), ..end }, Resync::LogId),
        (Position { cursor: 4, ..end }, Resync::FutureCursor),
        (Position { chain: LogChain([9; 16]), ..end }, Resync::Chain),
        (Position { cursor: 2, ..end }, Resync::Chain),
    ];
    for (position, reason) in cases {
        let subscribed = client.subscribe(&space, Some(position), &[]).await;
        assert_eq!((subscribed.resync, subscribed.log_id), (Some(reason), end.log_id));
        assert_eq!(client.catch_up(start(&subscribed)).await.1, end);
    }
}

#[tokio::test]
async fn whoever_holds_the_same_goes_on_from_the_end_of_another_log() {
    let node = node().await;
    let space = Space::new(1);
    let author = space.member(10);
    let mut client = Client::enter(node.address, &space, &author).await;
    let lane = space.lane(&author, 4);
    client.push(&space, &lane[..3]).await.expect("pushes");
    let subscribed = client.subscribe(&space, None, &[]).await;
    let (_, end) = client.catch_up(start(&subscribed)).await;
    let elsewhere = Position { log_id: LogId([9; 16]), cursor: 70, ..end };
    let tip = |row: &Row, seq| Tip { actor: author.id(), seq, id: id(row) };

    client.heads = Some(heads_digest([tip(&lane[2], 2)]));
    let subscribed = client.subscribe(&space, Some(elsewhere), &[]).await;
    assert_eq!((subscribed.resync, subscribed.chain), (Some(Resync::LogId), Some(end.chain)));
    assert_eq!(client.catch_up(end).await, (vec![], end), "nothing comes again");
    let mut other = Client::enter(node.address, &space, &author).await;
    other.push(&space, &lane[3..]).await.expect("pushes");
    let (news, end) = client.catch_up(end).await;
    assert_eq!(news, [Delivery::Row(lane[3].clone())]);

    // A place in this log needs no comparison, and what is not the same comes from the start.
    assert_eq!(client.subscribe(&space, Some(end), &[]).await.chain, None);
    client.catch_up(end).await;
    for other in [vec![], vec![tip(&lane[3], 2)], vec![tip(&lane[3], 3), tip(&lane[2], 2)]] {
        client.heads = Some(heads_digest(other));
        let subscribed = client.subscribe(&space, Some(elsewhere), &[]).await;
        assert_eq!((subscribed.resync, subscribed.chain), (Some(Resync::LogId), None));
        assert_eq!(client.catch_up(start(&subscribed)).await.1, end);
    }
}

#[tokio::test]
async fn whoever_holds_nearly_the_same_is_told_the_difference_and_gets_what_it_asks_for() {
    let node = node().await;
    let space = Space::new(1);
    let authors = [10, 11, 12].map(|seed| space.member(seed));
    let lanes: Vec<Vec<Row>> = authors.iter().map(|author| space.lane(author, 400)).collect();
    let mut client = Client::enter(node.address, &space, &authors[0]).await;
    for rows in lanes.iter().flat_map(|lane| lane.chunks(200)) {
        client.push(&space, rows).await.expect("pushes");
    }
    let subscribed = client.subscribe(&space, None, &[]).await;
    let (_, end) = client.catch_up(start(&subscribed)).await;
    let tip =
        |of: usize, seq: usize| Tip { actor: authors[of].id(), seq: seq as u32, id: id(&lanes[of][seq]) };

    // All of the first, all but ten of the second, nothing of the third.
    let held = [tip(0, 399), tip(1, 389)];
    (client.heads, client.held) = (Some(heads_digest(held)), 790);
    for from in [None, Some(Position { log_id: LogId([9; 16]), ..end })] {
        let subscribed = client.subscribe(&space, from, &[]).await;
        assert_eq!((subscribed.resync.is_some(), subscribed.chain), (from.is_some(), None));
        assert_eq!((subscribed.head, subscribed.place), (1_200, Some(end.chain)));
    }
    let sums = range_sums(&held, 16);
    client.send(Frame::HeadsRange(HeadsRange { space: space.id(), sums: sums.clone() })).await;
    let Frame::HeadsDiffer(differ) = client.receive().await else { panic!("nothing else is sent before") };
    let (ranges, tips) = differing(vec![tip(0, 399), tip(1, 399), tip(2, 399)], &sums);
    assert_eq!((differ.ranges, differ.too_many), (ranges, false));
    assert_eq!(differ.tips.len(), tips.len());
    assert!(tips.iter().all(|tip| differ.tips.contains(tip)));

    let ask = async |client: &mut Client, ranges: &[(usize, u32, u32)], after| {
        let range =
            |&(of, first, last): &(usize, u32, u32)| ChainRange { actor: authors[of].id(), first, last };
        let ranges = ranges.iter().map(range).collect();
        client.send(Frame::GetChain(GetChain { space: space.id(), ranges, after })).await;
        let Frame::Chain(chain) = client.receive().await else { panic!("an answer") };
        (chain.rows, chain.next)
    };
    assert_eq!(ask(&mut client, &[(1, 390, 399)], 0).await, (lanes[1][390..].to_vec(), 0));
    assert_eq!(ask(&mut client, &[(2, 400, 500)], 0).await, (vec![], 0));
    // More than a frame takes comes in parts, in the order of the log.
    let (mut rows, mut after, mut parts) = (Vec::new(), 0, 0);
    loop {
        let (part, next) = ask(&mut client, &[(2, 0, 399), (0, 0, 399), (1, 0, 399)], after).await;
        assert!(next == 0 || next > after);
        rows.extend(part);
        (after, parts) = (next, parts + 1);
        if next == 0 {
            break;
        }
    }
    assert_eq!(rows, lanes.concat());
    assert!(parts > 1);

    let subscribed = client.subscribe(&space, Some(end), &[]).await;
    assert_eq!((subscribed.resync, subscribed.chain, subscribed.place), (None, None, None));
    assert_eq!(client.catch_up(end).await, (vec![], end));

    // Whoever holds less than half of it, or does not say how much, is sent all.
    for held in [0, 599] {
        client.held = held;
        let subscribed = client.subscribe(&space, None, &[]).await;
        assert_eq!(subscribed.place, None);
        assert_eq!(client.catch_up(start(&subscribed)).await.1, end);
    }
    // A stranger to the space is told nothing of it.
    let other = Space::new(2);
    for frame in [
        Frame::HeadsRange(HeadsRange { space: other.id(), sums: vec![0] }),
        Frame::GetChain(GetChain { space: other.id(), ranges: vec![], after: 0 }),
    ] {
        client.send(frame).await;
        let Frame::Error(error) = client.receive().await else { panic!("an error") };
        assert_eq!((error.code, error.space), (Code::NotFoundOrDenied, Some(other.id())));
    }
}

#[tokio::test]
async fn everybody_else_gets_new_rows_and_the_pusher_their_ids() {
    let node = node().await;
    let space = Space::new(1);
    let author = space.member(10);
    let mut clients = Vec::new();
    for seed in [10, 11, 12] {
        let mut client = Client::enter(node.address, &space, &space.member(seed)).await;
        let subscribed = client.subscribe(&space, None, &[]).await;
        let (_, position) = client.catch_up(start(&subscribed)).await;
        clients.push((client, position));
    }
    let rows = space.lane(&author, 3);
    let push = stemma::sync::Push { push_id: 1, space: space.id(), rows: rows.clone() };
    clients[0].0.send(Frame::Push(push)).await;
    for (index, (client, position)) in clients.iter_mut().enumerate() {
        let mut read = Vec::new();
        while position.cursor < 3 {
            match client.receive().await {
                Frame::Batch(batch) => *position = follow(*position, batch, &mut read),
                Frame::Ack(_) | Frame::CaughtUp(_) => {}
                frame => panic!("{frame:?}"),
            }
        }
        let expected: Vec<_> = match index {
            0 => rows.iter().map(|row| Delivery::Own(id(row))).collect(),
            _ => rows.iter().cloned().map(Delivery::Row).collect(),
        };
        assert_eq!(read, expected);
    }
}

#[tokio::test]
async fn without_credit_nothing_comes_and_with_it_everything() {
    let node = node().await;
    let space = Space::new(1);
    let author = space.member(10);
    let rows = space.lane(&author, 50);
    let mut client = Client::enter(node.address, &space, &author).await;
    let mut reader = Client::enter(node.address, &space, &author).await;
    let subscribed = reader.subscribe_with(&space, None, &[], 1).await;
    let (_, mut position) = reader.catch_up(start(&subscribed)).await;
    client.push(&space, &rows[..25]).await.expect("pushes");
    // One byte of credit lets one batch through, here the first push; then it is overdrawn.
    let mut read = Vec::new();
    let Frame::Batch(batch) = reader.receive().await else { panic!("a batch") };
    position = follow(position, batch, &mut read);
    let Frame::CaughtUp(_) = reader.receive().await else { panic!("caught up") };
    client.push(&space, &rows[25..]).await.expect("pushes");
    reader.push(&space, &[]).await.expect("an answer, and no rows before it");
    assert_eq!(read.len(), 25);
    reader.send(Frame::Credit(Credit { space: space.id(), bytes: 1 << 20 })).await;
    let (rest, end) = reader.catch_up(position).await;
    assert_eq!((rest.len(), end.cursor), (25, 50));
}

#[tokio::test]
async fn a_slow_reader_lags_and_nobody_else_does() {
    let node = node().await;
    let space = Space::new(1);
    let author = space.member(10);
    let mut slow = Client::enter(node.address, &space, &author).await;
    slow.subscribe_with(&space, None, &[], 0).await;
    let mut quick = Client::enter(node.address, &space, &author).await;
    let subscribed = quick.subscribe(&space, None, &[]).await;
    let (_, mut position) = quick.catch_up(start(&subscribed)).await;

    // More than a topic keeps at hand: the slow one will be served from the store.
    let mut client = Client::enter(node.address, &space, &author).await;
    let mut prev = None;
    let content = vec![7; 60_000];
    for seq in 0..40 {
        let row = space.row(&author, seq, prev, &content);
        prev = Some(id(&row));
        assert_eq!(
            client.push(&space, &[row]).await.expect("pushes"),
            accepted(u64::from(seq) + 1..=u64::from(seq) + 1)
        );
    }
    let mut read = Vec::new();
    while position.cursor < 40 {
        match quick.receive().await {
            Frame::Batch(batch) => position = follow(position, batch, &mut read),
            Frame::CaughtUp(_) => {}
            frame => panic!("{frame:?}"),
        }
    }
    slow.send(Frame::Credit(Credit { space: space.id(), bytes: 1 << 30 })).await;
    let Frame::CaughtUp(empty) = slow.receive().await else { panic!("at the start there was nothing") };
    assert_eq!(empty.cursor, 0);
    let (late, end) = slow.catch_up(start(&subscribed)).await;
    assert_eq!((late, end), (read, position));
}

#[tokio::test]
async fn a_quota_refuses_pushes_and_reads_go_on() {
    let space = Space::new(1);
    let author = space.member(10);
    let rows = space.lane(&author, 4);
    let quota_bytes = rows[..2].iter().map(|row| row.bytes() as u64).sum();
    let node = Node::start(RelayConfig { quota_bytes, ..RelayConfig::default() }).await;
    let mut client = Client::enter(node.address, &space, &author).await;
    let verdicts = client.push(&space, &rows[..3]).await.expect("pushes");
    assert_eq!(verdicts[..2], accepted(1..=2));
    assert_eq!(verdicts[2], Verdict::Rejected(Code::Quota));
    let subscribed = client.subscribe(&space, None, &[]).await;
    assert_eq!(client.catch_up(start(&subscribed)).await.0.len(), 2);
    assert_eq!(client.push(&space, &rows[..1]).await.expect("pushes"), [Verdict::Dup { cursor: 1 }]);
}

#[tokio::test]
async fn too_fast_is_told_with_a_time_to_wait() {
    let config = RelayConfig { rows_per_second: 50, rows_burst: 2, ..RelayConfig::default() };
    let node = Node::start(config).await;
    let space = Space::new(1);
    let author = space.member(10);
    let rows = space.lane(&author, 5);
    let mut client = Client::enter(node.address, &space, &author).await;
    assert_eq!(client.push(&space, &rows[..4]).await.expect("the bucket was full"), accepted(1..=4));
    let error = client.push(&space, &rows[4..]).await.expect_err("the bucket is overdrawn");
    assert_eq!((error.code, error.retryable), (Code::Rate, true));
    assert!(error.retry_after_ms > 0);
    tokio::time::sleep(Duration::from_millis(error.retry_after_ms)).await;
    assert_eq!(client.push(&space, &rows[4..]).await.expect("waited"), accepted(5..=5));
}

#[tokio::test]
async fn frames_beyond_the_limits_are_refused() {
    let node = node().await;
    let space = Space::new(1);
    let author = space.member(10);
    let mut client = Client::enter(node.address, &space, &author).await;
    let mut large = vec![0x09, 0];
    large.resize(stemma::sync::FRAME_BYTES_MAX + 1, 0);
    client.send_raw(Bytes::from(large)).await;
    assert_eq!(client.last_words().await, Code::TooLarge);

    for junk in
        [&b""[..], b"\x09", b"\x30\x00", b"\x09\x02", b"\x09\x00\xff", b"\x06\x00", b"\x09\x00\x08\x01"]
    {
        let mut client = Client::enter(node.address, &space, &author).await;
        client.send_raw(Bytes::from_static(junk)).await;
        assert_eq!(client.last_words().await, Code::Malformed, "{junk:?}");
    }
    let mut client = Client::enter(node.address, &space, &author).await;
    client.send_raw(Bytes::from_static(b"\x30\x01future")).await;
    assert_eq!(client.push(&space, &space.lane(&author, 1)).await.expect("it was ignored"), accepted(1..=1));
}

#[tokio::test]
async fn one_connection_follows_several_spaces() {
    let node = node().await;
    let spaces: Vec<Space> = (0..3).map(|seed| Space::new(100 + seed)).collect();
    let authors: Vec<_> = spaces.iter().map(|space| space.member(10)).collect();
    let mut client = Client::connect(node.address).await;
    let pairs: Vec<_> = spaces.iter().zip(&authors).collect();
    let auth = client.auth(&pairs, "");
    client.answer_to(auth).await.expect("three good proofs");
    let mut ends = Vec::new();
    for space in &spaces {
        let subscribed = client.subscribe(space, None, &[]).await;
        ends.push(client.catch_up(start(&subscribed)).await.1);
    }
    // Rows of one space come to its subscriber only once, also after a second SUBSCRIBE for it.
    let subscribed = client.subscribe(&spaces[1], None, &[]).await;
    client.catch_up(start(&subscribed)).await;
    let mut other = Client::enter(node.address, &spaces[1], &authors[1]).await;
    other.push(&spaces[1], &spaces[1].lane(&authors[1], 2)).await.expect("pushes");
    let mut read = Vec::new();
    let Frame::Batch(batch) = client.receive().await else { panic!("a batch") };
    assert_eq!(batch.space, spaces[1].id());
    follow(ends[1], batch, &mut read);
    assert_eq!(read.len(), 2);
    assert_eq!(client.push(&spaces[2], &[]).await.expect("it goes on"), []);
}

#[tokio::test]
async fn an_idle_connection_is_kept_alive() {
    let config = RelayConfig { tick: Duration::from_millis(20), ..RelayConfig::default() };
    let node = Node::start(config).await;
    let space = Space::new(1);
    let mut client = Client::enter(node.address, &space, &space.member(10)).await;
    for _ in 0..3 {
        assert!(matches!(client.receive().await, Frame::Tick { time_ms } if time_ms > 1_600_000_000_000));
    }
}

#[tokio::test]
async fn a_silent_peer_is_let_go() {
    let config = RelayConfig { stall_timeout: Duration::from_millis(100), ..RelayConfig::default() };
    let node = Node::start(config).await;
    let space = Space::new(1);
    let mut client = Client::enter(node.address, &space, &space.member(10)).await;
    assert_eq!(client.next().await, None);
}

#[tokio::test]
async fn a_node_that_stops_says_so_and_loses_nothing() {
    let store: Arc<MemoryStore> = Arc::default();
    let node = Node::on(store.clone(), RelayConfig::default()).await;
    let address = node.address;
    let space = Space::new(1);
    let author = space.member(10);
    let mut client = Client::enter(address, &space, &author).await;
    client.push(&space, &space.lane(&author, 3)).await.expect("pushes");
    let stopped = tokio::spawn(node.stop());
    let Some(Frame::GoAway(go)) = client.next().await else { panic!("the relay says that it goes") };
    assert_eq!(go.code, Code::Draining);
    assert!(go.retry_max_ms > go.retry_min_ms);
    assert_eq!(client.next().await, None);
    stopped.await.expect("it stops");
    assert_eq!(common::get(address, "/livez").await, None);

    let again = Node::on(store, RelayConfig::default()).await;
    let mut client = Client::enter(again.address, &space, &author).await;
    assert_eq!(client.subscribe(&space, None, &[]).await.head, 3);
}

#[tokio::test]
async fn a_node_is_live_and_ready() {
    let node = node().await;
    assert_eq!(common::get(node.address, "/livez").await.as_deref(), Some("HTTP/1.1 200 OK"));
    assert_eq!(common::get(node.address, "/readyz").await.as_deref(), Some("HTTP/1.1 200 OK"));
    assert_eq!(common::get(node.address, "/other").await.as_deref(), Some("HTTP/1.1 404 Not Found"));
}

/// What somebody says to whoever is there.
fn said(space: &Space, byte: u8) -> Frame {
    Frame::Ephemeral(Ephemeral { space: space.id(), payload: Bytes::from(vec![byte; 100]) })
}

#[tokio::test]
async fn what_is_said_reaches_those_who_listen_and_is_kept_by_nobody() {
    let node = node().await;
    let (space, other) = (Space::new(1), Space::new(2));
    let mut clients = Vec::new();
    for seed in 10..13 {
        let mut client = Client::enter(node.address, &space, &space.member(seed)).await;
        let subscribed = client.subscribe(&space, None, &[]).await;
        client.catch_up(start(&subscribed)).await;
        clients.push(client);
    }
    let mut stranger = Client::enter(node.address, &other, &other.member(20)).await;
    let subscribed = stranger.subscribe(&other, None, &[]).await;
    stranger.catch_up(start(&subscribed)).await;

    clients[0].send(said(&space, 1)).await;
    for client in &mut clients[1..] {
        assert_eq!(client.receive().await, said(&space, 1));
    }
    // The sender does not hear itself, a stranger hears and says nothing.
    clients[1].send(said(&space, 2)).await;
    assert_eq!(clients[0].receive().await, said(&space, 2));
    stranger.send(said(&space, 3)).await;
    let Frame::Error(error) = stranger.receive().await else { panic!("an error is told") };
    assert_eq!((error.code, error.space), (Code::NotFoundOrDenied, Some(space.id())));
    stranger.send(said(&other, 4)).await;
    // Nobody who comes later is told, and the log knows nothing of it.
    let mut late = Client::enter(node.address, &space, &space.member(14)).await;
    let subscribed = late.subscribe(&space, None, &[]).await;
    assert_eq!(subscribed.head, 0);
    let (rows, _) = late.catch_up(start(&subscribed)).await;
    assert!(rows.is_empty());
    clients[0].send(said(&space, 5)).await;
    assert_eq!(late.receive().await, said(&space, 5));
}

#[tokio::test]
async fn who_says_too_much_is_passed_on_in_part_and_stays() {
    let node = node().await;
    let space = Space::new(1);
    let author = space.member(10);
    let mut loud = Client::enter(node.address, &space, &author).await;
    let mut listener = Client::enter(node.address, &space, &space.member(11)).await;
    let subscribed = listener.subscribe(&space, None, &[]).await;
    listener.catch_up(start(&subscribed)).await;
    for _ in 0..1_000 {
        loud.send(said(&space, 1)).await;
    }
    // Rows still go through, and come behind what was passed on before.
    let rows = space.lane(&author, 1);
    assert_eq!(loud.push(&space, &rows).await.expect("pushes"), accepted(1..=1));
    let mut heard = 0;
    loop {
        match listener.receive().await {
            Frame::Ephemeral(_) => heard += 1,
            Frame::Batch(batch) => {
                assert_eq!(batch.rows.len(), 1);
                break;
            }
            frame => panic!("{frame:?}"),
        }
    }
    assert!((1..500).contains(&heard), "{heard} of 1,000");
}
