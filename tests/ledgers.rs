//! Named cases of ledgers: who may pay from what, what counts once, whose things are, and what hostile members sign.

#[path = "common/attacker.rs"]
mod attacker;
mod common;

use attacker::{World, encoded};
use common::{Node, assert_same, sync};
use stemma::causal::{ChangesetId, Hlc, MemberId, NameId};
use stemma::codec::BigInt;
use stemma::crdt::{AccountId, Flaw};
use stemma::crypto::SigningKey;
use stemma::doc::ObjectIx;
use stemma::event::{
    Account, ChangesetAt, Content, Fate, MONEY_END, NO_OPTIONS, NameAt, ObjectAt, ObjectKind, Op, OpContent,
    Options, Role, Skeleton, Sort, Target as PolicyTarget, Value, Verdict, name_id,
};
use stemma::replica::{EditFault, EntryStanding, LedgerEntry, Target};

fn ledger(node: &mut Node) -> ObjectIx {
    ledger_with(node, &Options::default())
}

fn ledger_with(node: &mut Node, options: &Options) -> ObjectIx {
    node.replica.object_with("house", ObjectKind::Ledger, options).expect("a ledger")
}

fn own(node: &Node) -> AccountId {
    AccountId::Member(node.replica.member())
}

fn try_pay(node: &mut Node, from: AccountId, to: AccountId, amount: i128) -> Result<(), EditFault> {
    let house = ledger(node);
    node.with(|replica, env| replica.ledger_transfer(house, (from, to), &BigInt::from(amount), None, env))
}

/// Pays in a transaction of its own; its changeset.
fn pay(node: &mut Node, from: AccountId, to: AccountId, amount: i128, command: Option<&str>) -> ChangesetId {
    let house = ledger(node);
    node.with(|replica, env| {
        replica.begin_transact(None, None, command.map(str::to_owned), env).expect("small");
        replica.ledger_transfer(house, (from, to), &BigInt::from(amount), None, env).expect("it can be paid");
        replica.end_transact(env).expect("it was edited")
    })
}

fn open(node: &mut Node, name: &str) -> AccountId {
    let house = ledger(node);
    node.with(|replica, env| {
        replica.ledger_open(house, name, env).expect("it is free");
        replica.flush(env);
    });
    node.replica.account_named(name)
}

fn balance(node: &mut Node, account: &AccountId) -> i128 {
    let house = ledger(node);
    node.replica.ledger_balance(house, account)
}

fn entries(node: &mut Node) -> Vec<LedgerEntry> {
    let house = ledger(node);
    node.replica.ledger_entries(house, None, usize::MAX)
}

fn standings(node: &mut Node) -> Vec<EntryStanding> {
    entries(node).iter().map(|entry| entry.by.standing).collect()
}

fn whole(changeset: ChangesetId) -> Target {
    Target { changeset, index: None }
}

fn say(node: &mut Node, verdict: Verdict, changeset: ChangesetId) {
    let targets = vec![PolicyTarget::Changeset(changeset)];
    let op = Op::PolicyExclude { verdict, targets };
    node.with(|replica, env| replica.say(vec![op], None, true, env)).expect("it can be said");
}

/// Some who know each other.
fn people<const N: usize>() -> [Node; N] {
    let mut first = Node::create(1);
    let token = first.invite(Role::Writer);
    let mut nodes: Vec<Node> =
        std::iter::once(first).chain((1..N as u64).map(|n| Node::join(n + 1, &token))).collect();
    for node in &mut nodes {
        attacker::write(node, "here");
    }
    let mut nodes: [Node; N] = nodes.try_into().ok().expect("as many");
    meet(&mut nodes);
    nodes
}

fn meet(nodes: &mut [Node]) {
    for _ in 0..2 {
        for at in 1..nodes.len() {
            let (before, after) = nodes.split_at_mut(at);
            let (a, b) = (&mut before[at - 1], &mut after[0]);
            a.with(|replica, env| replica.flush(env));
            b.with(|replica, env| replica.flush(env));
            sync(a, b);
        }
        let last = nodes.len() - 1;
        for at in (0..last).rev() {
            let (before, after) = nodes.split_at_mut(at + 1);
            sync(&mut before[at], &mut after[0]);
        }
    }
    nodes.iter().for_each(|node| node.replica.dbg_check());
}

