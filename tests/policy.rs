//! Named cases of policy: what hostile members say, and how much work it is to hear and to judge it.

#[path = "common/attacker.rs"]
mod attacker;
mod common;

use attacker::{Attacker, Lane, World, encoded, read, write};
use common::{Node, assert_same, sync};
use stemma::causal::{ActorId, ChangesetId, MemberId};
use stemma::event::{
    Accepted, BanScope, BanSubject, Class, Fate, Invite, ObjectKind, Op, Role, Target, Value, Verdict,
};
use stemma::replica::{ChangesetSummary, Env, HistoryFilter, PolicyFault, Replica};
use stemma::steps;
use stemma::trust::Subject;

fn exclude(target: Target) -> Op {
    Op::PolicyExclude { verdict: Verdict::Exclude, targets: vec![target] }
}

fn say(node: &mut Node, ops: Vec<Op>) -> ChangesetId {
    node.with(|replica, env| replica.say(ops, None, true, env)).expect("it can be said").expect("a word")
}

#[test]
fn words_of_a_stranger_do_nothing_and_words_in_the_wrong_class_are_inert() {
    let world = World::new();
    let owner = world.a.replica.member();
    let everything = vec![
        Op::PolicyBan { subject: BanSubject::Member(owner), scope: BanScope::All },
        exclude(Target::Changeset(world.first)),
        Op::PolicyTrust { member: owner, weight: i64::from(u32::MAX) },
        Op::PolicyThreshold { weight: 0 },
        Op::PolicyMode { review: true },
        Op::PolicyAccept { accepted: true, subject: Accepted::Member(owner) },
    ];
    let said = world.attacker.say(Class::Policy, &mut world.attacker.lane(1), &[], everything.clone());
    // An edit among words, and a word among edits.
    let edit = world.attacker.set("k", "1", 5);
    let mut lane = world.attacker.lane(2);
    let smuggled =
        world.attacker.seal_as(Class::Policy, &lane, &[], &edit.0.encode(0), Some(&edit.1.encode()));
    (lane.seq, lane.prev) = (1, Some(smuggled.id()));
    let mut lane = world.attacker.lane(3);
    let in_data = world.attacker.say(Class::Data, &mut lane, &[], everything.clone());
    // Sealed under the key that all have: everybody reads it, and it is one word like others.
    let not_private = world.attacker.say(Class::Private, &mut world.attacker.lane(4), &[], everything);
    let world = world.agree(&[&said, &smuggled, &in_data, &not_private].map(encoded));
    assert_eq!(world.fate(said.id()), Some(Fate::Integrated));
    assert_eq!(world.fate(smuggled.id()), Some(Fate::Inert));
    assert_eq!(world.fate(in_data.id()), Some(Fate::Inert));
    assert_eq!(world.a.replica.entries().len(), 12);
    assert!(!world.a.replica.reviews() && world.a.replica.threshold() == 1);
    let history = world.a.replica.history(&HistoryFilter { limit: 99, ..HistoryFilter::default() });
    assert!(history.iter().all(|one| one.hidden == 0));
}

#[test]
fn a_reader_speaks_to_itself_alone() {
    let world = World::with_role(Role::Reader);
    let word = vec![exclude(Target::Changeset(world.first))];
    let public = world.attacker.say(Class::Policy, &mut world.attacker.lane(1), &[], word);
    let world = world.agree(&[encoded(&public)]);
    assert_eq!(world.fate(public.id()), Some(Fate::Inert));
    assert!(world.a.replica.entries().is_empty());
}

/// Whoever trusts itself, or trusts in a ring, weighs no more for it.
#[test]
fn trust_is_one_step_deep_whatever_is_signed() {
    let mut world = World::new();
    let attacker = world.attacker.member();
    let (a, b) = (world.a.replica.member(), world.b.replica.member());
    let trusts = |member| Op::PolicyTrust { member, weight: 1_000 };
    let mut lane = world.attacker.lane(1);
    let ring =
        world.attacker.say(Class::Policy, &mut lane, &[], vec![trusts(attacker), trusts(a), trusts(b)]);
    let word =
        world.attacker.say(Class::Policy, &mut lane, &[], vec![exclude(Target::Changeset(world.first))]);
    assert_eq!(
        world.a.with(|replica, env| replica.say(vec![trusts(a)], None, true, env)),
        Err(PolicyFault::Oneself)
    );
    say(&mut world.b, vec![trusts(attacker)]);
    say(&mut world.a, vec![trusts(b)]);
    let first = world.first;
    world.attacker.give(&mut world.a, &[encoded(&ring), encoded(&word)]);
    world.attacker.give(&mut world.b, &[encoded(&ring), encoded(&word)]);
    sync(&mut world.a, &mut world.b);
    let hidden = |node: &Node| {
        let history = node.replica.history(&HistoryFilter { limit: 99, ..HistoryFilter::default() });
        history.iter().find(|one| one.id == first).expect("it is here").hidden
    };
    // It was written by `a`, whom `b` is not.
    assert_eq!((hidden(&world.a), hidden(&world.b)), (0, 1));
}

