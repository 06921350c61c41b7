//! A deterministic simulation of sync: real replicas in tabs on devices, relays, and the network between them, on one thread and
//! one clock, from one seed (`docs/protocol.md`). The same seed gives the same trace, natively and in WebAssembly.
//!
//! What is real: the replica with everything below it, ciphers included. What is modelled: what `ts/` does around the engine
//! (`tab`, `opening`, and `turn` for tabs together), IndexedDB (`disk`), sockets (`link`), and the relay (`relay` over `log`). Each rule of `invariant` is watched all the
//! time or looked at in the end, when every fault is over (`quiet`).
#![allow(dead_code, reason = "each test binary uses its part")]

pub mod device;
pub mod disk;
pub mod faults;
pub mod intruder;
pub mod invariant;
pub mod link;
pub mod log;
pub mod mirror;
pub mod opening;
pub mod plan;
pub mod quiet;
pub mod relay;
#[path = "../reference/rng.rs"]
pub mod rng;
pub mod schedule;
pub mod tab;
pub mod trace;
pub mod turn;
pub mod workload;
pub mod world;

use invariant::{Sabotage, Violation};
use log::Logs;
use plan::Plan;
use world::World;

/// Seeds whose traces are compared between machines.
pub const COMPARED: [u64; 6] = [2, 3, 14, 40, 63, 133];

/// What came of a run.
pub struct Outcome {
    pub hash: String,
    pub events: u64,
    pub violation: Option<Violation>,
    pub lines: Vec<String>,
}

/// Runs a plan over relays that keep their logs in this way.
pub fn run(plan: &Plan, logs: &dyn Logs, sabotage: Sabotage, keep_lines: bool) -> Outcome {
    let mut world = World::new(plan.clone(), logs, sabotage, keep_lines);
    world.live();
    let World { trace, violation, .. } = world;
    Outcome { hash: trace.hash(), events: trace.events, violation, lines: trace.into_lines() }
}