#[test]
fn only_its_owner_pays_from_an_account() {
    let mut nodes: [Node; 2] = people();
    let pot = open(&mut nodes[0], "pot");
    meet(&mut nodes);
    let [ann, bob] = &mut nodes;
    let (a, b) = (own(ann), own(bob));
    let unknown = AccountId::Member(MemberId([7; 32]));
    let closed = ann.replica.account_named("nothing");
    assert_eq!(try_pay(ann, b, a, 5), Err(EditFault::Owner));
    assert_eq!(try_pay(bob, pot, b, 5), Err(EditFault::Owner));
    assert_eq!(try_pay(ann, closed, a, 5), Err(EditFault::Owner));
    assert_eq!(try_pay(ann, a, closed, 5), Err(EditFault::Account));
    assert_eq!(try_pay(ann, a, unknown, 5), Err(EditFault::Account));
    assert_eq!(try_pay(ann, a, a, 5), Err(EditFault::Account));
    for amount in [0, -1, MONEY_END, i128::MAX] {
        assert_eq!(try_pay(ann, a, b, amount), Err(EditFault::Money));
    }
    let house = ledger(bob);
    assert_eq!(bob.with(|replica, env| replica.ledger_open(house, "pot", env)), Err(EditFault::Taken));
    for name in ["", "#1", &"a1".repeat(32)] {
        assert_eq!(
            bob.with(|replica, env| replica.ledger_open(house, name, env)),
            Err(EditFault::AccountName)
        );
    }
    let house = ledger(ann);
    assert_eq!(ann.with(|replica, env| replica.ledger_open(house, "pot", env)), Ok(false));
    assert!(entries(ann).is_empty() && !ann.replica.has_edits());
    // The greatest amount, and what is overdrawn is a debt.
    pay(ann, a, pot, MONEY_END - 1, None);
    pay(ann, pot, b, 3, None);
    assert_eq!(balance(ann, &pot), MONEY_END - 4);
    let debts = ann.replica.ledger_debts(house);
    assert_eq!((debts.len(), debts[0].account, debts[0].amount, debts[0].over), (1, a, MONEY_END - 1, 0));
}

#[test]
fn of_rival_openings_the_first_counts_and_with_it_what_was_paid() {
    let mut nodes: [Node; 2] = people();
    let account = open(&mut nodes[0], "pot");
    assert_eq!(open(&mut nodes[1], "pot"), account);
    for node in &mut nodes {
        let me = own(node);
        pay(node, me, account, 100, None);
        pay(node, account, me, 30, None);
    }
    meet(&mut nodes);
    let [ann, bob] = &mut nodes;
    assert_same(ann, bob);
    let house = ledger(ann);
    let owner = ann.replica.ledger_owner(house, &account).expect("it is open");
    let (winner, loser) = if owner == ann.replica.member() { (ann, bob) } else { (bob, ann) };
    assert_eq!(balance(winner, &account), 170, "both paid in, one took out");
    let listed = winner.replica.ledger_accounts(house);
    assert_eq!(listed.last().expect("the pot").rivals, [loser.replica.member()]);
    let off =
        standings(winner).into_iter().filter(|standing| *standing == EntryStanding::Flawed(Flaw::Owner));
    assert_eq!(off.count(), 1);
    // Without the first opening the account is the other one's.
    let history = winner.replica.history(&stemma::replica::HistoryFilter {
        object: Some(house),
        limit: 99,
        ..Default::default()
    });
    let opening = history.iter().find(|one| one.member == owner).expect("the opening").id;
    say(winner, Verdict::Exclude, opening);
    assert_eq!(winner.replica.ledger_owner(house, &account), Some(loser.replica.member()));
    assert_eq!(balance(winner, &account), 170);
    winner.replica.dbg_check();
    say(winner, Verdict::None, opening);
    assert_eq!(winner.replica.state_hash(), loser.replica.state_hash());
}

