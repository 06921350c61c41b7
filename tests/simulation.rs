//! The simulation of sync: a thousand seeds that hold every rule, the same seed twice, and each rule broken on purpose.
//!
//! A seed that fails is run again with fewer and fewer faults; what is left is printed. `npm run simulate` runs more of them:
//! `SEEDS` and `FROM` say which, `FAULTS` names the kinds that may come, `KEEP` the numbers of those that do, and with `TRACE`
//! every event is printed.

#[path = "simulation/mod.rs"]
mod simulation;

use simulation::invariant::{Invariant, Sabotage, Violation};
use simulation::log::Model;
use simulation::plan::{KINDS, Kind, Plan};
use simulation::{Outcome, run};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn a_thousand_seeds_hold_every_rule() {
    let from = number("FROM").unwrap_or(1);
    let end = from + number("SEEDS").unwrap_or(1_000);
    let (next, kinds, broken) = (AtomicU64::new(from), kinds(), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                break;
            }
            let plan = kept(Plan::new(seed, &kinds));
            let outcome = attempt(&plan, Sabotage::None);
            if seed % 25 == 0 {
                assert_eq!(attempt(&plan, Sabotage::None).hash, outcome.hash, "seed {seed} has two traces");
            }
            if let Some(violation) = outcome.violation {
                broken.lock().expect("nobody panics with it").push(report(&plan, &violation));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let broken = broken.into_inner().expect("nobody panicked with it");
    println!("{} seeds from {from}: {} failed", end - from, broken.len());
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// The lines are read by `scripts/test.mjs`, which has the same seeds run in a browser.
#[test]
fn one_seed_is_one_trace() {
    for seed in simulation::COMPARED {
        let plan = Plan::new(seed, &[]);
        let outcomes = [false, true].map(|lines| run(&plan, &Model::default(), Sabotage::None, lines));
        assert_eq!(outcomes[0].hash, outcomes[1].hash);
        assert!(outcomes[0].events > 100, "seed {seed} is hardly a life");
        println!("trace {seed} {}", outcomes[0].hash);
    }
    let other =
        run(&Plan::new(simulation::COMPARED[0], &[]).keeping(&[]), &Model::default(), Sabotage::None, false);
    let same = run(&Plan::new(simulation::COMPARED[0], &[]), &Model::default(), Sabotage::None, false);
    assert_ne!(other.hash, same.hash, "faults leave traces");
}

#[test]
fn every_rule_can_be_broken() {
    let ways = [
        (Sabotage::RelayForgets, Invariant::AckedStays, None),
        (Sabotage::ShowsElse, Invariant::SameForAll, None),
        (Sabotage::ToldTwice, Invariant::OrderAndOnce, None),
        (Sabotage::RelaySkips, Invariant::CursorsAndChain, None),
        (Sabotage::NoLocks, Invariant::OneForANumber, None),
        (Sabotage::IgnoresWindow, Invariant::QueuesBounded, None),
        (Sabotage::SendsInClear, Invariant::NothingInClear, None),
        (Sabotage::PassesSpoilt, Invariant::NothingSpoiltPassedOn, None),
        (Sabotage::TakesAnything, Invariant::NothingWithoutRight, None),
        (Sabotage::Chatters, Invariant::Silence, None),
        (Sabotage::QuotaStopsReads, Invariant::RefusalNeverStopsReads, None),
        (Sabotage::DiskForgets, Invariant::SavedStays, None),
        (Sabotage::KeepsDrafts, Invariant::DraftsTakenUp, None),
        (Sabotage::Deaf, Invariant::Heals, None),
        (Sabotage::ThawsDeaf, Invariant::Heals, Some(Kind::Freeze)),
        (Sabotage::NobodyTakesOver, Invariant::OthersGoOn, Some(Kind::Freeze)),
        (Sabotage::ForgetsQuarantine, Invariant::QuarantineHolds, Some(Kind::Trap)),
        (Sabotage::LetsAnybodyIn, Invariant::NothingWithoutRight, Some(Kind::LateGuest)),
    ];
    for (sabotage, invariant, by) in ways {
        let strikes = |plan: &Plan| by.is_none_or(|kind| plan.faults.iter().any(|fault| fault.kind == kind));
        let only: Vec<Kind> = by.into_iter().collect();
        let breaks = |plan: Plan| {
            let violation = attempt(&plan, sabotage).violation;
            violation.is_some_and(|violation| violation.invariant == invariant)
        };
        let mut plans = (1..).map(|seed| Plan::new(seed, &only)).filter(strikes).take(200);
        assert!(plans.any(breaks), "{sabotage:?} never breaks {invariant:?}");
    }
}

#[test]
fn a_failure_is_shrunk_to_the_faults_that_it_takes() {
    let is_full = |plan: &Plan| plan.faults.iter().any(|fault| fault.kind == Kind::RelayFull);
    let fails = |plan: &Plan| {
        let violation = attempt(plan, Sabotage::QuotaStopsReads).violation;
        violation.is_some_and(|violation| violation.invariant == Invariant::RefusalNeverStopsReads)
    };
    let plans =
        (1..=200).map(|seed| Plan::new(seed, &[])).filter(|plan| is_full(plan) && plan.faults.len() > 3);
    let plan = plans.into_iter().find(fails).expect("one of them");
    let kept = shrink(&plan, fails);
    assert_eq!(kept.len(), 1, "one fault is enough");
    assert_eq!(plan.faults[kept[0]].kind, Kind::RelayFull);
    let left_out: Vec<usize> = (0..plan.faults.len()).filter(|at| !kept.contains(at)).collect();
    assert!(!fails(&plan.keeping(&left_out)), "without it nothing fails");
}

/// A run; a panic counts as what it is.
fn attempt(plan: &Plan, sabotage: Sabotage) -> Outcome {
    let lines = std::env::var_os("TRACE").is_some();
    let ran = catch_unwind(AssertUnwindSafe(|| run(plan, &Model::default(), sabotage, lines)));
    let outcome = ran.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let violation = Violation { invariant: Invariant::NoPanic, text: text.unwrap_or_default() };
        Outcome { hash: String::new(), events: 0, violation: Some(violation), lines: Vec::new() }
    });
    outcome.lines.iter().for_each(|line| println!("{line}"));
    outcome
}

