//! What a relay signs that it holds.

mod common;

use common::{Client, Node, Space, id};
use stemma::causal::{ActorId, Tip};
use stemma::crypto::Signature;
use stemma::event::Holding;
use stemma::sync::Said;
use stemma_relay::RelayConfig;

#[tokio::test]
async fn what_is_held_is_signed_in_acks_and_for_who_asks() {
    let node = Node::start(RelayConfig::default()).await;
    let space = Space::new(1);
    let author = space.member(10);
    let rows = space.lane(&author, 5);
    let mut client = Client::enter(node.address, &space, &author).await;
    let relay = client.hello.relay_key;
    let place = |seq: u32| Tip { actor: author.id(), seq, id: id(&rows[seq as usize]) };
    let signed = |said: Option<Said>, asked: Vec<ActorId>, held: Vec<Tip>| {
        let Said { time_ms, signature } = said.expect("it is signed");
        let holding = Holding { time_ms, asked, held, signature: Signature(signature) };
        assert!(holding.is_signed_by(&relay, &space.id()), "{holding:?}");
        holding
    };
    client.push(&space, &rows[..3]).await.expect("pushes");
    let first = signed(client.said, Vec::new(), vec![place(2)]);
    // What is known is signed for too, what is not taken is not.
    client.push(&space, &rows[..1]).await.expect("pushes");
    signed(client.said, Vec::new(), vec![place(0)]);
    client.push(&space, &rows[4..]).await.expect("pushes");
    assert_eq!(client.said, None, "a gap");
    let asked = vec![space.member(11).id(), author.id()];
    let subscribed = client.subscribe(&space, None, &asked).await;
    let now = signed(subscribed.said, asked, vec![place(2)]);
    assert!(first.time_ms <= now.time_ms && !first.is_broken_by(&now));
    let mut other = Client::enter(node.address, &space, &author).await;
    assert_eq!(other.subscribe(&space, None, &[]).await.said, None, "nobody was asked about");
}