#[test]
fn a_retried_payment_counts_once_wherever_it_is_retried() {
    let mut nodes: [Node; 2] = people();
    // A second device of the first member, which has not heard of the payment.
    let b = own(&nodes[1]);
    let mut twin = Node::create(77);
    twin.disk = nodes[0].disk.clone();
    let mut twin = twin.reopen_keeping_actor(false);
    let a = own(&nodes[0]);
    let first = pay(&mut nodes[0], a, b, 40, Some("rent of May"));
    let second = pay(&mut twin, a, b, 40, Some("rent of May"));
    assert_ne!(first, second);
    sync(&mut nodes[0], &mut twin);
    meet(&mut nodes);
    let [ann, bob] = &mut nodes;
    assert_same(ann, bob);
    assert_eq!(balance(bob, &b), 40);
    let flawed = |node: &mut Node| -> Vec<(ChangesetId, EntryStanding)> {
        entries(node).iter().map(|entry| (entry.by.id.0.expect("sealed"), entry.by.standing)).collect()
    };
    let listed = flawed(bob);
    assert!(entries(bob).iter().all(|entry| entry.command.as_deref() == Some("rent of May")));
    let counting = listed.iter().filter(|(_, standing)| *standing == EntryStanding::Counts);
    assert_eq!(counting.clone().count(), 1);
    assert_eq!(
        counting.map(|(id, _)| *id).min(),
        Some(first.min(second)),
        "the smaller id of two that are concurrent"
    );
    // If the one that counts is not believed the other one counts.
    say(bob, Verdict::Exclude, first.min(second));
    assert_eq!(balance(bob, &b), 40);
    say(bob, Verdict::Exclude, first.max(second));
    assert_eq!(balance(bob, &b), 0);
    // Here the retry is known, and nothing is signed.
    let house = ledger(ann);
    let amount = BigInt::from(40);
    let made = ann.with(|replica, env| replica.ledger_made(house, "rent of May", (a, b), &amount, env));
    assert!(made == Ok(Some(first)) || made == Ok(Some(second)));
    let other = BigInt::from(41);
    let made = ann.with(|replica, env| replica.ledger_made(house, "rent of May", (a, b), &other, env));
    assert_eq!(made, Err(EditFault::Command));
    let made = ann.with(|replica, env| replica.ledger_made(house, "rent of June", (a, b), &other, env));
    assert_eq!(made, Ok(None));
}

/// It becomes several changesets, which are one transaction all the same.
#[test]
fn a_large_transaction_for_a_command_counts_whole_and_once() {
    let mut nodes: [Node; 2] = people();
    let (a, b) = (own(&nodes[0]), own(&nodes[1]));
    let mut twin = Node::create(77);
    twin.disk = nodes[0].disk.clone();
    let mut twin = twin.reopen_keeping_actor(false);
    let payroll = |node: &mut Node| {
        let house = ledger(node);
        let before = node.replica.stats().changesets;
        node.with(|replica, env| {
            replica.begin_transact(None, None, Some("payroll".to_owned()), env).expect("small");
            for nth in 0..200 {
                let memo = Some(Value::String("x".repeat(4_000 + nth as usize)));
                replica
                    .ledger_transfer(house, (a, b), &BigInt::from(1 + nth), memo, env)
                    .expect("it can be paid");
            }
            replica.end_transact(env).expect("it was edited");
        });
        assert!(node.replica.stats().changesets > before + 2, "several changesets");
    };
    payroll(&mut nodes[0]);
    payroll(&mut twin);
    assert_eq!(balance(&mut nodes[0], &b), 200 * 201 / 2);
    sync(&mut nodes[0], &mut twin);
    meet(&mut nodes);
    for node in &mut nodes {
        assert_eq!(balance(node, &b), 200 * 201 / 2);
        assert_eq!(
            standings(node).iter().filter(|of| **of == EntryStanding::Flawed(Flaw::Twice)).count(),
            200
        );
    }
    let [ann, _] = nodes;
    let mut ann = ann.reopen();
    assert_eq!(balance(&mut ann, &b), 200 * 201 / 2);
}

