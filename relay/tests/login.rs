//! Who gets in, and what those outside can learn and do: nothing.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Client, Node, Space, start};
use prost::bytes::Bytes;
use stemma::event::Role;
use stemma::sync::{Code, Credit, Frame, Subscribe};
use stemma_relay::store::{MemoryStore, SqliteStore};
use stemma_relay::{Create, RelayConfig};

fn config() -> RelayConfig {
    RelayConfig::default()
}

#[tokio::test]
async fn a_member_by_grant_and_one_by_invite_get_in() {
    let node = Node::start(config()).await;
    let space = Space::new(1);
    let owner = space.granted(10, Role::Owner, None);
    let guest = space.invited(&space.invite(20, 1, 0), 30);
    let reader = space.granted(40, Role::Reader, None);
    for author in [&owner, &guest, &reader] {
        let mut client = Client::enter(node.address, &space, author).await;
        assert_eq!(client.subscribe(&space, None, &[]).await.head, 0);
    }
}

#[tokio::test]
async fn a_bad_proof_ends_the_connection() {
    let node = Node::start(config()).await;
    let (space, other) = (Space::new(1), Space::new(2));
    let (author, stranger) = (space.member(10), other.member(11));

    let refused = async |change: &dyn Fn(&mut stemma::sync::Auth)| {
        let mut client = Client::connect(node.address).await;
        let mut auth = client.auth(&[(&space, &author)], "");
        change(&mut auth);
        client.send(Frame::Auth(auth)).await;
        assert_eq!(client.last_words().await, Code::AuthFailed);
    };
    refused(&|auth| auth.proofs[0].signature[5] ^= 1).await;
    refused(&|auth| auth.client_nonce[0] ^= 1).await;
    refused(&|auth| auth.proofs.clear()).await;
    refused(&|auth| auth.proofs[0].chain = Bytes::from(stranger.chain.encode())).await;
    refused(&|auth| auth.proofs[0].genesis = Bytes::copy_from_slice(other.genesis.as_bytes())).await;
    refused(&|auth| auth.proofs[0].genesis = Bytes::from_static(b"no genesis")).await;
    refused(&|auth| auth.proofs[0].chain = Bytes::from_static(&[0])).await;
    refused(&|auth| {
        let certificates = author.chain.certificates();
        let to_device = stemma::event::Chain::new(certificates[..2].to_vec());
        auth.proofs[0].chain = Bytes::from(to_device.encode());
    })
    .await;
}

#[tokio::test]
async fn the_signature_of_another_key_is_refused() {
    let node = Node::start(config()).await;
    let space = Space::new(1);
    let (author, other) = (space.member(10), space.member(11));
    let mut client = Client::connect(node.address).await;
    let mut auth = client.auth(&[(&space, &author)], "");
    auth.proofs[0].signature = client.auth(&[(&space, &other)], "").proofs[0].signature;
    assert_eq!(client.answer_to(auth).await.err(), Some(Code::AuthFailed));
}

#[tokio::test]
async fn an_answer_fits_no_other_connection_and_no_other_relay() {
    let (node, elsewhere) = (Node::start(config()).await, Node::start(config()).await);
    let space = Space::new(1);
    let author = space.member(10);
    let overheard = Client::connect(node.address).await.auth(&[(&space, &author)], "");
    for address in [node.address, elsewhere.address] {
        let mut client = Client::connect(address).await;
        assert_eq!(client.answer_to(overheard.clone()).await.err(), Some(Code::AuthFailed));
    }
    let mut client = Client::connect(elsewhere.address).await;
    client.hello.relay_key = Client::connect(node.address).await.hello.relay_key;
    let auth = client.auth(&[(&space, &author)], "");
    assert_eq!(client.answer_to(auth).await.err(), Some(Code::AuthFailed));
}

#[tokio::test]
async fn another_version_is_refused_by_name() {
    let node = Node::start(config()).await;
    let space = Space::new(1);
    let mut client = Client::connect(node.address).await;
    let mut auth = client.auth(&[(&space, &space.member(10))], "");
    auth.version = 2;
    assert_eq!(client.answer_to(auth).await.err(), Some(Code::Version));
}

