//! Personal data through the public API of a replica: what a key opens, who erases it, what is asked for, and members who lie.

#[path = "common/attacker.rs"]
mod attacker;
mod common;
#[path = "common/erasing.rs"]
mod erasing;

use attacker::{World, encoded, read};
use common::{Node, assert_same, sync};
use erasing::{contents, holds, newcomer, object, pair, put, redact, sealed};
use std::collections::BTreeMap;
use stemma::audit::{DataSubject, Held, RequestKind, Step, Verdict};
use stemma::causal::{ChangesetId, Hlc, MemberId, NameId};
use stemma::event::{
    AuditKind, ChangesetRef, Class, Content, Fate, ObjectKind, Op, Role, SignedChangeset, Skeleton, Target,
    Value,
};
use stemma::replica::{DossierEntry, RedactFault, Redacted, SubjectFault, Whose, sealed_in};
use stemma::steps;

const GUEST: Whose<'static> = Whose::Outsider("guest 7");

fn register(node: &mut Node, whose: Whose<'_>) -> ChangesetId {
    node.with(|replica, env| replica.register_subject(whose, env)).expect("it can be said")
}

/// A personal value, in a key of the map `facts`.
fn note(node: &mut Node, whose: Whose<'_>, key: &str, value: &str) -> Vec<u8> {
    let bytes = node
        .with(|replica, env| replica.seal_personal(whose, &value.into(), env))
        .expect("somebody is registered");
    let facts = object(node, "facts", ObjectKind::Map);
    let personal = Value::Object(BTreeMap::from([("personal".to_owned(), Value::Bytes(bytes.clone()))]));
    node.with(|replica, env| replica.map_set(facts, key, personal, env)).expect("a writer");
    node.with(|replica, env| replica.flush(env)).expect("a write");
    bytes
}

fn opened(node: &mut Node, key: &str) -> Option<Value> {
    let value = read(node, key)?;
    let sealed = sealed_in(&value).expect("a personal value").to_vec();
    node.with(|replica, env| replica.open_personal(&sealed, env.now_ms)).map(|(_, value)| value)
}

fn erase_about(node: &mut Node, whose: Whose<'_>) -> Result<Redacted, RedactFault> {
    let subject = node.replica.subject_of(whose).expect("a name");
    let targets = node.replica.targets_about(subject);
    redact(node, &targets)
}

fn ask(node: &mut Node, whose: Whose<'_>, kind: RequestKind) -> Result<ChangesetId, SubjectFault> {
    node.with(|replica, env| replica.request(whose, kind, Some("I want to"), env))
}

fn answer(
    node: &mut Node,
    request: ChangesetId,
    verdict: Verdict,
    reason: Option<&str>,
) -> Result<(ChangesetId, Option<Redacted>), SubjectFault> {
    node.with(|replica, env| replica.process_request(&request, verdict, reason, &[], env))
}

fn stands(node: &Node) -> Vec<Option<Verdict>> {
    node.replica.requests().iter().map(|request| request.verdict).collect()
}

#[test]
fn what_is_about_somebody_opens_for_all_until_its_key_is_erased_and_for_nobody_after() {
    let (mut owner, mut writer) = pair();
    let registered = register(&mut owner, GUEST);
    assert_eq!(register(&mut owner, GUEST), registered, "they have one");
    let bytes = note(&mut owner, GUEST, "phone", "+49 731 1");
    assert!(!bytes.windows(9).any(|window| window == b"+49 731 1"));
    sync(&mut owner, &mut writer);
    note(&mut writer, GUEST, "street", "Münsterplatz");
    sync(&mut owner, &mut writer);
    for node in [&mut owner, &mut writer] {
        assert_eq!(opened(node, "phone"), Some("+49 731 1".into()));
        assert_eq!(opened(node, "street"), Some("Münsterplatz".into()));
    }
    let key = sealed(&writer, registered);
    let kept = writer.replica.export_space();
    owner.snapshot();
    let redacted = erase_about(&mut owner, GUEST).expect("an owner may");
    assert_eq!(redacted.changesets, [registered]);
    owner.erase();
    sync(&mut owner, &mut writer);
    writer.erase();
    let mut late = newcomer(3, &mut owner);
    for node in [&mut owner, &mut writer, &mut late] {
        assert_eq!((opened(node, "phone"), opened(node, "street")), (None, None));
        assert_eq!(contents(node, &[registered]), 0);
        assert!(!holds(node, &key), "nothing of the key is left in a store");
        let info = &node.replica.subjects()[0];
        assert_eq!((info.name.as_deref(), info.has_key, info.is_erased), (None, false, true));
        let sealing = node.with(|replica, env| replica.seal_personal(GUEST, &"more".into(), env));
        assert_eq!(sealing, Err(SubjectFault::Unknown));
    }
    assert_same(&owner, &writer);
    assert_same(&owner, &late);
    // An old copy brings nothing back, and who comes back is somebody new.
    late.with(|replica, env| replica.import_space(&kept, env)).expect("an export");
    late.settle();
    assert_eq!(opened(&mut late, "phone"), None);
    assert_ne!(register(&mut late, GUEST), registered);
    note(&mut late, GUEST, "phone", "+49 731 2");
    assert_eq!((opened(&mut late, "phone"), opened(&mut late, "street")), (Some("+49 731 2".into()), None));
}

