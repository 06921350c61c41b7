//! Redaction through the public API of a replica: what it takes away and what stays, for those who had the bytes, those who get
//! them late and those who never do; who may redact what; and what is left of it in a store.

#[path = "common/attacker.rs"]
mod attacker;
mod common;
#[path = "common/erasing.rs"]
mod erasing;

use attacker::{read, write};
use common::{Node, assert_same, sync};
use erasing::{erase, holds, last, newcomer, object, pair, put, redact, sealed, standing, text, type_at};
use stemma::audit::STORE_OTHER;
use stemma::causal::ChangesetId;
use stemma::codec::BigInt;
use stemma::crdt::AccountId;
use stemma::event::{ObjectKind, Op, Role, SignedChangeset, Target, Value};
use stemma::replica::{HistoryFilter, RedactFault, Replica, Spot, ViewFilter, When};
use stemma::store::TailRecord;

#[test]
fn text_has_no_width_and_what_others_wrote_inside_of_it_stays() {
    let (mut owner, mut writer) = pair();
    let secret = type_at(&mut owner, 0, "secret");
    sync(&mut owner, &mut writer);
    type_at(&mut writer, 3, "[mine]");
    sync(&mut owner, &mut writer);
    assert_eq!(text(&mut owner), "sec[mine]ret");
    erase(&mut owner, secret);
    sync(&mut owner, &mut writer);
    for node in [&mut owner, &mut writer] {
        assert_eq!(text(node), "[mine]");
    }
    let mut late = newcomer(3, &mut owner);
    assert_eq!(text(&mut late), "[mine]");
    assert_same(&owner, &writer);
    assert_same(&owner, &late);
    // What is typed now goes where it was typed.
    type_at(&mut writer, 0, "<");
    sync(&mut owner, &mut writer);
    assert_eq!(text(&mut owner), "<[mine]");
    [&owner, &writer, &late].iter().for_each(|node| node.replica.dbg_check());
}

#[test]
fn a_key_reads_as_not_there_and_what_it_was_before_does_not_come_back() {
    let (mut owner, mut writer) = pair();
    put(&mut owner, "name", "old");
    let new = put(&mut owner, "name", "new");
    put(&mut owner, "other", "kept");
    sync(&mut owner, &mut writer);
    erase(&mut owner, new);
    sync(&mut owner, &mut writer);
    for node in [&mut owner, &mut writer] {
        assert_eq!(read(node, "name"), None);
        assert_eq!(read(node, "other"), Some("kept".into()));
        let facts = object(node, "facts", ObjectKind::Map);
        assert!(node.replica.map_keys(facts).iter().all(|key| **key != *"name"));
        assert!(node.replica.map_conflicts(facts, "name").is_empty());
        // The older write is still there to be seen, as what it always was: one that lost.
        let history = node.replica.map_history(facts, "name");
        let values: Vec<Option<Value>> = history.iter().map(|write| write.value.clone()).collect();
        assert_eq!(values, [Some("old".into()), None]);
        assert!(history[1].live && !history[1].deleted);
        let claims = node.replica.why(facts, Spot::Key("name")).expect("a map");
        assert_eq!((claims[0].changeset, claims[0].value.clone()), (Some(new), None));
    }
    put(&mut writer, "name", "again");
    sync(&mut owner, &mut writer);
    assert_eq!(read(&mut owner, "name"), Some("again".into()));
    assert_same(&owner, &writer);
}