#[tokio::test]
async fn an_expired_invite_lets_only_those_in_who_came_before() {
    let store: Arc<MemoryStore> = Arc::default();
    let node = Node::on(store.clone(), config()).await;
    let space = Space::new(1);
    let long_ago = space.invite(20, 0, 1_000);
    let mut client = Client::connect(node.address).await;
    assert_eq!(client.login(&space, &space.invited(&long_ago, 30)).await, Some(Code::InviteExpired));

    // The same invite key with time left, then with none: who was counted goes on.
    let open = space.invite(20, 0, 4_000_000_000_000);
    Client::enter(node.address, &space, &space.invited(&open, 31)).await;
    Client::enter(node.address, &space, &space.invited(&long_ago, 31)).await;
    let expired = space.granted(40, Role::Writer, Some(1_000));
    let mut client = Client::connect(node.address).await;
    assert_eq!(client.login(&space, &expired).await, Some(Code::InviteExpired));
}

#[tokio::test]
async fn a_used_up_invite_stays_used_up_over_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let space = Space::new(1);
    let invite = space.invite(20, 2, 0);
    let authors = [30, 31, 32].map(|seed| space.invited(&invite, seed));
    let expected = [None, None, Some(Code::InviteUsed)];
    for _ in 0..2 {
        let node = Node::on(Arc::new(SqliteStore::open(folder.path()).expect("opens")), config()).await;
        for (author, expected) in authors.iter().zip(expected) {
            let mut client = Client::connect(node.address).await;
            assert_eq!(client.login(&space, author).await, expected);
        }
        node.stop().await;
    }
}

#[tokio::test]
async fn a_fresh_invite_lets_a_refused_member_key_in() {
    let node = Node::start(config()).await;
    let space = Space::new(1);
    let used = space.invite(20, 1, 0);
    Client::enter(node.address, &space, &space.invited(&used, 30)).await;
    let mut client = Client::connect(node.address).await;
    assert_eq!(client.login(&space, &space.invited(&used, 31)).await, Some(Code::InviteUsed));
    let fresh = space.invite(21, 1, 0);
    Client::enter(node.address, &space, &space.invited(&fresh, 31)).await;
}

#[tokio::test]
async fn spaces_are_made_only_as_the_policy_says() {
    let space = Space::new(1);
    let author = space.member(10);
    let try_with = async |create: Create, token: &str| {
        let node = Node::start(RelayConfig { create, ..config() }).await;
        let mut client = Client::connect(node.address).await;
        let auth = client.auth(&[(&space, &author)], token);
        client.answer_to(auth).await.expect("a good proof").spaces[0].refused
    };
    assert_eq!(try_with(Create::Open, "").await, None);
    assert_eq!(try_with(Create::Token("t".into()), "t").await, None);
    assert_eq!(try_with(Create::Token("t".into()), "").await, Some(Code::Denied));
    assert_eq!(try_with(Create::Token("t".into()), "x").await, Some(Code::Denied));
    assert_eq!(try_with(Create::Closed, "t").await, Some(Code::Denied));

    // A space that is there goes on without a token.
    let store: Arc<MemoryStore> = Arc::default();
    let open = Node::on(store.clone(), config()).await;
    Client::enter(open.address, &space, &author).await;
    let closed = Node::on(store, RelayConfig { create: Create::Closed, ..config() }).await;
    Client::enter(closed.address, &space, &author).await;
}

#[tokio::test]
async fn one_login_for_two_spaces_gives_a_verdict_each() {
    let node = Node::start(config()).await;
    let (space, other) = (Space::new(1), Space::new(2));
    let (author, refused) = (space.member(10), other.granted(11, Role::Writer, Some(1)));
    let mut client = Client::connect(node.address).await;
    let auth = client.auth(&[(&space, &author), (&other, &refused)], "");
    let verdicts = client.answer_to(auth).await.expect("good proofs").spaces;
    assert_eq!(
        verdicts.iter().map(|verdict| verdict.refused).collect::<Vec<_>>(),
        [None, Some(Code::InviteExpired)]
    );
    client.subscribe(&space, None, &[]).await;
    assert_not_found(&mut client, &other).await;
}