/// A device that was copied speaks on two branches. Words on one know nothing of the other; which of them wins is the same for
/// everybody, whatever came first, and a ban reaches both.
#[test]
fn words_on_both_branches_of_a_fork_make_one_policy() {
    let mut node = Node::create(1);
    let token = node.invite(Role::Writer);
    let mut guest = Node::join(2, &token);
    let write = |node: &mut Node, key: &str| {
        let facts = node.replica.object("facts", ObjectKind::Map).expect("a map");
        node.with(|replica, env| replica.map_set(facts, key, Value::from(key), env)).expect("a writer");
        node.with(|replica, env| replica.flush(env)).expect("something was written")
    };
    let read = |node: &mut Node, key: &str| {
        let facts = node.replica.object("facts", ObjectKind::Map).expect("a map");
        node.replica.map_get(facts, key).is_some()
    };
    let theirs = write(&mut guest, "theirs");
    sync(&mut node, &mut guest);
    write(&mut node, "before");
    let mut branch = Node::create(3);
    branch.disk = node.disk.clone();
    let mut branch = branch.reopen();
    assert_eq!(branch.replica.actor(), node.replica.actor());
    let include = Op::PolicyExclude { verdict: Verdict::Include, targets: vec![Target::Changeset(theirs)] };
    branch.now_ms = node.now_ms + 1;
    say(&mut node, vec![exclude(Target::Changeset(theirs))]);
    say(&mut branch, vec![include]);
    let (one, two) = (write(&mut node, "one"), write(&mut branch, "two"));
    assert!(!read(&mut node, "theirs") && read(&mut branch, "theirs"));
    sync(&mut node, &mut branch);
    sync(&mut branch, &mut guest);
    sync(&mut node, &mut guest);
    for here in [&mut node, &mut branch] {
        assert_eq!(here.replica.stats().forks, 1);
        assert!(read(here, "theirs"), "the later of two words that do not know of each other");
    }
    assert_same(&node, &branch);
    assert_same(&node.twin(4), &node);

    let actor = branch.replica.actor().expect("it signs");
    let of_both = node.replica.member();
    let forked = guest.replica.history(&HistoryFilter { limit: 99, ..HistoryFilter::default() });
    let forked = forked.iter().find(|info| info.id == one).expect("it is here").actor;
    assert_ne!(actor, forked, "whoever notices signs by another one");
    let seen = |guest: &mut Node| ["before", "one", "two"].map(|key| read(guest, key));
    let ban = |subject, scope| Op::PolicyBan { subject, scope };
    say(&mut guest, vec![ban(BanSubject::Actor(forked), BanScope::SinceChangeset(one))]);
    assert_eq!(seen(&mut guest), [true, false, false], "the other branch is not in its past");
    say(&mut guest, vec![ban(BanSubject::Actor(forked), BanScope::Lifted), exclude(Target::Changeset(two))]);
    assert_eq!(seen(&mut guest), [true, true, false], "one changeset of one branch");
    say(&mut guest, vec![ban(BanSubject::Member(of_both), BanScope::All)]);
    assert_eq!(seen(&mut guest), [false, false, false]);
    assert_same(&guest.twin(5), &guest);
}

#[test]
fn a_word_on_what_never_comes_is_pending_and_harmless() {
    let mut world = World::new();
    let never = ChangesetId([7; 32]);
    let since = Op::PolicyBan {
        subject: BanSubject::Actor(ActorId([9; 32])),
        scope: BanScope::SinceChangeset(never),
    };
    say(&mut world.a, vec![exclude(Target::Op(never, 65_535)), since]);
    assert!(world.a.replica.entries().iter().all(|entry| entry.is_pending));
    assert_eq!(world.a.replica.targets(&Default::default()).len(), 1);
    world.a.replica.dbg_check();
}

