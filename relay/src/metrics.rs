//! Figures for operators, in the text form of Prometheus. No space, member or address is in them.
//!
//! Everything is counted where it happens; without [`install`] counting costs next to nothing.

use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use stemma::sync::{Resync, Verdict};
use tokio::net::TcpListener;

/// Upper bounds in seconds: of what should take milliseconds.
const SECONDS: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3, 1.0, 5.0];

/// Upper bounds of rows in one commit.
const ROWS: [f64; 7] = [1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0];

/// How often figures are made ready although nobody reads them, so that they do not gather.
const UPKEEP: Duration = Duration::from_secs(10);

/// Begins to count, once a process.
///
/// # Errors
/// If something in this process counts already.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let seconds = Matcher::Suffix("_seconds".into());
    let rows = Matcher::Suffix("_rows".into());
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(seconds, &SECONDS)?
        .set_buckets_for_metric(rows, &ROWS)?
        .install_recorder()?;
    describe_gauge!("relay_connections", "WebSockets that are open");
    describe_gauge!("relay_resident_bytes", "memory of this process");
    describe_counter!("relay_refused_total", "upgrades that were refused, by reason");
    describe_counter!("relay_rows_total", "rows that were pushed, by what became of them");
    describe_counter!("relay_appended_bytes_total", "bytes of rows that are new in a log");
    describe_counter!(
        "relay_delivered_rows_total",
        "rows that were sent to subscribers, by where they were read"
    );
    describe_counter!("relay_delivered_bytes_total", "bytes of these");
    describe_counter!("relay_resync_total", "subscribers whose position is no place in the log, by reason");
    describe_counter!("relay_ephemeral_total", "EPHEMERAL frames that were passed on, or were too many");
    describe_counter!("relay_store_failures_total", "commits and reads that failed");
    describe_histogram!("relay_commit_seconds", "one commit, until it is durable");
    describe_histogram!("relay_commit_rows", "rows in one commit");
    describe_histogram!("relay_ack_seconds", "from a push that was read to its ACK");
    describe_histogram!(
        "relay_delivery_seconds",
        "from a commit to the socket of a subscriber, of rows that were not read from the store"
    );
    Ok(handle)
}

/// Answers `GET /metrics` on a port of its own, which is not for everybody, as long as the process runs.
///
/// # Errors
/// If the socket fails.
pub async fn serve(listener: TcpListener, handle: PrometheusHandle) -> std::io::Result<()> {
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    let render = move || async move {
        if let Some(bytes) = resident() {
            gauge!("relay_resident_bytes").set(bytes as f64);
        }
        handle.render()
    };
    axum::serve(listener, Router::new().route("/metrics", get(render))).await
}

/// A connection that is open, until this is dropped.
pub(crate) struct Open;

impl Open {
    pub(crate) fn begin() -> Self {
        gauge!("relay_connections").increment(1);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        gauge!("relay_connections").decrement(1);
    }
}

pub(crate) fn refused(reason: &'static str) {
    counter!("relay_refused_total", "reason" => reason).increment(1);
}

pub(crate) fn committed(rows: usize, begun: Instant) {
    histogram!("relay_commit_seconds").record(begun.elapsed());
    histogram!("relay_commit_rows").record(rows as f64);
}

pub(crate) fn acked(results: &[Verdict], begun: Instant) {
    for verdict in results {
        let fate = match verdict {
            Verdict::Accepted { .. } => "accepted",
            Verdict::Dup { .. } => "dup",
            Verdict::Gap { .. } => "gap",
            Verdict::Forked { .. } => "forked",
            Verdict::Rejected(code) => code.name(),
        };
        counter!("relay_rows_total", "fate" => fate).increment(1);
    }
    histogram!("relay_ack_seconds").record(begun.elapsed());
}

pub(crate) fn appended(bytes: usize) {
    counter!("relay_appended_bytes_total").increment(bytes as u64);
}

pub(crate) fn delivered(rows: usize, bytes: usize, from: &'static str) {
    counter!("relay_delivered_rows_total", "from" => from).increment(rows as u64);
    counter!("relay_delivered_bytes_total").increment(bytes as u64);
}

pub(crate) fn written(committed: Instant) {
    histogram!("relay_delivery_seconds").record(committed.elapsed());
}

pub(crate) fn resync(reason: Resync) {
    let reason = match reason {
        Resync::LogId => "log_id",
        Resync::FutureCursor => "future_cursor",
        Resync::Chain => "chain",
    };
    counter!("relay_resync_total", "reason" => reason).increment(1);
}

pub(crate) fn said(passed: bool) {
    counter!("relay_ephemeral_total", "fate" => if passed { "passed" } else { "dropped" }).increment(1);
}

pub(crate) fn snapshot(event: &'static str) {
    counter!("relay_snapshots_total", "event" => event).increment(1);
}

pub(crate) fn store_failed() {
    counter!("relay_store_failures_total").increment(1);
}

/// Of this process, where the system tells it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1_024)
}