#[tokio::test]
async fn a_stranger_can_neither_read_nor_push_nor_tell_what_exists() {
    let node = Node::start(config()).await;
    let (space, own, nowhere) = (Space::new(1), Space::new(2), Space::new(3));
    let author = space.member(10);
    let mut member = Client::enter(node.address, &space, &author).await;
    let rows = space.lane(&author, 2);
    member.push(&space, &rows[..1]).await.expect("a member pushes");

    let mut stranger = Client::enter(node.address, &own, &own.member(20)).await;
    for target in [&space, &nowhere] {
        assert_not_found(&mut stranger, target).await;
        let error = stranger.push(target, &rows[1..]).await.expect_err("a stranger pushes");
        assert_eq!(
            (error.code, error.retryable, error.message.as_str()),
            (Code::NotFoundOrDenied, false, "")
        );
        stranger.send(Frame::Credit(Credit { space: target.id(), bytes: 1 << 20 })).await;
    }
    stranger.subscribe(&own, None, &[]).await;
    let subscribed = member.subscribe(&space, None, &[]).await;
    assert_eq!(subscribed.head, 1);
    assert_eq!(member.catch_up(start(&subscribed)).await.0.len(), 1);
}

#[tokio::test]
async fn before_a_login_nothing_is_answered() {
    let node = Node::start(config()).await;
    let space = Space::new(1);
    let mut client = Client::connect(node.address).await;
    client
        .send(Frame::Subscribe(Subscribe {
            space: space.id(),
            from: None,
            own: vec![],
            credit: 1,
            heads: None,
            held: 0,
            look: false,
        }))
        .await;
    assert_eq!(client.last_words().await, Code::Malformed);

    let mut client = Client::connect(node.address).await;
    client.send_raw(Bytes::from_static(b"\x02\x00junk")).await;
    assert_eq!(client.last_words().await, Code::Malformed);

    let mut client = Client::connect(node.address).await;
    client.send_text("hello").await;
    assert_eq!(client.last_words().await, Code::Malformed);
}

#[tokio::test]
async fn a_stranger_may_send_little() {
    let node = Node::start(config()).await;
    let mut client = Client::connect(node.address).await;
    let mut ignorable = vec![0x77, 1];
    ignorable.resize(9_000, 0);
    client.send_raw(Bytes::from(ignorable.clone())).await;
    client.send_raw(Bytes::from(ignorable)).await;
    assert_eq!(client.last_words().await, Code::TooLarge);
}

#[tokio::test]
async fn a_stranger_has_little_time() {
    let node = Node::start(RelayConfig { auth_timeout: Duration::from_millis(50), ..config() }).await;
    let mut client = Client::connect(node.address).await;
    assert_eq!(client.last_words().await, Code::AuthFailed);
}

#[tokio::test]
async fn a_second_login_on_a_connection_is_refused() {
    let node = Node::start(config()).await;
    let space = Space::new(1);
    let author = space.member(10);
    let mut client = Client::enter(node.address, &space, &author).await;
    let auth = client.auth(&[(&space, &author)], "");
    client.send(Frame::Auth(auth)).await;
    assert_eq!(client.last_words().await, Code::Malformed);
}

#[tokio::test]
async fn too_many_logins_are_turned_away() {
    let node = Node::start(RelayConfig { handshakes_per_second: 1, ..config() }).await;
    let mut refused = 0;
    for _ in 0..10 {
        let upgraded = tokio_tungstenite::connect_async(format!("ws://{}/v1", node.address)).await;
        refused += u32::from(upgraded.is_err());
    }
    assert!(refused >= 1, "ten at once, and all got in");
}

#[tokio::test]
async fn the_relay_keeps_its_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut keys = Vec::new();
    for _ in 0..2 {
        let node = Node::on(Arc::new(SqliteStore::open(folder.path()).expect("opens")), config()).await;
        keys.push(Client::connect(node.address).await.hello.relay_key);
        node.stop().await;
    }
    assert_eq!(keys[0], keys[1]);
}

async fn assert_not_found(client: &mut Client, space: &Space) {
    client
        .send(Frame::Subscribe(Subscribe {
            space: space.id(),
            from: None,
            own: vec![],
            credit: 1 << 20,
            heads: None,
            held: 0,
            look: false,
        }))
        .await;
    let error = loop {
        match client.receive().await {
            Frame::Error(error) => break error,
            Frame::CaughtUp(_) => {}
            frame => panic!("{frame:?}"),
        }
    };
    assert_eq!((error.code, error.space, error.retryable), (Code::NotFoundOrDenied, Some(space.id()), false));
    assert_eq!(error.message, "");
}
