//! The audit log of a device through the public API of a replica: what is written down, that it is one chain whatever happens to the store, and that
//! nobody can fill the disk with it.

#[path = "common/attacker.rs"]
mod attacker;
mod common;
#[path = "common/erasing.rs"]
mod erasing;
#[path = "reference/rng.rs"]
mod rng;

use attacker::{World, badly_signed, encoded, write};
use common::{Node, sync};
use erasing::{erase, last};
use std::collections::BTreeMap;
use stemma::audit::{Attestation, BlockRules, Detail, JournalEntry, JournalFilter, NoteKind, ValidatorSet};
use stemma::crypto::Digest;
use stemma::event::{BanScope, BanSubject, Class, Op, Role};
use stemma::replica::{JournalPlaces, JournalRow, Whose};
use stemma::store::StoreName;

/// What the store has of the log.
fn records(node: &Node) -> BTreeMap<String, Vec<u8>> {
    let meta = node.disk.records(StoreName::Meta);
    let of_log = meta.into_iter().filter(|(key, _)| key.starts_with("audit/"));
    node.disk.records(StoreName::Audit).into_iter().chain(of_log).collect()
}

fn log(node: &Node, filter: &JournalFilter) -> Vec<JournalRow> {
    let (rows, damaged) = node.replica.journal(&records(node), &mut JournalPlaces::new(), filter, usize::MAX);
    assert_eq!(damaged, 0);
    rows
}

fn of_kind(node: &Node, kind: NoteKind) -> Vec<JournalEntry> {
    let filter = JournalFilter { kind: Some(kind), ..JournalFilter::default() };
    log(node, &filter).into_iter().map(|row| row.entry).collect()
}

fn text(entry: &JournalEntry) -> String {
    entry.detail().expect("it is there").text
}

fn pass(node: &mut Node, ms: u64) {
    node.now_ms += ms;
    node.settle();
}

fn note(node: &mut Node, text: &str) {
    let detail = Detail { text: text.to_owned(), ..Detail::default() };
    node.with(|replica, env| replica.note(NoteKind::Read, detail, env.now_ms));
}

fn whole(node: &Node) -> bool {
    node.replica.journal_check(&records(node)).iter().all(|chain| chain.fault.is_none())
}

#[test]
fn what_happens_is_written_down_and_is_there_after_a_restart() {
    let mut owner = Node::create(1);
    let token = owner.invite(Role::Writer);
    let mut other = Node::join(2, &token);
    write(&mut other, "k");
    sync(&mut owner, &mut other);
    let member = other.replica.member();
    let ban = Op::PolicyBan { subject: BanSubject::Member(member), scope: BanScope::FromHere };
    owner.with(|replica, env| replica.say(vec![ban], None, true, env)).expect("it can be said");
    pass(&mut owner, 2_000);
    let told = |node: &Node, kind| of_kind(node, kind).iter().map(text).collect::<Vec<_>>();
    let keys = told(&owner, NoteKind::Key);
    assert_eq!(keys[0], "an actor was made here");
    assert_eq!(keys[1], "an invite for writer was made");
    assert_eq!(keys[2], "an actor of a member came, who is writer");
    let policy = told(&owner, NoteKind::Policy);
    assert_eq!(policy, [format!("ban member {member} here")]);
    let sessions = told(&owner, NoteKind::Session);
    assert_eq!(sessions, ["began", "ended: 1 changesets came, 0 were refused, 0 went"]);
    let about = JournalFilter { member: Some(member), ..JournalFilter::default() };
    assert_eq!(log(&owner, &about).len(), 1, "an actor of that member came");
    let before = log(&owner, &JournalFilter::default());
    let owner = owner.reopen();
    let after = log(&owner, &JournalFilter::default());
    assert_eq!(after[..before.len()], before[..]);
    assert!(whole(&owner));
    assert_eq!(after.len(), before.len(), "reading one's own store is no news");
}

#[test]
fn a_letter_that_is_typed_is_no_entry_and_no_commit_of_its_own() {
    let mut node = Node::create(1);
    pass(&mut node, 5_000);
    let (entries, commits) = (log(&node, &JournalFilter::default()).len(), node.disk.keyed.len());
    for _ in 0..10 {
        write(&mut node, "k");
    }
    pass(&mut node, 5_000);
    assert_eq!(log(&node, &JournalFilter::default()).len(), entries);
    // The tip of the actor alone.
    assert_eq!(node.disk.keyed.len(), commits + 1);
}