#[test]
fn keys_that_were_made_apart_all_open_and_go_together_even_over_snapshots() {
    let (mut owner, mut writer) = pair();
    let ids = [register(&mut owner, GUEST), register(&mut writer, GUEST)];
    note(&mut owner, GUEST, "phone", "one");
    note(&mut writer, GUEST, "street", "two");
    sync(&mut owner, &mut writer);
    writer.snapshot();
    let mut writer = writer.reopen();
    let mut owner = owner.reopen();
    for node in [&mut owner, &mut writer] {
        assert_eq!((opened(node, "phone"), opened(node, "street")), (Some("one".into()), Some("two".into())));
    }
    let mut redacted = erase_about(&mut owner, GUEST).expect("an owner may").changesets;
    redacted.sort();
    let mut both = ids.to_vec();
    both.sort();
    assert_eq!(redacted, both);
    sync(&mut owner, &mut writer);
    writer.erase();
    writer.snapshot();
    let mut writer = writer.reopen();
    for node in [&mut owner, &mut writer] {
        assert_eq!((opened(node, "phone"), opened(node, "street")), (None, None));
    }
    assert_same(&owner, &writer);
}

#[test]
fn a_member_erases_its_own_key_whoever_made_it_and_nobody_elses() {
    let (mut owner, mut writer) = pair();
    let (boss, me) = (Whose::Member(owner.replica.member()), Whose::Member(writer.replica.member()));
    let theirs = register(&mut owner, me);
    let bosses = register(&mut owner, boss);
    register(&mut owner, GUEST);
    note(&mut owner, me, "salary", "12");
    note(&mut owner, boss, "mail", "a@b");
    sync(&mut owner, &mut writer);
    assert_eq!(opened(&mut writer, "salary"), Some("12".into()));
    assert_eq!(erase_about(&mut writer, boss), Err(RedactFault::Access(bosses)));
    assert!(matches!(erase_about(&mut writer, GUEST), Err(RedactFault::Access(_))));
    let salary = owner.replica.last_write().expect("something was written");
    assert_eq!(redact(&mut writer, &[Target::Changeset(salary)]), Err(RedactFault::Access(salary)));
    assert_eq!(erase_about(&mut writer, me).expect("its own").changesets, [theirs]);
    sync(&mut owner, &mut writer);
    for node in [&mut owner, &mut writer] {
        assert_eq!((opened(node, "salary"), opened(node, "mail")), (None, Some("a@b".into())));
    }
    assert_same(&owner, &writer);
}

#[test]
fn the_name_of_somebody_outside_goes_from_what_was_said_of_consent_too() {
    let (mut owner, mut writer) = pair();
    register(&mut owner, GUEST);
    for given in [true, false, true] {
        owner.with(|replica, env| replica.consent(GUEST, "mail", None, given, env)).expect("it can be said");
    }
    sync(&mut owner, &mut writer);
    assert_eq!(writer.replica.consents()[0].subject.as_deref(), Some("guest 7"));
    assert_eq!(erase_about(&mut owner, GUEST).expect("an owner may").changesets.len(), 4);
    owner.erase();
    sync(&mut owner, &mut writer);
    for node in [&owner, &writer] {
        let said = node.replica.consents();
        assert_eq!((said.len(), said[0].consent.is_given, said[0].subject.as_deref()), (1, true, None));
    }
    assert_eq!(owner.replica.targets_about(owner.replica.subject_of(GUEST).expect("a name")), []);
    assert_same(&owner, &writer);
}

