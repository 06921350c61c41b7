//! What was measured, as lines for people and as JSON; and what Linux says of processes.

use std::path::Path;
use std::time::Duration;

/// One line of the table.
#[derive(Clone, Debug)]
struct Figure {
    load: &'static str,
    measure: String,
    value: f64,
    unit: &'static str,
}

/// What was measured.
#[derive(Default)]
pub struct Table(Vec<Figure>);

impl Table {
    pub fn add(&mut self, load: &'static str, measure: impl Into<String>, value: f64, unit: &'static str) {
        let measure = measure.into();
        println!("{load:<34}{measure:<44}{value:>12.2} {unit}");
        self.0.push(Figure { load, measure, value, unit });
    }

    pub fn quantiles(&mut self, load: &'static str, what: &str, mut all: Vec<Duration>) {
        all.sort_unstable();
        for (name, part) in [("p50", 50), ("p99", 99), ("max", 100)] {
            let at = (all.len() * part / 100).min(all.len() - 1);
            self.add(load, format!("{what}, {name}"), all[at].as_secs_f64() * 1e3, "ms");
        }
    }

    pub fn write(&self, path: &Path) {
        let rows = self.0.iter().map(|Figure { load, measure, value, unit }| {
            format!("    {{ \"load\": \"{load}\", \"measure\": \"{measure}\", \"value\": {value:.4}, \"unit\": \"{unit}\" }}")
        });
        let rows: Vec<String> = rows.collect();
        let json = format!("{{\n  \"rows\": [\n{}\n  ]\n}}\n", rows.join(",\n"));
        std::fs::write(path, json).expect("the folder is there");
    }
}

/// Seconds of processor time of a process so far.
pub fn cpu_of(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("a name").split_whitespace().collect();
    let ticks: f64 = [11, 12].iter().map(|at| fields[*at].parse::<f64>().expect("a number")).sum();
    ticks / 100.0
}

/// Memory of a process.
pub fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") * 1_024.0
}

/// Processor time of the whole machine from now on.
pub struct Machine(f64);

impl Machine {
    pub fn now() -> Self {
        Self(Self::total())
    }

    /// Seconds in which a core was not idle.
    pub fn busy(&self) -> f64 {
        Self::total() - self.0
    }

    fn total() -> f64 {
        let stat = std::fs::read_to_string("/proc/stat").expect("Linux tells it");
        let of_all = stat.lines().next().expect("a line").split_whitespace().skip(1);
        let ticks: Vec<f64> = of_all.map(|ticks| ticks.parse().expect("a number")).collect();
        // Without idle and the wait for disks; what guests take stands in the first columns too.
        [0, 1, 2, 5, 6, 7].iter().map(|at| ticks[*at]).sum::<f64>() / 100.0
    }
}