#[test]
fn entries_ride_with_the_next_commit_and_are_written_without_one_after_a_second() {
    let mut node = Node::create(1);
    pass(&mut node, 5_000);
    let stored = |node: &Node| node.disk.records(StoreName::Audit).len();
    let before = stored(&node);
    note(&mut node, "first");
    assert_eq!(stored(&node), before, "no commit is made for it");
    assert_eq!(of_kind(&node, NoteKind::Read).len(), 1, "it can be read all the same");
    write(&mut node, "k");
    assert_eq!(stored(&node), before + 1);
    note(&mut node, "second");
    pass(&mut node, 999);
    assert_eq!(stored(&node), before + 1);
    pass(&mut node, 1);
    assert_eq!(stored(&node), before + 2);
    assert!(whole(&node));
}

#[test]
fn a_store_that_fails_once_gets_the_entries_with_the_next_commit() {
    let mut node = Node::create(1);
    pass(&mut node, 5_000);
    note(&mut node, "first");
    node.disk.broken = Some("E_STORAGE_QUOTA");
    pass(&mut node, 1_000);
    node.disk.broken = None;
    note(&mut node, "second");
    pass(&mut node, 1_000);
    let node = node.reopen();
    let read = of_kind(&node, NoteKind::Read);
    assert_eq!(read.iter().map(text).collect::<Vec<_>>(), ["first", "second"]);
    assert!(whole(&node));
}

/// Hostile input 91: junk from whoever can connect; and 92: in the name of somebody else.
#[test]
fn a_flood_of_forged_rows_is_two_entries_a_minute_that_name_nobody() {
    let mut world = World::new();
    let rows: Vec<Vec<u8>> = (0..100_u8)
        .map(|n| {
            let lane = world.attacker.lane(n);
            let (skeleton, content) = world.attacker.set("k", "v", 5);
            let one = world.attacker.seal(&lane, &[], &skeleton.encode(0), Some(&content.encode()));
            badly_signed(one.signed())
        })
        .collect();
    for _ in 0..5 {
        world.attacker.give(&mut world.a, &rows);
    }
    let refused = of_kind(&world.a, NoteKind::Refused);
    assert_eq!(refused.len(), 1, "the first is told at once");
    pass(&mut world.a, 60_000);
    let refused = of_kind(&world.a, NoteKind::Refused);
    assert_eq!(refused.iter().map(|entry| entry.count).collect::<Vec<_>>(), [1, 499]);
    for entry in &refused {
        let detail = entry.detail().expect("it is there");
        assert_eq!((detail.actor, detail.member), (None, None));
        assert_eq!((detail.peer.as_str(), detail.text.as_str()), ("an import", "signature is not valid"));
    }
    assert!(whole(&world.a));
}

#[test]
fn many_sorts_of_what_happens_often_are_counted_together() {
    let mut node = Node::create(1);
    let before = log(&node, &JournalFilter::default()).len();
    for n in 0..1_000 {
        let detail =
            Detail { peer: format!("wss://relay/{n}"), text: "began".to_owned(), ..Detail::default() };
        node.with(|replica, env| replica.note_often(NoteKind::Session, detail, env.now_ms));
    }
    pass(&mut node, 60_000);
    let sessions = of_kind(&node, NoteKind::Session);
    assert_eq!(sessions.iter().map(|entry| entry.count).sum::<u64>(), 1_000);
    assert_eq!((sessions.len(), before), (18, 1), "16 sorts, and the first and the rest of all others");
}

#[test]
fn what_has_no_effect_is_told_once_with_who_signed_it() {
    let world = World::new();
    let mut lane = world.attacker.lane(1);
    let inert =
        world.attacker.say(Class::Data, &mut lane, &[world.first], vec![Op::PolicyMode { review: true }]);
    let world = world.agree(&[encoded(&inert)]);
    let found = of_kind(&world.a, NoteKind::Inert);
    assert_eq!(found.len(), 1);
    let detail = found[0].detail().expect("it is there");
    assert_eq!((detail.changeset, detail.member), (Some(inert.id()), Some(world.attacker.member())));
}