/// What failed, with the fewest faults that it takes, and how to see it again.
fn report(plan: &Plan, violation: &Violation) -> String {
    let same = |plan: &Plan| {
        let found = attempt(plan, Sabotage::None).violation;
        found.is_some_and(|found| found.invariant == violation.invariant)
    };
    let kept = if std::env::var_os("TRACE").is_some() { Vec::new() } else { shrink(plan, same) };
    let mut text = format!("seed {} breaks {:?}: {}\n", plan.seed, violation.invariant, violation.text);
    text.push_str(&format!("{:?}\n", plan.setup));
    for at in &kept {
        text.push_str(&format!("  {at}: {:?}\n", plan.faults[*at]));
    }
    let numbers: Vec<String> = kept.iter().map(usize::to_string).collect();
    let keep = if kept.is_empty() { "none".to_owned() } else { numbers.join(",") };
    text + &format!("again: npm run simulate -- --from {} --seeds 1 --keep {keep} --trace\n", plan.seed)
}

/// The numbers of faults without any of which it would not fail. Whole halves are left out first.
fn shrink(plan: &Plan, fails: impl Fn(&Plan) -> bool) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..plan.faults.len()).collect();
    let mut size = kept.len().div_ceil(2);
    while size > 0 {
        let mut at = 0;
        while at < kept.len() {
            let mut fewer = kept.clone();
            fewer.drain(at..(at + size).min(kept.len()));
            match fails(&plan.keeping(&fewer)) {
                true => kept = fewer,
                false => at += size,
            }
        }
        size /= 2;
    }
    kept
}

/// The plan with the faults that `KEEP` names, if it does.
fn kept(plan: Plan) -> Plan {
    let Ok(keep) = std::env::var("KEEP") else { return plan };
    let numbers: Vec<usize> = keep.split(',').filter_map(|number| number.parse().ok()).collect();
    plan.keeping(&numbers)
}

/// The kinds that `FAULTS` names; all if it does not.
fn kinds() -> Vec<Kind> {
    let Ok(names) = std::env::var("FAULTS") else { return Vec::new() };
    let kind = |name: &str| KINDS.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind);
    let all: Vec<&str> = KINDS.iter().map(|(_, name)| *name).collect();
    names
        .split(',')
        .map(|name| kind(name).unwrap_or_else(|| panic!("no fault {name}: there are {}", all.join(", "))))
        .collect()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}