#[test]
fn a_reversal_an_exclusion_and_an_undo_are_told_apart() {
    let mut nodes: [Node; 2] = people();
    let (a, b) = (own(&nodes[0]), own(&nodes[1]));
    let paid = [10, 20, 40].map(|amount| pay(&mut nodes[0], a, b, amount, None));
    meet(&mut nodes);
    let [ann, bob] = &mut nodes;
    let house = ledger(bob);
    let reverse = |node: &mut Node, entry| {
        node.with(|replica, env| replica.ledger_reverse(house, whole(entry), None, env))
    };
    assert_eq!(reverse(ann, paid[0]), Err(EditFault::Owner), "it is not hers to give back");
    reverse(bob, paid[0]).expect("it was paid to him");
    let back = bob.with(|replica, env| replica.flush(env)).expect("a write");
    assert_eq!(reverse(bob, paid[0]), Err(EditFault::Returned), "once");
    assert_eq!(reverse(bob, back), Err(EditFault::Returned), "a reversal is not reversed");
    say(bob, Verdict::Exclude, paid[1]);
    assert!(ann.with(|replica, env| replica.undo(&[], env)), "the last one");
    meet(&mut nodes);
    let [ann, bob] = &mut nodes;
    assert_eq!((balance(ann, &b), balance(bob, &b)), (20, 0));
    let listed: Vec<_> = entries(bob)
        .into_iter()
        .map(|entry| (entry.by.standing, entry.reversed.is_some(), entry.reverses.is_some()))
        .collect();
    let (counts, hidden, undone) = (EntryStanding::Counts, EntryStanding::Hidden, EntryStanding::Undone);
    assert_eq!(
        listed,
        [(counts, true, false), (hidden, false, false), (undone, false, false), (counts, false, true)]
    );
    let all = entries(bob);
    assert_eq!(all[1].support, [bob.replica.member()]);
    assert_eq!((all[3].from, all[3].to, all[3].amount.to_i128()), (b, a, Some(10)));
    // What gives back counts while the payment does.
    say(bob, Verdict::Exclude, paid[0]);
    assert_eq!(balance(bob, &b), 0);
    assert_eq!(standings(bob)[3], EntryStanding::Flawed(Flaw::Void));
    bob.replica.dbg_check();
}

#[test]
fn debts_name_what_was_not_covered_until_it_is() {
    let mut nodes: [Node; 3] = people();
    let [a, b, c] = [0, 1, 2].map(|at| own(&nodes[at]));
    let income = pay(&mut nodes[2], c, a, 50, None);
    meet(&mut nodes);
    nodes[0].now_ms += 1_000;
    let large = pay(&mut nodes[0], a, b, 40, None);
    let small = pay(&mut nodes[0], a, b, 30, None);
    meet(&mut nodes);
    let house = ledger(&mut nodes[0]);
    let debt = |node: &mut Node, of: AccountId| {
        node.replica.ledger_debts(house).into_iter().find(|debt| debt.account == of).map(|debt| {
            let causes = debt.causes.iter().map(|((id, _), left)| (id.expect("sealed"), *left));
            (debt.amount, causes.collect::<Vec<_>>())
        })
    };
    assert_eq!(debt(&mut nodes[0], a), Some((20, vec![(small, 20)])));
    // What she was paid is not believed any more: the money was spent, and is owed.
    say(&mut nodes[0], Verdict::Exclude, income);
    assert_eq!(debt(&mut nodes[0], a), Some((70, vec![(large, 40), (small, 30)])));
    assert_eq!(debt(&mut nodes[0], c), None);
    nodes[1].now_ms += 2_000;
    pay(&mut nodes[1], b, a, 55, None);
    meet(&mut nodes);
    assert_eq!(debt(&mut nodes[0], a), Some((15, vec![(small, 15)])));
    assert_eq!(debt(&mut nodes[1], a), None);
}

