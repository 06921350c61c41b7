//! Receipts of relays: one that loses or withholds what it signed for is shown to everybody, and no other one is.

#[path = "common/attacker.rs"]
mod attacker;
mod common;
#[path = "common/relay.rs"]
mod relay;

use attacker::write;
use common::{Node, sync};
use relay::Relay;
use stemma::audit::{Accused, Evidence};
use stemma::causal::{ActorId, ChangesetId, LogId, SpaceId, Tip};
use stemma::crypto::SigningKey;
use stemma::event::{HOLDING_APART_MS, Holding, Role};
use stemma::replica::EvidenceInfo;

const URL: &str = "wss://relay.example/v1";

fn signing(node: &Node) -> Relay {
    let mut relay = Relay::new(URL, node.replica.space());
    relay.key = Some(SigningKey::from_seed(&[7; 32]));
    relay.now_ms = 1_000_000;
    relay
}

/// Somebody whose changesets a relay has taken, and signed for.
fn served() -> (Node, Relay) {
    let mut node = Node::create(1);
    write(&mut node, "first");
    let mut relay = signing(&node);
    relay.connect(&mut node);
    for key in ["second", "third"] {
        write(&mut node, key);
        relay.run(&mut node);
    }
    assert!(relay.ids().len() >= 3);
    (node, relay)
}

/// It is there again some time later.
fn back(node: &mut Node, relay: &mut Relay, ms: u64) {
    relay.now_ms += ms;
    relay.drop_connection(node);
    relay.wait(node, 120_000);
    relay.wait(node, 20_000);
}

fn found(node: &Node) -> Vec<EvidenceInfo> {
    node.replica.evidence().collect()
}

#[test]
fn a_relay_that_lost_what_it_signed_for_is_shown_to_everybody_whatever_it_calls_its_log() {
    for log in [LogId([1; 16]), LogId([2; 16])] {
        let (mut node, mut relay) = served();
        relay.rows.pop();
        relay.log_id = log;
        back(&mut node, &mut relay, HOLDING_APART_MS + 1);
        let mut other = Node::join(2, &node.invite(Role::Writer));
        sync(&mut node, &mut other);
        let relay_key = relay.key.as_ref().expect("it signs").public();
        for node in [&node, &other] {
            let found = found(node);
            assert_eq!(found.len(), 1, "{log:?}");
            assert_eq!(
                (found[0].case.evidence.kind(), found[0].case.accused),
                ("withheld", Accused::Relay(relay_key))
            );
            assert!(found[0].is_proven && found[0].actors.is_empty() && found[0].settled.is_none());
        }
        assert!(node.replica.relay_score(URL, node.now_ms) < 25);
        // What it lacked was pushed again, and nothing of anybody is in doubt.
        assert!(relay.ids().contains(&node.replica.heads()[0]));
        assert!(!node.replica.is_byzantine(node.replica.actor().expect("it wrote")));
        let id = found(&node)[0].case.id;
        node.with(|replica, env| replica.resolve_evidence(id, env)).expect("an owner may");
        assert!(found(&node)[0].settled.is_some());
    }
}

#[test]
fn a_receipt_outlives_the_tab_and_its_relay_is_told_of_once() {
    let (node, mut relay) = served();
    let mut node = node.reopen();
    relay.rows.pop();
    relay.log_id = LogId([2; 16]);
    relay.now_ms += HOLDING_APART_MS + 1;
    relay.connect(&mut node);
    relay.wait(&mut node, 20_000);
    assert_eq!(found(&node).len(), 1);
    for _ in 0..2 {
        relay.rows.pop();
        back(&mut node, &mut relay, HOLDING_APART_MS + 1);
    }
    assert_eq!(found(&node).len(), 1, "as long as that is not settled");
}

#[test]
fn who_has_everything_or_says_nothing_or_is_another_one_is_not_blamed() {
    let innocent = |change: fn(&mut Relay), ms: u64| {
        let (mut node, mut relay) = served();
        change(&mut relay);
        back(&mut node, &mut relay, ms);
        assert!(found(&node).is_empty());
        assert!(node.replica.relay_score(URL, node.now_ms) >= 50);
    };
    innocent(|_| {}, HOLDING_APART_MS + 1);
    innocent(|relay| relay.log_id = LogId([2; 16]), HOLDING_APART_MS + 1);
    innocent(|relay| drop(relay.rows.pop()), HOLDING_APART_MS);
    innocent(
        |relay| {
            relay.rows.pop();
            relay.key = None;
        },
        HOLDING_APART_MS + 1,
    );
    innocent(
        |relay| {
            relay.rows.pop();
            relay.key = Some(SigningKey::from_seed(&[8; 32]));
        },
        HOLDING_APART_MS + 1,
    );
}

#[test]
fn what_breaks_a_receipt_is_what_was_asked_for_and_reaches_less_far() {
    let (space, key) = (SpaceId([1; 32]), SigningKey::from_seed(&[7; 32]));
    let tip =
        |actor: u8, seq: u32, id: u8| Tip { actor: ActorId([actor; 32]), seq, id: ChangesetId([id; 32]) };
    let said = |time_ms, asked: &[u8], held: &[Tip]| {
        let asked = asked.iter().map(|actor| ActorId([*actor; 32])).collect();
        Holding::sign(&key, &space, time_ms, asked, held.to_vec())
    };
    let receipt = said(5, &[], &[tip(1, 3, 9), tip(2, 0, 8)]);
    let late = 6 + HOLDING_APART_MS;
    for (later, breaks) in [
        (said(late, &[1, 2], &[tip(1, 3, 9), tip(2, 0, 8)]), false),
        (said(late, &[1, 2], &[tip(1, 9, 7), tip(2, 4, 6)]), false),
        (said(late, &[1, 2], &[tip(1, 3, 7), tip(1, 1, 5), tip(2, 0, 8)]), false),
        (said(late, &[3], &[]), false),
        (said(late, &[], &[]), false),
        (said(late - 1, &[1, 2], &[]), false),
        (said(late, &[1, 2], &[]), true),
        (said(late, &[2], &[tip(1, 3, 9)]), true),
        (said(late, &[1, 2], &[tip(1, 2, 9), tip(2, 0, 8)]), true),
        (said(1 << 47, &[1], &[tip(1, 2, 9)]), true),
    ] {
        assert_eq!(receipt.is_broken_by(&later), breaks, "{later:?}");
        assert!(!later.is_broken_by(&receipt), "what was before breaks nothing");
        let evidence = Evidence::Withheld { relay: key.public(), said: Box::new([receipt.clone(), later]) };
        assert_eq!(Evidence::decode(&evidence.encode()), Ok(evidence));
    }
}