#[test]
fn lists_sets_sums_memos_and_events_keep_what_decides_and_lose_what_is_read() {
    let (mut owner, mut writer) = pair();
    let (list, set) =
        (object(&mut owner, "todo", ObjectKind::List), object(&mut owner, "tags", ObjectKind::Set));
    let (count, house) =
        (object(&mut owner, "count", ObjectKind::Counter), object(&mut owner, "house", ObjectKind::Ledger));
    let (me, you) = (owner.replica.member(), writer.replica.member());
    let erased = owner.with(|replica, env| {
        replica
            .begin_transact(Some("a message".to_owned()), None, Some("order 7".to_owned()), env)
            .expect("small");
        replica.list_insert(list, 0, vec!["milk".into(), "eggs".into()], env).expect("in range");
        replica.set_add(set, &"urgent".into(), None, env).expect("a set");
        replica.counter_add(count, 5, env).expect("a counter");
        let accounts = (AccountId::Member(me), AccountId::Member(you));
        let memo = Some(Value::from("for the rent"));
        replica.ledger_transfer(house, accounts, &BigInt::from(9), memo, env).expect("it can be paid");
        replica.event_create("patient", "p1", Value::from("ill"), env).expect("an event");
        replica.end_transact(env).expect("it was written")
    });
    sync(&mut owner, &mut writer);
    let subject = owner.replica.event_subject("p1").expect("it is known");
    assert_eq!(owner.replica.events_of(subject, None).map(|events| events.len()), Ok(1));
    erase(&mut owner, erased);
    sync(&mut owner, &mut writer);
    let mut late = newcomer(3, &mut owner);
    for node in [&mut owner, &mut writer, &mut late] {
        let [list, set, count, house] = [
            ("todo", ObjectKind::List),
            ("tags", ObjectKind::Set),
            ("count", ObjectKind::Counter),
            ("house", ObjectKind::Ledger),
        ]
        .map(|(name, kind)| object(node, name, kind));
        let replica = &mut node.replica;
        assert_eq!(replica.list(list).expect("a list").len(), 0);
        assert_eq!((replica.set_size(set), replica.set_elements(set).len()), (0, 0));
        assert_eq!(replica.counter_value(count), 5, "sums stay");
        assert_eq!(replica.ledger_balance(house, &AccountId::Member(you)), 9, "balances stay");
        let subject = replica.event_subject("p1").map(|subject| replica.events_of(subject, None));
        assert_eq!(subject.expect("the id is an HMAC").map(|events| events.len()), Ok(0));
        let filter = HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() };
        let summary = replica.history(&filter).into_iter().find(|one| one.id == erased).expect("it is there");
        assert_eq!((summary.message, summary.command, summary.ops), (None, None, 5));
    }
    assert_same(&owner, &writer);
    assert_same(&owner, &late);
    [&owner, &writer, &late].iter().for_each(|node| node.replica.dbg_check());
}

#[test]
fn a_state_with_known_redactions_is_not_partial() {
    let (mut owner, mut writer) = pair();
    let id = put(&mut owner, "k", "secret");
    let redacted = erase(&mut owner, id);
    sync(&mut owner, &mut writer);
    assert!(owner.replica.is_redacted(&id) && !owner.replica.is_redacted(&redacted.redactions[0]));
    // Who has the same without knowing of the redaction lacks something, and says so.
    let mut lacking = Node::join(3, &owner.invite(Role::Writer));
    let rows =
        owner.disk.tail.iter().flat_map(|record| TailRecord::decode(record).expect("it decodes").0.rows);
    let mut rows: Vec<SignedChangeset> = rows.collect();
    let at = rows.iter().position(|row| row.id() == redacted.redactions[0]).expect("it is stored");
    let late = rows.remove(at);
    let attacker = attacker::Attacker::join(&owner.invite(Role::Writer));
    attacker.give(&mut lacking, &rows.iter().map(SignedChangeset::encode).collect::<Vec<_>>());
    let partial = lacking.replica.view_digest();
    attacker.give(&mut lacking, &[late.encode()]);
    assert_ne!(lacking.replica.view_digest(), partial);
    assert_same(&owner, &lacking);
}

#[test]
fn finer_targets_are_widened_to_the_content_they_are_in_and_the_rest_is_told() {
    let (mut owner, mut writer) = pair();
    let facts = object(&mut owner, "facts", ObjectKind::Map);
    let id = owner.with(|replica, env| {
        replica.begin_transact(None, None, None, env).expect("small");
        for key in ["a", "b", "c"] {
            replica.map_set(facts, key, key.into(), env).expect("a writer");
        }
        replica.end_transact(env).expect("it was written")
    });
    let told = redact(&mut owner, &[Target::Op(id, 1)]).expect("it may");
    assert_eq!(told.changesets, [id]);
    assert_eq!(told.also, [(id, 0), (id, 2)]);
    for key in ["a", "b", "c"] {
        assert_eq!(read(&mut owner, key), None);
    }
    let both = redact(&mut owner, &[Target::Op(id, 1), Target::Changeset(id)]).expect("again is no harm");
    assert!(both.also.is_empty());
    // All that a member wrote, in as many changesets as it takes.
    for n in 0..450 {
        put(&mut writer, &format!("k{n}"), "x");
    }
    sync(&mut owner, &mut writer);
    let member = ChangesetId(writer.replica.member().0);
    let all = redact(&mut owner, &[Target::Changeset(member)]).expect("it may");
    assert_eq!((all.redactions.len(), all.changesets.len()), (3, 451));
    sync(&mut owner, &mut writer);
    assert_eq!(read(&mut writer, "k7"), None);
    assert_same(&owner, &writer);
    let actor = ChangesetId(writer.replica.actor().expect("an actor").0);
    assert_eq!(redact(&mut writer, &[Target::Changeset(actor)]).expect("its own").changesets.len(), 451);
}

