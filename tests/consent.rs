//! Consent through the public API of a replica: who speaks for whom, what holds of what was said apart, and members who lie.

#[path = "common/attacker.rs"]
mod attacker;
mod common;
#[path = "reference/rng.rs"]
mod rng;

use attacker::{World, encoded};
use common::{Node, assert_same, sync};
use rng::Rng;
use std::collections::BTreeMap;
use stemma::audit::{Consent, DataSubject};
use stemma::causal::{ChangesetId, Hlc, MemberId, NameId};
use stemma::event::{AuditKind, Class, Content, Fate, Op, Role, Skeleton, Value};
use stemma::replica::{ConsentFault, HistoryFilter, Whose};

fn say(node: &mut Node, whose: Whose<'_>, purpose: &str, given: bool) -> ChangesetId {
    node.with(|replica, env| replica.consent(whose, purpose, Some("v1"), given, env)).expect("it can be said")
}

fn me(node: &Node) -> Whose<'static> {
    Whose::Member(node.replica.member())
}

fn holds(node: &Node, whose: Whose<'_>, purpose: &str) -> Option<bool> {
    let said = node.replica.consent_to(whose, purpose).expect("a purpose");
    said.map(|said| said.consent.is_given)
}

#[test]
fn the_last_word_holds_and_everybody_reads_it() {
    let mut a = Node::create(1);
    let mut b = Node::join(2, &a.invite(Role::Writer));
    assert_eq!(holds(&a, me(&a), "mail"), None);
    let mine = me(&a);
    say(&mut a, mine, "mail", true);
    let said = say(&mut a, Whose::Outsider("customer 7"), "mail", true);
    sync(&mut a, &mut b);
    assert_eq!((holds(&b, me(&a), "mail"), holds(&b, me(&b), "mail")), (Some(true), None));
    assert_eq!((holds(&b, me(&a), "post"), holds(&b, Whose::Outsider("customer 8"), "mail")), (None, None));
    let info =
        b.replica.consent_to(Whose::Outsider("customer 7"), "mail").expect("a purpose").expect("it was said");
    assert_eq!((info.changeset, info.member), (said, a.replica.member()));
    let clear = (info.purpose.as_deref(), info.subject.as_deref(), info.terms.as_deref());
    assert_eq!(clear, (Some("mail"), Some("customer 7"), Some("v1")));
    say(&mut b, Whose::Outsider("customer 7"), "mail", false);
    say(&mut a, mine, "mail", false);
    sync(&mut a, &mut b);
    for node in [&a, &b] {
        assert_eq!(holds(node, Whose::Outsider("customer 7"), "mail"), Some(false));
        assert_eq!(holds(node, me(&a), "mail"), Some(false));
        assert_eq!(node.replica.consents().len(), 2);
    }
    assert_same(&a, &b);
}

#[test]
fn what_cannot_be_said_is_refused_and_changes_nothing() {
    let mut a = Node::create(1);
    let mut reader = Node::join(2, &a.invite(Role::Reader));
    let other = Whose::Member(reader.replica.member());
    let long = "p".repeat(4_097);
    let head = a.replica.last_write();
    let refused = |node: &mut Node, whose, purpose: &str, terms| {
        node.with(|replica, env| replica.consent(whose, purpose, terms, true, env))
            .expect_err("it cannot be said")
    };
    let mine = me(&a);
    assert_eq!(refused(&mut a, mine, "", None), ConsentFault::Purpose);
    assert_eq!(refused(&mut a, mine, &long, None), ConsentFault::Purpose);
    assert_eq!(refused(&mut a, other, "mail", None), ConsentFault::Subject);
    assert_eq!(refused(&mut a, Whose::Outsider(""), "mail", None), ConsentFault::Subject);
    assert_eq!(refused(&mut a, Whose::Outsider(&long), "mail", None), ConsentFault::Subject);
    assert_eq!(refused(&mut a, mine, "mail", Some("")), ConsentFault::Terms);
    assert_eq!(refused(&mut reader, other, "mail", None), ConsentFault::Role);
    a.with(|replica, env| replica.begin_transact(None, None, None, env)).expect("small");
    assert_eq!(refused(&mut a, mine, "mail", None), ConsentFault::Busy);
    a.with(|replica, env| replica.abort_transact(env));
    assert_eq!(a.replica.last_write(), head);
    assert_eq!(a.replica.consent_to(mine, "").map(|_| ()), Err(ConsentFault::Purpose));
}

/// A changeset of an attacker that says this.
fn claim(world: &World, lane: &mut attacker::Lane, payload: Vec<u8>, value: Value) -> Vec<u8> {
    let op = Op::Audit { kind: AuditKind::Consent, payload };
    let skeleton = Skeleton { hlc: Hlc { ms: 5, counter: 0 }, ops: vec![op], ..Skeleton::default() };
    let content = Content { values: vec![value], ..Content::default() };
    let changeset =
        world.attacker.seal_as(Class::Audit, lane, &[], &skeleton.encode(0), Some(&content.encode()));
    (lane.seq, lane.prev) = (lane.seq + 1, Some(changeset.id()));
    encoded(&changeset)
}