#[test]
fn a_credit_limit_is_kept_by_whoever_pays_and_shown_where_people_were_apart() {
    let mut nodes: [Node; 2] = people();
    let (a, b) = (own(&nodes[0]), own(&nodes[1]));
    let bank = nodes[1].replica.member();
    let options = Options { issuers: vec![bank], credit: Some(20), ..Options::default() };
    let houses = [0, 1].map(|at| ledger_with(&mut nodes[at], &options));
    let pay = |node: &mut Node, house, from, to, amount: i128| {
        node.with(|replica, env| {
            let paid = replica.ledger_transfer(house, (from, to), &BigInt::from(amount), None, env);
            replica.flush(env);
            paid
        })
    };
    assert_eq!(pay(&mut nodes[1], houses[1], b, a, 1_000), Ok(()));
    meet(&mut nodes);
    let mut twin = Node::create(77);
    twin.disk = nodes[0].disk.clone();
    let mut twin = twin.reopen_keeping_actor(false);
    let twins = ledger_with(&mut twin, &options);
    assert_eq!(pay(&mut nodes[0], houses[0], a, b, 1_021), Err(EditFault::Credit));
    assert_eq!(pay(&mut nodes[0], houses[0], a, b, 1_020), Ok(()));
    assert_eq!(pay(&mut nodes[0], houses[0], a, b, 1), Err(EditFault::Credit));
    assert_eq!(pay(&mut twin, twins, a, b, 5), Ok(()));
    sync(&mut nodes[0], &mut twin);
    let debts = nodes[0].replica.ledger_debts(houses[0]);
    assert_eq!((debts.len(), debts[0].amount, debts[0].over), (1, 25, 5));
    meet(&mut nodes);
    assert_same(&nodes[0], &nodes[1]);
    assert!(nodes[1].replica.ledger_accounts(houses[1]).iter().any(|of| of.balance == 25));
}

#[test]
fn an_asset_goes_from_owner_to_owner_and_rivals_are_readable() {
    let mut nodes: [Node; 3] = people();
    let [a, b, c] = [0, 1, 2].map(|at| own(&nodes[at]));
    let assign = |node: &mut Node, to| {
        let house = ledger(node);
        node.with(|replica, env| {
            let said = replica.ledger_assign(house, "boat", to, env);
            replica.flush(env);
            said
        })
    };
    assert_eq!(assign(&mut nodes[0], b), Ok(()));
    meet(&mut nodes);
    assert_eq!(assign(&mut nodes[0], c), Err(EditFault::Owner));
    // He gives it to two, on two devices.
    let mut twin = Node::create(77);
    twin.disk = nodes[1].disk.clone();
    let mut twin = twin.reopen_keeping_actor(false);
    assert_eq!(assign(&mut nodes[1], a), Ok(()));
    assert_eq!(assign(&mut twin, c), Ok(()));
    sync(&mut nodes[1], &mut twin);
    meet(&mut nodes);
    let house = ledger(&mut nodes[0]);
    let claims = nodes[0].replica.ledger_assignments(house, "boat");
    let links: Vec<_> = claims.iter().filter(|claim| claim.is_link).map(|claim| claim.to).collect();
    assert_eq!((claims.len(), links.len(), links[0]), (3, 2, b));
    assert_eq!(nodes[0].replica.ledger_holder(house, "boat"), Some(links[1]));
    assert_same(&nodes[0], &nodes[2]);
    assert_eq!(nodes[0].replica.ledger_assets(house), [("boat".to_owned(), links[1])]);
    let holder = if links[1] == a { 0 } else { 2 };
    assert_eq!(assign(&mut nodes[2 - holder], b), Err(EditFault::Owner));
    assert_eq!(assign(&mut nodes[holder], b), Ok(()));
    assert_eq!(nodes[holder].replica.ledger_holder(house, "boat"), Some(b));
}