#[test]
fn what_an_entry_is_about_can_be_dropped_and_the_chain_stays_whole() {
    let mut node = Node::create(1);
    for text in ["ada", "bob", "ada"] {
        note(&mut node, text);
        pass(&mut node, 2_000);
    }
    note(&mut node, "not stored yet");
    let head = node.replica.journal_head();
    let filter = JournalFilter { kind: Some(NoteKind::Read), ..JournalFilter::default() };
    let stored = records(&node);
    let (batch, count) = node.with(|replica, env| replica.forget_noted(&stored, &filter, env.now_ms));
    assert_eq!((count, batch.put.len()), (4, 3));
    for (store, key, value) in batch.put {
        node.disk.keyed.insert((store, key), value);
    }
    pass(&mut node, 2_000);
    let mut node = node.reopen();
    let read = of_kind(&node, NoteKind::Read);
    assert_eq!(read.len(), 4, "that something was read stays");
    assert!(read.iter().all(|entry| entry.detail().is_none()));
    assert!(whole(&node));
    assert_eq!(node.replica.journal_head(), head);
    let about = JournalFilter { member: Some(node.replica.member()), ..filter };
    assert!(log(&node, &about).is_empty(), "nothing is found by what was dropped");
    let stored = records(&node);
    let (batch, count) = node.with(|replica, env| replica.forget_noted(&stored, &filter, env.now_ms));
    assert!(batch.is_empty() && count == 0);
}

#[test]
fn the_oldest_entries_go_and_a_signed_checkpoint_stands_for_them() {
    let mut node = Node::create(1);
    node.with(|replica, _| replica.keep_noted(64));
    for n in 0..100 {
        note(&mut node, &n.to_string());
        pass(&mut node, 1_000);
        if node.trims > 0 {
            node.trims = 0;
            let stored = records(&node);
            node.with(|replica, _| replica.trim_noted(&stored));
        }
    }
    let chain = &node.replica.journal_check(&records(&node))[0];
    assert_eq!((chain.fault, chain.head.size), (None, 101));
    let kept = log(&node, &JournalFilter::default());
    assert_eq!(kept.len() as u64, chain.head.size - chain.dropped);
    assert!((48..=64).contains(&kept.len()), "{}", kept.len());
    assert_eq!(text(&kept.last().expect("some").entry), "99");
    let node = node.reopen();
    assert!(whole(&node));
    // Without the checkpoint nobody vouches for what is gone.
    let mut stored = records(&node);
    stored.retain(|key, _| !key.ends_with("checkpoint"));
    assert_eq!(node.replica.journal_check(&stored)[0].fault, Some(0));
}

#[test]
fn whatever_is_taken_out_cut_off_or_changed_is_found() {
    let mut node = Node::create(1);
    for n in 0..4 {
        note(&mut node, &n.to_string());
        pass(&mut node, 2_000);
    }
    let stored = records(&node);
    let keys: Vec<&String> = stored.keys().filter(|key| !key.starts_with("audit/")).collect();
    assert_eq!(keys.len(), 5);
    for (key, at) in keys.iter().zip(0..) {
        let mut without = stored.clone();
        without.remove(*key);
        assert_eq!(node.replica.journal_check(&without)[0].fault, Some(at), "an entry was taken out");
        let mut altered = stored.clone();
        altered.get_mut(*key).expect("it is there")[40] ^= 1;
        assert_eq!(node.replica.journal_check(&altered)[0].fault, Some(at), "an entry was changed");
        let all = &JournalFilter::default();
        let (rows, damaged) = node.replica.journal(&altered, &mut JournalPlaces::new(), all, usize::MAX);
        assert_eq!((rows.len(), damaged), (4, 1));
    }
    let mut swapped = stored.clone();
    swapped.insert(keys[1].clone(), stored[keys[2]].clone());
    assert_eq!(node.replica.journal_check(&swapped)[0].fault, Some(1));
    let node = node.reopen_keeping_actor(false);
    assert!(whole(&node));
    assert_eq!(node.replica.journal_check(&records(&node)).len(), 2, "each actor has a chain of its own");
}