#[test]
fn a_request_is_asked_approved_and_done_by_what_it_asks_for() {
    let (mut owner, mut writer) = pair();
    let me = Whose::Member(writer.replica.member());
    register(&mut owner, me);
    note(&mut owner, me, "salary", "12");
    sync(&mut owner, &mut writer);
    let asked = ask(&mut writer, me, RequestKind::Erasure).expect("for itself");
    sync(&mut owner, &mut writer);
    assert_eq!(stands(&owner), [None]);
    answer(&mut owner, asked, Verdict::Approved, None).expect("an owner may");
    assert_eq!(stands(&owner), [Some(Verdict::Approved)]);
    let (done, redacted) = answer(&mut owner, asked, Verdict::Done, Some("kept no longer")).expect("it may");
    let redactions = redacted.expect("there was a key").redactions;
    sync(&mut owner, &mut writer);
    writer.snapshot();
    let mut writer = writer.reopen();
    for node in [&mut owner, &mut writer] {
        assert_eq!(opened(node, "salary"), None);
        let request = node.replica.requests().remove(0);
        assert_eq!((request.kind, request.verdict), (RequestKind::Erasure, Some(Verdict::Done)));
        let reasons: Vec<_> = request.steps.iter().map(|step| step.reason.as_deref()).collect();
        assert_eq!(reasons, [Some("I want to"), None, Some("kept no longer")]);
        assert_eq!((request.steps[2].changeset, &request.steps[2].redactions), (done, &redactions));
    }
    assert_eq!(answer(&mut owner, asked, Verdict::Refused, Some("no")), Err(SubjectFault::Done));
    assert_same(&owner, &writer);
}

#[test]
fn answers_that_were_given_apart_come_to_one_and_what_is_done_stays_done() {
    for done_first in [false, true] {
        let (mut owner, mut writer) = pair();
        let me = Whose::Member(writer.replica.member());
        register(&mut writer, me);
        let asked = ask(&mut writer, me, RequestKind::Erasure).expect("for itself");
        sync(&mut owner, &mut writer);
        if done_first {
            writer.now_ms += 1_000;
        } else {
            owner.now_ms += 1_000;
        }
        answer(&mut owner, asked, Verdict::Refused, Some("we have to keep it")).expect("an owner may");
        answer(&mut writer, asked, Verdict::Done, None).expect("it is about itself");
        assert_eq!(stands(&owner), [Some(Verdict::Refused)]);
        sync(&mut owner, &mut writer);
        assert_eq!((stands(&owner), stands(&writer)), (vec![Some(Verdict::Done)], vec![Some(Verdict::Done)]));
        assert_same(&owner, &writer);
    }
}