#[test]
fn everything_is_there_again_after_a_restart_and_at_any_view() {
    let mut nodes: [Node; 2] = people();
    let (a, b) = (own(&nodes[0]), own(&nodes[1]));
    let pot = open(&mut nodes[0], "pot");
    let first = pay(&mut nodes[0], a, pot, 70, None);
    let house = ledger(&mut nodes[0]);
    let then = nodes[0].with(|replica, env| replica.flush(env)).expect("a write");
    pay(&mut nodes[0], pot, b, 20, None);
    let ann = &mut nodes[0];
    ann.with(|replica, env| {
        replica.ledger_dispute(house, whole(first), Value::from("too much"), env).expect("an entry");
        replica.flush(env);
    });
    say(ann, Verdict::Exclude, first);
    let read = |node: &mut Node| {
        let house = ledger(node);
        let replica = &node.replica;
        (
            replica.ledger_accounts(house),
            replica.ledger_entries(house, None, 99),
            replica.ledger_debts(house),
            replica.state_hash(),
        )
    };
    let before = read(ann);
    assert_eq!(before.1[0].disputes[0].memo, Some(Value::from("too much")));
    assert!(ann.snapshot());
    let [ann, _] = nodes;
    let mut ann = ann.reopen();
    assert_eq!(read(&mut ann), before);
    ann.disk.snapshot.clear();
    let mut ann = ann.reopen();
    assert_eq!(read(&mut ann), before);
    ann.with(|replica, env| {
        let filter =
            stemma::replica::ViewFilter { when: stemma::replica::When::Past(then), ..Default::default() };
        let view = replica.view(&filter, env).expect("it is here");
        let copy = replica.object_in(view, house).expect("it is open");
        assert_eq!(replica.ledger_balance(copy, &pot), 0, "it is excluded today");
        assert_eq!(replica.ledger_entries(copy, None, 99)[0].by.standing, EntryStanding::Hidden);
        let include = vec![whole(first)];
        let filter = stemma::replica::ViewFilter { include, ..filter };
        let with = replica.view(&filter, env).expect("it is here");
        let copy = replica.object_in(with, house).expect("it is open");
        assert_eq!((replica.ledger_balance(copy, &pot), replica.ledger_balance(copy, &a)), (70, -70));
        assert_eq!(
            replica.ledger_transfer(copy, (a, b), &BigInt::from(1), None, env),
            Err(EditFault::ReadOnly)
        );
        // Restoring leaves what was paid.
        let now = replica.state_hash();
        replica.begin_transact(None, None, None, env).expect("small");
        replica.restore(with, None, None, env).expect("nothing is in the way");
        replica.end_transact(env);
        assert_eq!(replica.state_hash(), now);
    });
}

/// What an attacker signs into the ledger.
fn forged(world: &World, names: Vec<NameId>, ops: Vec<Op>) -> (Skeleton, Content) {
    let takes = |op: &&Op| op.content() != OpContent::Nothing;
    let values = ops.iter().filter(takes).map(|_| Value::from("forged")).collect();
    let skeleton = Skeleton {
        hlc: Hlc { ms: 5, counter: 0 },
        objects: vec![(world.attacker.object(ObjectKind::Ledger, "house"), ObjectKind::Ledger)],
        names,
        ops,
        ..Skeleton::default()
    };
    (skeleton, Content { values, ..Content::default() })
}

#[test]
fn what_others_sign_for_me_is_shown_and_does_nothing() {
    let mut world = World::new();
    let a = own(&world.a);
    let pot = open(&mut world.a, "pot");
    let house = ledger(&mut world.a);
    world.a.with(|replica, env| replica.ledger_assign(house, "boat", a, env)).expect("it is new");
    world.a.with(|replica, env| replica.flush(env));
    sync(&mut world.a, &mut world.b);
    let names = world.attacker.invite.keys().names();
    let names =
        vec![name_id(names, Sort::Account, b"pot"), name_id(names, Sort::Asset, b"boat"), NameId([9; 16])];
    let mine = Account::Member(MemberId(SigningKey::from_seed(&[0xa1; 32]).public()));
    let (object, victim) = (ObjectAt(0), Account::Member(world.a.replica.member()));
    let transfer =
        |from, to, amount: i128| Op::LedgerTransfer { object, from, to, amount: BigInt::from(amount) };
    let ops = vec![
        transfer(victim, mine, 1_000),
        transfer(Account::Named(NameAt(0)), mine, 1_000),
        transfer(mine, Account::Named(NameAt(2)), 1_000),
        Op::LedgerTransfer {
            object,
            from: mine,
            to: victim,
            amount: BigInt::new(false, &[0xff; 1_024]).expect("it fits"),
        },
        Op::LedgerOpen { object, account: NameAt(0) },
        Op::LedgerAssign { object, asset: NameAt(1), to: mine },
        Op::LedgerReverse { object, changeset: ChangesetAt(0), op: 2 },
        Op::LedgerReverse { object, changeset: ChangesetAt(0), op: 4 },
        Op::LedgerDispute { object, changeset: ChangesetAt(0), op: 5 },
        Op::LedgerDispute { object, changeset: ChangesetAt(0), op: 0 },
        transfer(mine, mine, 7),
    ];
    let heads = world.a.replica.heads();
    let body = forged(&world, names, ops);
    let mut lane = world.attacker.lane(1);
    let said = world.attacker.next(&mut lane, &heads, &body);
    let mut world = world.agree(&[encoded(&said)]);
    assert_eq!(world.fate(said.id()), Some(Fate::Integrated));
    assert_eq!((balance(&mut world.a, &a), balance(&mut world.a, &pot)), (0, 0));
    let standings = standings(&mut world.a);
    use EntryStanding::{Counts, Flawed};
    let expected = [
        Flawed(Flaw::Owner),
        Flawed(Flaw::Owner),
        Flawed(Flaw::Closed),
        Flawed(Flaw::Large),
        Flawed(Flaw::Void),
        Counts,
    ];
    assert_eq!(standings, expected);
    assert_eq!(world.a.replica.ledger_owner(house, &pot), Some(world.a.replica.member()));
    assert_eq!(world.a.replica.ledger_holder(house, "boat"), Some(a));
    let entry = &entries(&mut world.a)[3];
    assert_eq!(entry.amount.magnitude().len(), 1_024);
    assert_eq!(entries(&mut world.a)[0].disputes.len(), 1);
}