/// A member of a crowd, which speaks once.
fn one_of_many(invite: &Invite, n: u32) -> (Attacker, Lane) {
    let seed = |of: u8| {
        let mut seed = [of; 32];
        seed[..4].copy_from_slice(&n.to_le_bytes());
        seed
    };
    let one = Attacker::join_as(invite.clone(), seed(0xb1));
    let lane = one.lane_of(seed(0xb2));
    (one, lane)
}

/// Ten thousand people have an opinion on one changeset, trust themselves and each other in a ring. Whoever trusts none of them does
/// not look at it; whoever trusts one hears that one alone; whoever trusts all counts what they say.
#[test]
fn ten_thousand_opinions_are_counted_for_whoever_shares_them_and_cost_nobody_else_anything() {
    const MANY: u32 = 10_000;
    let mut world = World::new();
    write(&mut world.b, "rumour");
    sync(&mut world.a, &mut world.b);
    let rumour = world.b.replica.last_write().expect("it was written");
    let invite = Invite::decode(&world.a.invite(Role::Writer)).expect("a token");
    let crowd: Vec<(Attacker, Lane)> = (0..MANY).map(|n| one_of_many(&invite, n)).collect();
    let members: Vec<MemberId> = crowd.iter().map(|(one, _)| one.member()).collect();
    let mut rows = Vec::new();
    for (n, (one, mut lane)) in crowd.into_iter().enumerate() {
        // Three of five say that it is not true.
        let verdict = if n % 5 < 3 { Verdict::Exclude } else { Verdict::Include };
        let trusts = |member| Op::PolicyTrust { member, weight: 1_000_000 };
        let said = vec![
            Op::PolicyExclude { verdict, targets: vec![Target::Changeset(rumour)] },
            trusts(members[n]),
            trusts(members[(n + 1) % members.len()]),
        ];
        rows.push(encoded(&one.say(Class::Policy, &mut lane, &[rumour], said)));
    }
    world.attacker.give(&mut world.a, &rows);
    let node = &mut world.a;
    assert_eq!(node.replica.entries().len(), 3 * MANY as usize);
    assert_eq!(node.replica.votes(Subject::Target(Target::Changeset(rumour))).len(), MANY as usize);
    // What is written first brings all their heads together.
    write(node, "x");
    let before = steps::taken();
    write(node, "y");
    assert!(steps::taken() - before < 100, "an edit passes over no word");
    // What is written first brings all their heads together.
    write(node, "x");
    let before = steps::taken();
    write(node, "y");
    assert!(steps::taken() - before < 100, "an edit passes over no word");
    let reads = |node: &mut Node| read(node, "rumour").is_some();
    assert!(reads(node), "nobody is trusted");
    let trust = |member: MemberId, weight| Op::PolicyTrust { member, weight };
    say(node, vec![trust(members[3], 1)]);
    assert!(
        reads(node),
        "he believes it, and that he trusts others, and himself with a million, means nothing"
    );
    say(node, vec![trust(members[3], 0), trust(members[0], 1)]);
    assert!(!reads(node));
    say(node, members.iter().map(|member| trust(*member, 1)).collect());
    let most = u64::from(MANY / 5);
    for (threshold, is_read) in [(most, false), (most + 1, true), (1, false)] {
        say(node, vec![Op::PolicyThreshold { weight: threshold }]);
        assert_eq!(reads(node), is_read, "{threshold} of {most}");
    }
    let state = node.replica.state_hash();
    say(node, members.iter().take(4).map(|member| trust(*member, 1 + i64::from(MANY))).collect());
    assert!(!reads(node), "three of these four");
    say(
        node,
        vec![Op::PolicyExclude { verdict: Verdict::Include, targets: vec![Target::Changeset(rumour)] }],
    );
    assert!(reads(node), "one's own word comes before all of theirs");
    say(node, vec![Op::PolicyExclude { verdict: Verdict::None, targets: vec![Target::Changeset(rumour)] }]);
    assert_eq!(node.replica.state_hash(), state);
    assert_same(&node.twin(9), node);
}