#[test]
fn what_cannot_be_asked_or_answered_is_refused_and_signs_nothing() {
    let (mut owner, mut writer) = pair();
    let mut reader = Node::join(3, &owner.invite(Role::Reader));
    let boss = Whose::Member(owner.replica.member());
    let nobody = Whose::Member(MemberId([9; 32]));
    let heads = (owner.replica.heads(), writer.replica.heads());
    let export = RequestKind::Export;
    assert_eq!(ask(&mut owner, GUEST, export), Err(SubjectFault::Unknown));
    assert_eq!(ask(&mut owner, nobody, export), Err(SubjectFault::Unknown));
    assert_eq!(ask(&mut owner, Whose::Outsider(""), export), Err(SubjectFault::Subject));
    assert_eq!(ask(&mut writer, boss, export), Err(SubjectFault::Access));
    let me = Whose::Member(reader.replica.member());
    assert_eq!(ask(&mut reader, me, export), Err(SubjectFault::Role));
    let registering = reader.with(|replica, env| replica.register_subject(GUEST, env));
    assert_eq!(registering, Err(SubjectFault::Role));
    let long = "r".repeat(8_193);
    for reason in ["", &long] {
        let refused = owner.with(|replica, env| replica.request(boss, export, Some(reason), env));
        assert_eq!(refused, Err(SubjectFault::Reason));
    }
    let first = owner.replica.last_write().expect("it wrote");
    assert_eq!(answer(&mut owner, first, Verdict::Done, None), Err(SubjectFault::Request));
    assert_eq!(answer(&mut owner, ChangesetId([3; 32]), Verdict::Done, None), Err(SubjectFault::Request));
    assert_eq!((owner.replica.heads(), writer.replica.heads()), heads);
    let asked = ask(&mut owner, boss, RequestKind::Erasure).expect("for itself");
    sync(&mut owner, &mut writer);
    assert_eq!(answer(&mut writer, asked, Verdict::Approved, None), Err(SubjectFault::Access));
    assert_eq!(answer(&mut owner, asked, Verdict::Refused, None), Err(SubjectFault::Reason));
    // What cannot all be erased is not half erased, nor said to be done.
    let trust = Op::PolicyTrust { member: writer.replica.member(), weight: 100 };
    let said = owner.with(|replica, env| replica.say(vec![trust], None, true, env)).expect("a word");
    let policy = said.expect("it is signed");
    let before = owner.replica.heads();
    let done = owner.with(|replica, env| {
        replica.process_request(&asked, Verdict::Done, None, &[Target::Changeset(policy)], env)
    });
    assert_eq!(done, Err(SubjectFault::Redact(RedactFault::Class(policy))));
    assert_eq!(owner.replica.heads(), before);
    owner.with(|replica, env| replica.begin_transact(None, None, None, env)).expect("small");
    assert_eq!(ask(&mut owner, boss, export), Err(SubjectFault::Busy));
    assert_eq!(answer(&mut owner, asked, Verdict::Approved, None), Err(SubjectFault::Busy));
}

/// An op of an attacker in a changeset of its own, with what it says.
fn say(
    world: &World,
    n: u8,
    (kind, payload): (AuditKind, Vec<u8>),
    refs: &[ChangesetId],
    value: Value,
) -> (ChangesetId, Vec<u8>) {
    let lane = world.attacker.lane(n);
    let refs: Vec<ChangesetRef> = refs.iter().map(|id| ChangesetRef::Id(*id)).collect();
    let ops = vec![Op::Audit { kind, payload }];
    let skeleton = Skeleton { hlc: Hlc { ms: 5, counter: 0 }, refs, ops, ..Skeleton::default() };
    let content = Content { values: vec![value], ..Content::default() };
    let deps = world.a.replica.heads();
    let changeset = world.attacker.seal_as(
        Class::Audit,
        &lane,
        &deps,
        &skeleton.encode(deps.len()),
        Some(&content.encode()),
    );
    (changeset.id(), encoded(&changeset))
}