#[test]
fn what_names_no_op_is_inert() {
    let world = World::new();
    let object = ObjectAt(0);
    let wrong = [
        Op::LedgerDispute { object, changeset: ChangesetAt(0), op: 0 },
        Op::LedgerReverse { object, changeset: ChangesetAt(0), op: 1 },
        Op::LedgerDispute { object, changeset: ChangesetAt(1), op: 1 },
        Op::LedgerReverse { object, changeset: ChangesetAt(1), op: u32::from(u16::MAX) },
    ];
    let rows = wrong.into_iter().enumerate().map(|(n, op)| {
        let (mut skeleton, content) = forged(&world, Vec::new(), vec![op]);
        skeleton.refs = vec![stemma::event::ChangesetRef::Id(world.first)];
        world.attacker.next(&mut world.attacker.lane(n as u8 + 1), &[world.first], &(skeleton, content))
    });
    let rows: Vec<_> = rows.collect();
    // One that names an op of another object does nothing.
    let other = Op::LedgerReverse { object, changeset: ChangesetAt(1), op: 0 };
    let (mut skeleton, content) = forged(&world, Vec::new(), vec![other]);
    skeleton.refs = vec![stemma::event::ChangesetRef::Id(world.first)];
    let vain = world.attacker.next(&mut world.attacker.lane(9), &[world.first], &(skeleton, content));
    let all: Vec<_> = rows.iter().chain([&vain]).map(encoded).collect();
    let world = world.agree(&all);
    for row in &rows {
        assert_eq!(world.fate(row.id()), Some(Fate::Inert));
    }
    assert_eq!(world.fate(vain.id()), Some(Fate::Integrated));
}

#[test]
fn a_ledger_is_under_no_key() {
    let world = World::new();
    let child = Op::MapChild {
        object: ObjectAt(0),
        key: NameAt(0),
        kind: ObjectKind::Ledger,
        options: NO_OPTIONS.to_vec(),
    };
    let (mut skeleton, content) = world.attacker.set("books", "", 5);
    skeleton.ops = vec![child];
    let said = world.attacker.next(
        &mut world.attacker.lane(1),
        &[],
        &(skeleton, Content { values: Vec::new(), ..content }),
    );
    let mut world = world.agree(&[encoded(&said)]);
    let facts = world.a.replica.object("facts", ObjectKind::Map).expect("a map");
    assert!(!world.a.replica.map_has(facts, "books") && world.a.replica.map_shown(facts, "books").is_none());
    let books = world.a.replica.map_child(facts, "books", ObjectKind::Ledger, &Options::default());
    assert_eq!(books, Err(EditFault::Unsupported));
    let fields = Options { fields: vec![("books".into(), ObjectKind::Ledger)], ..Options::default() };
    assert_eq!(world.a.replica.object_with("m", ObjectKind::Map, &fields), Err(EditFault::Options));
}