#[test]
fn what_may_not_be_redacted_says_why_and_nothing_is_signed() {
    let (mut owner, mut writer) = pair();
    let of_owner = put(&mut owner, "k", "v");
    let of_writer = put(&mut writer, "l", "w");
    sync(&mut owner, &mut writer);
    let said = owner.with(|replica, env| {
        let word = Op::PolicyThreshold { weight: 2 };
        replica.say(vec![word], None, true, env).expect("anybody may").expect("one word")
    });
    let redaction = erase(&mut owner, of_owner).redactions[0];
    sync(&mut owner, &mut writer);
    let heads = writer.replica.heads();
    let mine = Target::Changeset(of_writer);
    let unknown = ChangesetId([7; 32]);
    let of = |id| [mine, Target::Changeset(id)];
    assert_eq!(redact(&mut writer, &of(of_owner)), Err(RedactFault::Access(of_owner)));
    assert_eq!(redact(&mut writer, &of(unknown)), Err(RedactFault::Unknown(unknown)));
    assert_eq!(redact(&mut writer, &of(said)), Err(RedactFault::Class(said)), "policy");
    assert_eq!(redact(&mut writer, &of(redaction)), Err(RedactFault::Class(redaction)), "control");
    assert_eq!(redact(&mut writer, &[Target::Op(of_writer, 1)]), Err(RedactFault::Index(of_writer, 1)));
    assert_eq!(redact(&mut writer, &[]), Err(RedactFault::Nothing));
    for reason in [String::new(), "x".repeat(8_193)] {
        let refused = writer.with(|replica, env| replica.redact(&[mine], &reason, env));
        assert_eq!(refused, Err(RedactFault::Reason));
    }
    writer.with(|replica, env| replica.begin_transact(None, None, None, env)).expect("small");
    assert_eq!(redact(&mut writer, &[mine]), Err(RedactFault::Transact));
    writer.with(|replica, env| replica.abort_transact(env));
    assert_eq!(writer.replica.heads(), heads);
    assert_eq!(read(&mut writer, "l"), Some("w".into()));
}

/// A redaction as somebody signs it who keeps to no rule.

#[test]
fn proofs_made_before_hold_afterwards_and_are_made_as_before() {
    let (mut owner, mut writer) = pair();
    let id = put(&mut owner, "k", "secret");
    let before = owner.replica.audit_proof(&id).expect("it is known");
    erase(&mut owner, id);
    let head = owner.replica.audit_head();
    assert!(owner.replica.audit_consistency(before.head).is_some(), "the tree only grew");
    let after = owner.replica.audit_proof(&id).expect("it is known");
    assert_eq!(
        (&after.header, after.signature, after.index),
        (&before.header, before.signature, before.index)
    );
    assert_eq!(after.head, head);
    sync(&mut owner, &mut writer);
    assert_eq!(writer.replica.audit_proof(&id).expect("it is known").header, before.header);
}

#[test]
fn a_redaction_is_known_after_a_restart_with_a_snapshot_and_without() {
    let (mut owner, mut writer) = pair();
    let id = type_at(&mut owner, 0, "secret");
    put(&mut owner, "secret key", "secret value");
    let key = last(&owner);
    sync(&mut owner, &mut writer);
    assert!(owner.snapshot() && !owner.disk.snapshot.is_empty());
    let bytes = sealed(&owner, id);
    redact(&mut owner, &[Target::Changeset(id), Target::Changeset(key)]).expect("its own");
    assert!(owner.disk.snapshot.is_empty(), "no snapshot that is older than a redaction is left");
    assert!(!holds(&owner, &bytes));
    let mut owner = owner.reopen();
    assert!(owner.replica.is_redacted(&id));
    assert!(owner.snapshot());
    let mut owner = owner.reopen();
    assert!(owner.replica.is_redacted(&id) && owner.replica.redactions().len() == 1);
    assert_eq!((text(&mut owner), read(&mut owner, "secret key")), (String::new(), None));
    owner.replica.dbg_check();
    sync(&mut owner, &mut writer);
    assert_same(&owner, &writer);
    let facts = object(&mut owner, "facts", ObjectKind::Map);
    assert!(owner.replica.map_keys(facts).iter().all(|key| !key.contains("secret")));
}