#[test]
fn liars_ask_and_answer_for_nobody_and_what_is_no_key_is_none() {
    let mut world = World::new();
    let (victim, liar) = (world.a.replica.member(), world.attacker.member());
    let whose = Whose::Member(victim);
    register(&mut world.a, whose);
    note(&mut world.a, whose, "salary", "12");
    let asked = ask(&mut world.a, whose, RequestKind::Export).expect("for itself");
    let request = |step: Step| (AuditKind::Request, step.encode());
    let key = |bytes: Vec<u8>| Value::Object(BTreeMap::from([("key".to_owned(), Value::Bytes(bytes))]));
    let of = |member: MemberId| (AuditKind::Subject, DataSubject::Member(member).payload());
    let asks = |member| Step::Asked(RequestKind::Erasure, DataSubject::Member(member));
    let outside = Step::Asked(RequestKind::Export, DataSubject::Outsider(NameId([7; 16])));
    let cut = asks(liar).encode()[..20].to_vec();
    let inert = [
        say(&world, 1, request(asks(victim)), &[], Value::Null),
        say(&world, 2, request(Step::Answered(Verdict::Refused)), &[asked], Value::Null),
        say(&world, 3, request(Step::Answered(Verdict::Done)), &[], Value::Null),
        say(&world, 4, request(Step::Answered(Verdict::Done)), &[world.first], Value::Null),
        say(&world, 5, request(asks(liar)), &[world.first], Value::Null),
        say(&world, 6, (AuditKind::Request, cut), &[], Value::Null),
        say(&world, 7, (AuditKind::Request, vec![1, 0, 3, 0]), &[], Value::Null),
        say(&world, 8, (AuditKind::Subject, vec![1, 2]), &[], Value::Null),
        say(&world, 9, (AuditKind::Subject, vec![1]), &[], Value::Null),
    ];
    let fine = [
        say(&world, 10, request(asks(liar)), &[], Value::Null),
        say(&world, 11, request(outside), &[], "anything".into()),
        say(&world, 12, of(victim), &[], key(vec![1; 31])),
        say(&world, 13, of(victim), &[], Value::Null),
        say(&world, 14, of(victim), &[], key(vec![1; 32])),
    ];
    let newer = [(15, AuditKind::Subject), (16, AuditKind::Request)]
        .map(|(n, kind)| say(&world, n, (kind, vec![2, 0]), &[], Value::Null));
    let all = inert.iter().chain(&fine).chain(&newer);
    let rows: Vec<Vec<u8>> = all.map(|(_, row)| row.clone()).collect();
    let deps = world.a.replica.heads();
    sync(&mut world.a, &mut world.b);
    assert_eq!(world.b.replica.heads(), deps);
    let mut world = world.agree(&rows);
    for (at, (id, _)) in inert.iter().enumerate() {
        assert_eq!(world.fate(*id), Some(Fate::Inert), "number {at}");
    }
    for (at, (id, _)) in fine.iter().enumerate() {
        assert_eq!(world.fate(*id), Some(Fate::Integrated), "number {at}");
    }
    assert!(newer.iter().all(|(id, _)| world.held(*id).is_some()));
    assert_eq!(stands(&world.a), [None, None, None]);
    assert_eq!(opened(&mut world.a, "salary"), Some("12".into()), "its key is another one");
    let keys = world.a.replica.subjects();
    assert_eq!(keys.iter().filter(|one| one.has_key).count(), 2);
    // All of them go at once.
    erase_about(&mut world.a, whose).expect("an owner may");
    assert!(world.a.replica.subjects().iter().all(|one| !one.has_key && one.is_erased));
}

#[test]
fn a_key_that_is_repeated_for_somebody_else_or_by_somebody_else_is_another_key() {
    let (space, bytes) = ([1; 32], [2; 32]);
    let (one, other) = (MemberId([3; 32]), MemberId([4; 32]));
    let key = |subject, by| Held::new(&bytes, subject, by, &space, None).key().kid();
    let of = DataSubject::Member(one);
    assert_eq!(key(of, one), key(of, one));
    assert_ne!(key(of, one), key(of, other));
    assert_ne!(key(of, one), key(DataSubject::Member(other), one));
    assert_ne!(key(of, one), key(DataSubject::Outsider(NameId([3; 16])), one));
}

#[test]
fn what_only_looks_like_a_personal_value_opens_for_nobody() {
    let (mut owner, _) = pair();
    register(&mut owner, GUEST);
    let good = note(&mut owner, GUEST, "phone", "one");
    let mut open =
        |bytes: &[u8]| owner.with(|replica, env| replica.open_personal(bytes, env.now_ms)).is_some();
    assert!(open(&good));
    for at in 0..good.len() {
        let mut other = good.clone();
        other[at] ^= 1;
        assert!(!open(&other) && !open(&good[..at]), "byte {at}");
    }
    let object = |fields: Vec<(&str, Value)>| {
        Value::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    };
    assert!(sealed_in(&object(vec![("personal", Value::Bytes(good))])).is_some());
    assert!(sealed_in(&object(vec![("personal", "text".into())])).is_none());
    assert!(sealed_in(&object(vec![("personal", Value::Bytes(vec![])), ("more", Value::Null)])).is_none());
    assert!(sealed_in(&Value::Null).is_none());
}