/// A selection of more than fits into one changeset is signed as several.
#[test]
fn as_many_exclusions_as_there_are_ops_are_said_at_once() {
    let mut node = Node::create(1);
    let facts = node.replica.object("facts", ObjectKind::Map).expect("a map");
    node.with(|replica, env| replica.begin_transact(None, None, None, env)).expect("small");
    for key in 0..5_000 {
        let set = |replica: &mut Replica, env: &mut Env<'_>| {
            replica.map_set(facts, &key.to_string(), Value::Bool(true), env)
        };
        node.with(set).expect("a writer");
    }
    node.with(|replica, env| replica.end_transact(env)).expect("edits");
    let history = node.replica.history(&HistoryFilter { limit: 99, ..HistoryFilter::default() });
    let count = history.len() as u32;
    let ops =
        |one: &ChangesetSummary| (0..one.ops).map(|index| Target::Op(one.id, index)).collect::<Vec<_>>();
    let targets: Vec<Target> = history.iter().flat_map(ops).collect();
    say(&mut node, vec![Op::PolicyExclude { verdict: Verdict::Exclude, targets: targets.clone() }]);
    assert_eq!((node.replica.map_keys(facts).len(), node.replica.stats().changesets), (0, count + 2));
    say(&mut node, vec![Op::PolicyExclude { verdict: Verdict::None, targets }]);
    assert_eq!(node.replica.map_keys(facts).len(), 5_000);
    let reopened = node.reopen();
    assert_eq!(reopened.replica.entries().len(), 10_000);
    reopened.replica.dbg_check();
}

/// The owner's changesets and then a guest's, one op each: on keys, and in a text of their own; the guest's member.
fn written_by_two(owners: usize, guests: usize) -> (Node, MemberId) {
    let mut owner = Node::create(1);
    let token = owner.invite(Role::Writer);
    let mut guest = Node::join(2, &token);
    let write = |node: &mut Node, who: &str, times: usize| {
        let map = node.replica.object("map", ObjectKind::Map).expect("a map");
        let text = node.replica.object(who, ObjectKind::Text).expect("a text");
        for at in 0..times {
            let edit = |replica: &mut Replica, env: &mut Env<'_>| match at % 2 {
                0 => replica
                    .map_set(map, &format!("{who} {}", at % 8), Value::Bool(at % 3 == 0), env)
                    .map(drop),
                _ => replica.text_insert(text, 0, "x", env).map(drop),
            };
            node.with(edit).expect("a writer");
            node.with(|replica, env| replica.flush(env));
        }
    };
    write(&mut owner, "owner", owners);
    sync(&mut owner, &mut guest);
    write(&mut guest, "guest", guests);
    sync(&mut owner, &mut guest);
    let member = guest.replica.member();
    (owner, member)
}

#[test]
fn a_preview_costs_what_it_would_hide_and_nothing_for_the_rest() {
    let steps_of = |owners: usize, guests: usize| {
        let (mut owner, member) = written_by_two(owners, guests);
        let ban = [Op::PolicyBan { subject: BanSubject::Member(member), scope: BanScope::All }];
        let before = steps::taken();
        let preview = owner.with(|replica, env| replica.preview(&ban, env)).expect("somebody else");
        assert_eq!((preview.changesets, preview.patches.len()), (guests as u32, 2));
        steps::taken() - before
    };
    let [base, longer, wider] =
        [(200, 50), (400, 50), (200, 100)].map(|(owners, guests)| steps_of(owners, guests));
    assert!(base >= 100, "what is hidden is counted: {base}");
    assert!(longer <= base + base / 20, "{base} steps, and {longer} in a log of twice the length");
    assert!(wider <= 2 * base + base / 5, "{base} steps, and {wider} where twice as much is hidden");
}

/// What a preview says will change is what the difference of two views says.
#[test]
fn a_preview_tells_the_changes_that_come() {
    let (mut owner, member) = written_by_two(6, 9);
    let ban = [Op::PolicyBan { subject: BanSubject::Member(member), scope: BanScope::All }];
    let said = |owner: &mut Node, ops: &[Op]| {
        let now = owner.with(|replica, env| replica.view(&Default::default(), env)).expect("of now");
        let preview = owner.with(|replica, env| replica.preview(ops, env)).expect("somebody else");
        assert_eq!(preview.patches, owner.replica.view_diff(now, preview.view).expect("both are open"));
        assert!(!preview.patches.is_empty());
        owner.replica.dbg_check();
    };
    said(&mut owner, &ban);
    say(&mut owner, ban.to_vec());
    said(&mut owner, &[Op::PolicyBan { subject: BanSubject::Member(member), scope: BanScope::Lifted }]);
}