#[test]
fn nobody_speaks_for_another_member_and_names_that_lie_are_not_shown() {
    let world = World::new();
    let (mut lane, mut later) = (world.attacker.lane(1), world.attacker.lane(2));
    let purpose = NameId([7; 16]);
    let of = |member: MemberId| Consent { subject: DataSubject::Member(member), purpose, is_given: true };
    let (victim, liar) = (world.a.replica.member(), world.attacker.member());
    let own = of(liar).encode();
    let cut = own[..own.len() - 1].to_vec();
    let rows = [
        claim(&world, &mut lane, of(victim).encode(), Value::Null),
        claim(&world, &mut lane, cut, Value::Null),
        claim(&world, &mut lane, [&own[..], &[0]].concat(), Value::Null),
        claim(
            &world,
            &mut lane,
            own.clone(),
            Value::Object(BTreeMap::from([("purpose".to_owned(), "mail".into())])),
        ),
        claim(&world, &mut later, [&[2], &own[1..]].concat(), Value::Null),
    ];
    let ids: Vec<ChangesetId> = rows.iter().map(|row| attacker::id_of(row)).collect();
    let world = world.agree(&rows);
    let fates: Vec<Option<Fate>> = ids.iter().map(|id| world.fate(*id)).collect();
    let inert = Some(Fate::Inert);
    assert_eq!(fates, [inert, inert, inert, Some(Fate::Integrated), None]);
    assert!(world.held(ids[4]).is_some(), "of a later version: it waits");
    let said = world.a.replica.consents();
    assert_eq!(said.len(), 1);
    assert_eq!((said[0].consent, said[0].purpose.as_deref()), (of(liar), None));
}

/// What was said, and all that its author knew then.
type Word = (ChangesetId, bool, Vec<ChangesetId>);

/// Words said apart, in any order and over snapshots: the same holds for all, which is the one that nothing replaced and that is
/// the latest.
#[test]
fn all_agree_on_what_holds_and_it_is_the_latest_that_nothing_replaced() {
    for seed in 0..20 {
        let mut rng = Rng::new(seed);
        let mut nodes = vec![Node::create(1)];
        for at in 2..=3 {
            let token = nodes[0].invite(Role::Writer);
            nodes.push(Node::join(at, &token));
        }
        let mut said: BTreeMap<(usize, usize), Vec<Word>> = BTreeMap::new();
        let mut known: Vec<Vec<ChangesetId>> = vec![Vec::new(); 3];
        for _ in 0..40 {
            let at = rng.below(3);
            if rng.below(3) == 0 {
                let other = (at + 1 + rng.below(2)) % 3;
                let [a, b] = nodes.get_disjoint_mut([at, other]).expect("two of them");
                sync(a, b);
                let mut both = [known[at].clone(), known[other].clone()].concat();
                both.sort_unstable();
                both.dedup();
                (known[at], known[other]) = (both.clone(), both);
                continue;
            }
            let (subject, purpose, given) = (rng.below(2), rng.below(2), rng.below(2) == 0);
            nodes[at].now_ms += rng.below(50) as u64;
            let name = format!("somebody {subject}");
            let id = say(&mut nodes[at], Whose::Outsider(&name), &format!("purpose {purpose}"), given);
            said.entry((subject, purpose)).or_default().push((id, given, known[at].clone()));
            known[at].push(id);
        }
        for _ in 0..2 {
            for (a, b) in [(0, 1), (1, 2), (0, 2)] {
                let [a, b] = nodes.get_disjoint_mut([a, b]).expect("two of them");
                sync(a, b);
            }
        }
        nodes[1].snapshot();
        let reopened = nodes.remove(1).reopen();
        nodes.push(reopened);
        for ((subject, purpose), words) in &said {
            let is_replaced = |id: &ChangesetId| words.iter().any(|(_, _, before)| before.contains(id));
            let rest = words.iter().filter(|(id, ..)| !is_replaced(id));
            let name = format!("somebody {subject}");
            let current = |node: &Node| {
                let said = node.replica.consent_to(Whose::Outsider(&name), &format!("purpose {purpose}"));
                said.expect("a purpose").expect("something was said")
            };
            let all = HistoryFilter { limit: usize::MAX, ..HistoryFilter::default() };
            let history = nodes[0].replica.history(&all);
            let time = |id: &ChangesetId| {
                let found = history.iter().find(|one| one.id == *id).expect("everybody has it");
                (found.time_ms, found.counter, found.id)
            };
            let latest = rest.max_by_key(|(id, ..)| time(id)).expect("one is left");
            for node in &nodes {
                let info = current(node);
                assert_eq!((info.changeset, info.consent.is_given), (latest.0, latest.1), "seed {seed}");
            }
        }
    }
}