#[test]
fn pages_tell_each_entry_once_in_the_order_of_time() {
    let mut node = Node::create(1);
    note(&mut node, "a");
    pass(&mut node, 2_000);
    let mut node = node.reopen_keeping_actor(false);
    for text in ["b", "c", "d"] {
        note(&mut node, text);
        pass(&mut node, 10);
    }
    let filter = JournalFilter { kind: Some(NoteKind::Read), ..JournalFilter::default() };
    let (mut places, mut told) = (JournalPlaces::new(), Vec::new());
    loop {
        let (rows, _) = node.replica.journal(&records(&node), &mut places, &filter, 2);
        if rows.is_empty() {
            break;
        }
        told.extend(rows.iter().map(|row| text(&row.entry)));
    }
    assert_eq!(told, ["a", "b", "c", "d"]);
    node.with(|replica, _| replica.watch_noted());
    assert_eq!(node.noted, 0);
    note(&mut node, "e");
    note(&mut node, "f");
    assert_eq!(node.noted, 1, "once");
    let (rows, _) = node.replica.journal(&records(&node), &mut places, &filter, usize::MAX);
    assert_eq!(rows.iter().map(|row| text(&row.entry)).collect::<Vec<_>>(), ["e", "f"]);
    let since = JournalFilter { since_ms: Some(node.now_ms), ..filter };
    assert_eq!(log(&node, &since).len(), 2);
}

#[test]
fn an_attestation_tells_where_the_log_ends_and_older_ones_without_it_are_as_good() {
    let mut owner = Node::create(1);
    let mut other = Node::join(2, &owner.invite(Role::Writer));
    write(&mut other, "k");
    sync(&mut owner, &mut other);
    let set = ValidatorSet { members: vec![(owner.replica.member(), 1)], ..ValidatorSet::default() };
    owner.with(|replica, env| replica.choose_validators(&set, env)).expect("the owner may");
    owner.with(|replica, _| replica.validate(true));
    let head = owner.replica.journal_head().expect("something happened");
    owner.settle();
    let attested = owner.replica.attestations().next().expect("it was due").1.attestation;
    assert_eq!(attested.journal, Some(head));
    let plain = Attestation { journal: None, ..attested };
    assert_eq!(Attestation::decode(&plain.encode()), Ok(plain));
    assert_eq!(Attestation::decode(&attested.encode()), Ok(attested));
    assert_eq!((plain.encode()[0], attested.encode()[0]), (1, 2));
    sync(&mut owner, &mut other);
    assert_eq!(other.replica.attestations().next().expect("it came").1.attestation, attested);
}

#[test]
fn blocks_that_are_certified_here_are_told_and_many_at_once_are_counted() {
    let mut owner = Node::create(1);
    let mut other = Node::join(2, &owner.invite(Role::Writer));
    write(&mut other, "k");
    sync(&mut owner, &mut other);
    let blocks = Some(BlockRules { max: 1, begins: None });
    let set = ValidatorSet { pause_ms: 100, blocks, members: vec![(owner.replica.member(), 1)] };
    owner.with(|replica, env| replica.choose_validators(&set, env)).expect("the owner may");
    owner.with(|replica, _| replica.validate(true));
    for n in 0..6 {
        write(&mut owner, &format!("k{n}"));
        (0..8).for_each(|_| pass(&mut owner, 100));
    }
    let count = owner.replica.block_count();
    assert!(count > 3, "{count} blocks");
    pass(&mut owner, 60_000);
    let told = of_kind(&owner, NoteKind::Block);
    assert_eq!(
        told[0].detail().expect("it is there").block,
        Some(Digest(owner.replica.block(0).expect("one").block.id.0))
    );
    assert_eq!(text(&told[0]), "block 1 is certified");
    assert_eq!(told.iter().map(|entry| entry.count).sum::<u64>(), count as u64, "each once");
    assert!(told.len() <= 3 && text(&told[1]) == "blocks are certified", "{} entries", told.len());
    // Whoever hears of all at once writes two entries.
    sync(&mut owner, &mut other);
    pass(&mut other, 60_000);
    let told = of_kind(&other, NoteKind::Block);
    assert_eq!(
        told.iter().map(|entry| entry.count).collect::<Vec<_>>(),
        [1, other.replica.block_count() as u64 - 1]
    );
    let before = of_kind(&owner, NoteKind::Block).len();
    let owner = owner.reopen();
    assert_eq!(of_kind(&owner, NoteKind::Block).len(), before, "reading one's own store is no news");
    assert!(whole(&owner) && whole(&other));
}