#[test]
fn a_key_whose_bytes_come_late_opens_from_then_on() {
    let (mut owner, mut writer) = pair();
    let registered = register(&mut owner, GUEST);
    note(&mut owner, GUEST, "phone", "one");
    let facts = object(&mut owner, "facts", ObjectKind::Map);
    // The object alone, without what others said: the key is not in it.
    let part = owner.replica.export_object(facts);
    writer.with(|replica, env| replica.import_space(&part, env)).expect("an export");
    writer.settle();
    assert_eq!(opened(&mut writer, "phone"), None);
    assert!(!writer.replica.subjects()[0].has_key);
    put(&mut writer, "other", "kept");
    let whole = owner.replica.export_space();
    writer.with(|replica, env| replica.import_space(&whole, env)).expect("an export");
    writer.settle();
    assert_eq!(opened(&mut writer, "phone"), Some("one".into()));
    assert_eq!(writer.replica.subjects()[0].changeset, registered);
}

#[test]
fn a_person_is_handed_what_it_wrote_and_what_is_about_it_and_nothing_of_others() {
    let (mut owner, mut writer) = pair();
    let me = Whose::Member(writer.replica.member());
    let of = |node: &Node, whose| node.replica.subject_of(whose).expect("a name");
    let (guest, mine) = (of(&owner, GUEST), of(&owner, me));
    register(&mut owner, GUEST);
    register(&mut owner, me);
    note(&mut owner, GUEST, "phone", "+49 731 1");
    note(&mut owner, me, "salary", "12");
    put(&mut owner, "secret", "of the owner");
    owner.with(|replica, env| replica.consent(GUEST, "mail", None, true, env)).expect("it can be said");
    sync(&mut owner, &mut writer);
    note(&mut writer, GUEST, "street", "Münsterplatz");
    put(&mut writer, "color", "blue");
    writer.with(|replica, env| {
        let sealed = replica.seal_personal(GUEST, &"in a header".into(), env).expect("registered");
        let headers = Value::Object(BTreeMap::from([("personal".to_owned(), Value::Bytes(sealed))]));
        replica.begin_transact(Some("about nothing".into()), Some(headers), None, env).expect("small");
        let facts = replica.object("facts", ObjectKind::Map).expect("a map");
        replica.map_set(facts, "n", Value::from(1), env).expect("a writer");
        replica.end_transact(env).expect("it is small");
        replica.flush(env);
    });
    ask(&mut writer, me, RequestKind::Export).expect("for itself");
    sync(&mut owner, &mut writer);
    let all = |node: &Node, subject| {
        let (mut entries, mut next) = (Vec::new(), Some(0));
        while let Some(from) = next {
            let (some, rest) = node.replica.dossier(subject, from, 3);
            entries.extend(some);
            next = rest;
        }
        entries
    };
    let (about_guest, about_me) = (all(&owner, guest), all(&owner, mine));
    let text =
        |entries: &[DossierEntry]| format!("{:?}", entries.iter().map(|one| &one.ops).collect::<Vec<_>>());
    // The key, the phone, the consent, the street and the headers, by whoever wrote them.
    assert_eq!(about_guest.len(), 5);
    assert!(format!("{:?}", about_guest.last().expect("it is the last").beside).contains("in a header"));
    assert!(about_me.iter().any(|one| format!("{:?}", one.beside).contains("about nothing")));
    for word in ["phone", "+49 731 1", "guest 7", "mail", "street", "Münsterplatz"] {
        assert!(text(&about_guest).contains(word), "{word}");
    }
    assert!(about_me.iter().any(|one| one.member != writer.replica.member()), "what others keep about it");
    for word in ["salary", "12", "color", "blue", "second", "I want to"] {
        assert!(text(&about_me).contains(word), "{word}");
    }
    for word in ["+49 731 1", "Münsterplatz", "of the owner"] {
        assert!(!text(&about_me).contains(word), "{word} is of somebody else");
    }
    assert!(!text(&about_guest).contains("blue"));
    assert!(text(&about_me).contains("personal"), "what it wrote about the guest stays sealed");
    for entry in about_guest.iter().chain(&about_me) {
        assert!(!format!("{:?}", entry.ops).contains("\"key\": Bytes"), "no key is handed out");
        let signed = SignedChangeset::decode(&entry.row).expect("a row");
        assert_eq!((signed.id(), signed.header().actor()), (entry.changeset, entry.actor));
    }
    erase_about(&mut owner, GUEST).expect("an owner may");
    let left = all(&owner, guest);
    assert!(left.iter().all(|one| one.is_redacted && one.ops.is_empty()), "{left:?}");
    assert_eq!(left.len(), 2, "that there was a key, and a consent");
}