#[test]
fn a_redaction_that_comes_while_a_snapshot_stands_for_the_rows_is_worked_through_all_the_same() {
    let (mut owner, mut writer) = pair();
    let id = put(&mut owner, "k", "secret");
    sync(&mut owner, &mut writer);
    let bytes = sealed(&writer, id);
    erase(&mut owner, id);
    let without = owner.replica.export_space();
    assert!(writer.snapshot());
    let mut writer = writer.reopen_without_bytes(true);
    assert!(!writer.replica.is_whole());
    writer.with(|replica, env| replica.import_space(&without, env)).expect("an export");
    assert_eq!(read(&mut writer, "k"), None);
    assert!(writer.replica.is_whole() && !holds(&writer, &bytes));
    assert!(writer.disk.snapshot.is_empty());
    assert_same(&owner, &writer);
    writer.replica.dbg_check();
}

#[test]
fn a_store_that_was_left_half_done_is_gone_through_at_the_next_opening() {
    let (mut owner, _) = pair();
    let id = put(&mut owner, "k", "secret");
    let bytes = sealed(&owner, id);
    let before = owner.disk.tail.len();
    let half = owner.disk.tail.clone();
    erase(&mut owner, id);
    assert!(!holds(&owner, &bytes));
    // The redaction was stored, and then the light went out.
    owner.disk.tail.splice(..before, half);
    assert!(holds(&owner, &bytes));
    let owner = owner.reopen();
    assert!(!holds(&owner, &bytes));
    assert!(owner.replica.is_redacted(&id));
}

#[test]
fn a_name_is_known_while_some_content_holds_it() {
    let (mut owner, mut writer) = pair();
    let keys = |node: &mut Node| {
        let facts = object(node, "facts", ObjectKind::Map);
        let mut keys: Vec<String> = node.replica.map_keys(facts).iter().map(|key| key.to_string()).collect();
        keys.retain(|key| key.starts_with("of"));
        keys
    };
    let count = |node: &mut Node, by: i64| {
        let of = object(node, "hidden name", ObjectKind::Counter);
        node.with(|replica, env| replica.counter_add(of, by, env)).expect("a counter");
        node.with(|replica, env| replica.flush(env)).expect("a write")
    };
    let (one, two) = (count(&mut owner, 1), count(&mut writer, 1));
    let lists = |node: &Node| node.replica.names().iter().any(|(name, _)| **name == *"hidden name");
    put(&mut owner, "of both", "1");
    sync(&mut owner, &mut writer);
    let again = put(&mut writer, "of both", "2");
    sync(&mut owner, &mut writer);
    let mut other = newcomer(3, &mut owner);
    erase(&mut owner, one);
    sync(&mut owner, &mut other);
    assert!(lists(&other), "the other content has it");
    erase(&mut owner, two);
    sync(&mut owner, &mut other);
    assert!(!lists(&other), "the sum is there, and nobody knows of what");
    assert_eq!(keys(&mut other), ["of both"]);
    erase(&mut owner, again);
    sync(&mut owner, &mut other);
    assert!(keys(&mut other).is_empty(), "its winner shows nothing");
    // Whoever knows it finds what is left under it.
    let of = object(&mut other, "hidden name", ObjectKind::Counter);
    assert_eq!(other.replica.counter_value(of), 2);
    let late = newcomer(4, &mut owner);
    assert_same(&other, &late);
    assert!(!lists(&late));
}