/// The same keys on two devices that do not hear of each other.
#[test]
fn two_certified_blocks_at_one_height_are_told_by_their_ids() {
    let mut owner = Node::create(1);
    let blocks = Some(BlockRules { max: 9, begins: None });
    let set = ValidatorSet { pause_ms: 100, blocks, members: vec![(owner.replica.member(), 1)] };
    write(&mut owner, "k");
    owner.with(|replica, env| replica.choose_validators(&set, env)).expect("the owner may");
    let mut twin = owner.twin(7);
    for (node, key) in [(&mut owner, "here"), (&mut twin, "there")] {
        write(node, key);
        node.with(|replica, _| replica.validate(true));
        (0..8).for_each(|_| pass(node, 100));
        assert_eq!(node.replica.block_count(), 1);
    }
    sync(&mut owner, &mut twin);
    let halt = owner.replica.blocks_halt().expect("two blocks at one height").clone();
    let told = of_kind(&owner, NoteKind::Block);
    let both = "one of 2 blocks that are certified at height 1";
    assert_eq!(told.iter().map(text).collect::<Vec<_>>(), ["block 1 is certified", both, both]);
    let ids: Vec<_> = told[1..].iter().filter_map(|entry| entry.detail()?.block).collect();
    assert_eq!(ids, halt.blocks.iter().map(|id| Digest(id.0)).collect::<Vec<_>>());
    pass(&mut owner, 60_000);
    assert_eq!(of_kind(&owner, NoteKind::Block).len(), 3, "that nothing follows is told once");
}

#[test]
fn what_is_redacted_is_told_by_whom_and_that_it_is_gone_here() {
    let mut owner = Node::create(1);
    let mut other = Node::join(2, &owner.invite(Role::Writer));
    write(&mut owner, "first");
    write(&mut other, "secret");
    let target = last(&other);
    sync(&mut owner, &mut other);
    let redaction = erase(&mut owner, target).redactions[0];
    for _ in 0..4 {
        sync(&mut owner, &mut other);
        pass(&mut owner, 1_000);
        pass(&mut other, 1_000);
    }
    for node in [&owner, &other] {
        let told = of_kind(node, NoteKind::Redaction);
        let texts: Vec<String> = told.iter().map(text).collect();
        assert_eq!(texts, ["redacted 1 changeset", "deleted here what 1 changeset redacted"]);
        let detail = told[0].detail().expect("it is there");
        assert_eq!((detail.changeset, detail.member), (Some(redaction), Some(owner.replica.member())));
        assert_eq!(told[1].detail().expect("it is there").member, Some(node.replica.member()));
        assert!(of_kind(node, NoteKind::Control).is_empty(), "it is told once");
    }
    let before = of_kind(&other, NoteKind::Redaction).len();
    let other = other.reopen();
    assert_eq!(of_kind(&other, NoteKind::Redaction).len(), before);
}

#[test]
fn consent_is_told_where_it_was_given() {
    let mut owner = Node::create(1);
    let mut other = Node::join(2, &owner.invite(Role::Writer));
    write(&mut other, "k");
    let consent = |node: &mut Node, given| {
        let whose = Whose::Member(node.replica.member());
        node.with(|replica, env| replica.consent(whose, "newsletter", None, given, env)).expect("a writer")
    };
    consent(&mut other, true);
    consent(&mut other, false);
    sync(&mut owner, &mut other);
    pass(&mut owner, 60_000);
    let told = of_kind(&other, NoteKind::Consent);
    assert_eq!(told.iter().map(text).collect::<Vec<_>>(), ["given", "withdrawn"]);
    assert_eq!(told[0].detail().expect("it is there").member, Some(other.replica.member()));
    assert!(of_kind(&owner, NoteKind::Consent).is_empty(), "what others say is in the space");
    let other = other.reopen();
    assert_eq!(of_kind(&other, NoteKind::Consent).len(), 2);
}