#[test]
fn a_key_that_was_made_without_knowing_of_the_erasure_goes_too_and_one_made_knowing_stays() {
    let (mut owner, mut writer) = pair();
    register(&mut owner, GUEST);
    erase_about(&mut owner, GUEST).expect("an owner may");
    let before = owner.replica.last_write();
    let apart = register(&mut writer, GUEST);
    note(&mut writer, GUEST, "phone", "one");
    sync(&mut owner, &mut writer);
    for _ in 0..2 {
        owner.now_ms += 1_000;
        owner.with(|replica, env| replica.tick(env));
        owner.settle();
        sync(&mut owner, &mut writer);
    }
    for node in [&mut owner, &mut writer] {
        assert!(node.replica.is_redacted(&apart));
        assert_eq!(opened(node, "phone"), None);
        assert!(node.replica.subjects().iter().all(|one| one.is_erased));
    }
    assert_eq!(owner.replica.last_write(), before, "the app wrote nothing");
    register(&mut writer, GUEST);
    note(&mut writer, GUEST, "phone", "two");
    sync(&mut owner, &mut writer);
    let mut owner = owner.reopen();
    owner.now_ms += 1_000;
    owner.with(|replica, env| replica.tick(env));
    owner.settle();
    assert_eq!(opened(&mut owner, "phone"), Some("two".into()));
}

#[test]
fn what_a_member_erased_of_its_own_is_said_again_by_whom_relays_believe() {
    let (mut owner, mut writer) = pair();
    let me = Whose::Member(writer.replica.member());
    let key = register(&mut owner, me);
    sync(&mut owner, &mut writer);
    erase_about(&mut writer, me).expect("its own");
    sync(&mut owner, &mut writer);
    for _ in 0..3 {
        owner.now_ms += 1_000;
        owner.with(|replica, env| replica.tick(env));
        owner.settle();
        sync(&mut owner, &mut writer);
    }
    for node in [&owner, &writer] {
        let by: Vec<MemberId> = node.replica.redactions().map(|one| one.member).collect();
        assert_eq!(by, [writer.replica.member(), owner.replica.member()], "once");
        assert!(node.replica.is_redacted(&key));
    }
    assert_same(&owner, &writer);
}

#[test]
fn an_owner_asks_for_who_only_reads_and_for_who_is_known_by_consent_alone() {
    let mut owner = Node::create(1);
    let reader = Node::join(3, &owner.invite(Role::Reader));
    let them = Whose::Member(reader.replica.member());
    assert_eq!(ask(&mut owner, them, RequestKind::Erasure), Err(SubjectFault::Unknown));
    register(&mut owner, them);
    let asked = ask(&mut owner, them, RequestKind::Erasure).expect("an owner may, for everybody");
    let (_, redacted) = answer(&mut owner, asked, Verdict::Done, None).expect("an owner may");
    assert_eq!(redacted.expect("there was a key").changesets.len(), 1);
    owner.with(|replica, env| replica.consent(GUEST, "mail", None, true, env)).expect("it can be said");
    ask(&mut owner, GUEST, RequestKind::Export).expect("something was said of them");
    assert_eq!(owner.replica.requests()[1].name.as_deref(), Some("guest 7"));
}

/// By counted steps at n and at 2n: see tests/growth.rs.
#[test]
fn looking_for_what_is_owed_is_linear_in_keys_and_redactions() {
    let steps_for = |people: usize| {
        let (mut owner, _) = pair();
        let names: Vec<String> = (0..people).map(|n| format!("guest {n}")).collect();
        for name in &names {
            register(&mut owner, Whose::Outsider(name));
        }
        for name in &names[..people / 2] {
            erase_about(&mut owner, Whose::Outsider(name)).expect("an owner may");
        }
        owner.now_ms += 1_000;
        let before = steps::taken();
        owner.with(|replica, env| replica.tick(env));
        (steps::taken() - before) as f64
    };
    let [at_n, at_2n] = [60, 120].map(steps_for);
    assert!(at_n >= 60.0, "the keys were looked through");
    assert!(at_2n / at_n <= 2.4, "{at_n} steps at 60, {at_2n} at twice that");
}