#[test]
fn views_of_any_time_keep_to_the_redactions_of_today() {
    let (mut owner, mut writer) = pair();
    let id = put(&mut owner, "k", "secret");
    let notes = type_at(&mut owner, 0, "secret");
    let then = last(&owner);
    put(&mut owner, "k", "later");
    let at = ViewFilter { when: When::Past(then), ..ViewFilter::default() };
    let view = owner.with(|replica, env| replica.view(&at, env)).expect("it is known");
    let facts = object(&mut owner, "facts", ObjectKind::Map);
    let text = object(&mut owner, "notes", ObjectKind::Text);
    let [then_facts, then_text] =
        [facts, text].map(|of| owner.replica.object_in(view, of).expect("it is open"));
    let shows = |replica: &Replica| {
        (replica.map_get(then_facts, "k").cloned(), replica.text(then_text).expect("a text").to_string())
    };
    assert_eq!(shows(&owner.replica), (Some("secret".into()), "secret".to_owned()));
    redact(&mut owner, &[Target::Changeset(id), Target::Changeset(notes)]).expect("its own");
    assert_eq!(shows(&owner.replica), (None, String::new()), "one that is open too");
    let again = owner.with(|replica, env| replica.view(&at, env)).expect("it is known");
    let hashes = [view, again].map(|view| owner.replica.view_state_hash(view));
    assert_eq!(hashes[0], hashes[1]);
    sync(&mut owner, &mut writer);
    let theirs = writer.with(|replica, env| replica.view(&at, env)).expect("it is known");
    assert_eq!(writer.replica.view_state_hash(theirs), hashes[0]);
    // Restoring that time brings nothing back of it.
    owner.with(|replica, env| {
        replica.begin_transact(None, None, None, env).expect("small");
        replica.restore(view, None, None, env).expect("it is open");
        replica.end_transact(env);
    });
    assert_eq!(read(&mut owner, "k"), None);
}

#[test]
fn undo_and_redo_of_what_is_gone_bring_nothing_back() {
    let (mut owner, mut writer) = pair();
    let id = type_at(&mut owner, 0, "secret");
    assert!(owner.with(|replica, env| replica.undo(&[], env)));
    erase(&mut owner, id);
    assert!(owner.with(|replica, env| replica.redo(&[], env)));
    assert_eq!(text(&mut owner), "");
    sync(&mut owner, &mut writer);
    let late = newcomer(3, &mut owner);
    assert_same(&owner, &writer);
    assert_same(&owner, &late);
    owner.replica.dbg_check();
}

#[test]
fn a_redaction_that_could_not_be_stored_is_made_anew() {
    let (mut owner, mut writer) = pair();
    let id = put(&mut owner, "k", "secret");
    sync(&mut owner, &mut writer);
    owner.disk.broken = Some("E_STORAGE_QUOTA");
    erase(&mut owner, id);
    owner.settle();
    assert_eq!(read(&mut owner, "k"), None);
    sync(&mut owner, &mut writer);
    assert_eq!(read(&mut writer, "k"), None);
    assert!(writer.replica.is_redacted(&id));
    assert_same(&owner, &writer);
}

#[test]
fn devices_say_that_they_deleted_it_and_who_did_not_is_listed() {
    let (mut owner, mut writer) = pair();
    let mut away = Node::join(3, &owner.invite(Role::Writer));
    write(&mut away, "third");
    let mut reader = Node::join(4, &owner.invite(Role::Reader));
    sync(&mut owner, &mut away);
    let id = put(&mut owner, "k", "secret");
    for other in [&mut writer, &mut away, &mut reader] {
        sync(&mut owner, other);
    }
    let redacted = erase(&mut owner, id);
    owner.settle();
    assert_eq!(
        standing(&owner, &redacted),
        (vec![STORE_OTHER], 2),
        "the reader wrote nothing, nobody knows of it"
    );
    sync(&mut owner, &mut writer);
    sync(&mut owner, &mut reader);
    assert_eq!(standing(&owner, &redacted), (vec![STORE_OTHER; 2], 1));
    // Whoever comes now never had it.
    let mut late = newcomer(5, &mut owner);
    write(&mut late, "fourth");
    sync(&mut owner, &mut late);
    assert_eq!(standing(&late, &redacted), (vec![STORE_OTHER; 2], 1));
    // Once, whatever happens: and from a disk that is broken only when it is mended.
    let mut owner = owner.reopen();
    owner.settle();
    assert_eq!(standing(&owner, &redacted).0.len(), 2);
    assert!(owner.snapshot());
    let mut owner = owner.reopen();
    sync(&mut owner, &mut away);
    sync(&mut owner, &mut writer);
    for node in [&owner, &away, &writer] {
        assert_eq!(standing(node, &redacted), (vec![STORE_OTHER; 3], 0));
    }
    assert_same(&owner, &away);
}
