//! The command line of the relay.
#![forbid(unsafe_code)]

mod operate;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum};
use operate::{Command, Place};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use stemma_relay::tls::{RENEWAL, TlsFiles, TlsListener};
use stemma_relay::{Create, RelayConfig, ServeError, metrics, serve};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;
use tracing::warn;
use tracing_subscriber::EnvFilter;

/// Stores and forwards the changesets of Stemma spaces, which it cannot read.
#[derive(Debug, Parser)]
#[command(name = "stemma-relay", version)]
struct Arguments {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:8787")]
    listen: SocketAddr,
    /// PEM file of a certificate and those that lead to its issuer: serves `wss://`. Read again when it has changed
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file of its private key
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Option<Command>,
    /// Address for `/metrics`, in the form of Prometheus; port 0 takes a free one
    #[arg(long)]
    metrics: Option<SocketAddr>,
    /// Who may make spaces here
    #[arg(long, value_enum, default_value_t = Policy::Open)]
    create: Policy,
    /// What clients show where `--create token`
    #[arg(long, env = "STEMMA_CREATE_TOKEN", hide_env_values = true, required_if_eq("create", "token"))]
    create_token: Option<String>,
    /// Bytes of changesets that a space may have
    #[arg(long, default_value_t = RelayConfig::default().quota_bytes)]
    quota_bytes: u64,
    /// Changesets a second that a connection may push in the long run
    #[arg(long, default_value_t = RelayConfig::default().rows_per_second)]
    rows_per_second: u32,
    /// Changesets that a connection may push at once
    #[arg(long, default_value_t = RelayConfig::default().rows_burst)]
    rows_burst: u32,
    /// Logins a second that are answered
    #[arg(long, default_value_t = RelayConfig::default().handshakes_per_second)]
    handshakes_per_second: u32,
    /// Connections at a time
    #[arg(long, default_value_t = RelayConfig::default().connections_max)]
    connections_max: usize,
    /// Seconds between SIGTERM and the end, at most
    #[arg(long, default_value_t = RelayConfig::default().drain_timeout.as_secs())]
    drain_seconds: u64,
    /// Form of the log, on stderr; `RUST_LOG` sets its detail
    #[arg(long, value_enum, default_value_t = LogForm::Plain)]
    log: LogForm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Policy {
    /// Everybody
    Open,
    /// Those who show the token
    Token,
    /// Nobody: the spaces that are there go on
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogForm {
    /// Lines for people
    Plain,
    /// One JSON object a line
    Json,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Err(words) = arguments.place.check() {
        Arguments::command().error(ErrorKind::ArgumentConflict, words).exit();
    }
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match arguments.log {
        LogForm::Plain => log.with_ansi(false).init(),
        LogForm::Json => log.json().init(),
    }
    let result = match arguments.command.clone() {
        None => run(arguments).await.map(|()| true).map_err(|error| error.to_string()),
        Some(command) => {
            let work = spawn_blocking(move || operate::run(command, &arguments.place));
            work.await
                .map_err(|error| error.to_string())
                .and_then(|result| result.map_err(|error| error.to_string()))
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("stemma-relay: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A connection is a descriptor, and what a shell allows is less than the system does.
fn raise_descriptors() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        warn!(%error, "the limit of descriptors cannot be raised");
    }
}

async fn run(arguments: Arguments) -> Result<(), ServeError> {
    raise_descriptors();
    let config = RelayConfig {
        create: match (arguments.create, arguments.create_token) {
            (Policy::Open, _) => Create::Open,
            (Policy::Token, token) => Create::Token(token.expect("clap asks for it")),
            (Policy::Closed, _) => Create::Closed,
        },
        quota_bytes: arguments.quota_bytes,
        rows_per_second: arguments.rows_per_second,
        rows_burst: arguments.rows_burst,
        handshakes_per_second: arguments.handshakes_per_second,
        connections_max: arguments.connections_max,
        drain_timeout: Duration::from_secs(arguments.drain_seconds),
        ..RelayConfig::default()
    };
    if let Some(address) = arguments.metrics {
        let listener = TcpListener::bind(address).await?;
        let handle = metrics::install().map_err(std::io::Error::other)?;
        println!("metrics on {}", listener.local_addr()?);
        tokio::spawn(metrics::serve(listener, handle));
    }
    let open = move || arguments.place.open();
    let store = spawn_blocking(open).await.map_err(std::io::Error::other)??;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let listener = TcpListener::bind(arguments.listen).await?;
    let address = listener.local_addr()?;
    match arguments.tls_cert.zip(arguments.tls_key) {
        None => {
            println!("listening on {address}");
            serve(listener, store, config, shutdown).await
        }
        Some((certificate, key)) => {
            let listener = TlsListener::new(listener, TlsFiles { certificate, key }, RENEWAL)?;
            println!("listening on {address}");
            serve(listener, store, config, shutdown).await
        }
    }
}
