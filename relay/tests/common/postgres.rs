//! A PostgreSQL server of the tests' own, in a folder of its own, as long as the test process lives.
#![allow(dead_code, missing_docs, reason = "each test file uses a part of it")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};

/// Nothing here takes nearly so long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts the server, ends it when standard input does, which is when the test process is gone, and clears up.
const KEEPER: &str =
    r#"folder=$1; stop=$2; shift 2; "$@" & cat >/dev/null; $stop; kill -9 $! 2>&-; wait; rm -rf "$folder""#;

pub struct Server {
    bin: PathBuf,
    folder: PathBuf,
    keeper: Option<Child>,
    databases: AtomicU32,
}

/// The server of this process, started with the first call; none where PostgreSQL is not installed, which is told.
pub fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    SERVER.get_or_init(|| Server::start(false)).as_ref()
}

impl Server {
    /// A server; none where PostgreSQL is not installed. `durable` if it is to survive the end of its processes.
    pub fn start(durable: bool) -> Option<Self> {
        let bin = match find() {
            Ok(bin) => bin,
            Err(missing) => {
                eprintln!("not tested with PostgreSQL: {missing}");
                return None;
            }
        };
        let folder = tempfile::tempdir().expect("a folder").keep();
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(&folder).output().expect("chown runs");
            assert!(owned.status.success(), "{owned:?}");
        }
        let mut server = Self { bin, folder, keeper: None, databases: AtomicU32::new(0) };
        let data = server.folder.join("data");
        let mut initdb = server.program("initdb");
        initdb.args([
            "--no-sync",
            "--auth=trust",
            "--username=postgres",
            "--encoding=UTF8",
            "--locale=C",
            "-D",
        ]);
        expect(&initdb.arg(&data).output().expect("initdb runs"));
        let fsync = if durable { "fsync=on" } else { "fsync=off" };
        let mut postgres = server.program("postgres");
        postgres.arg("-D").arg(&data).arg("-k").arg(&server.folder);
        for setting in ["listen_addresses=", "max_connections=200", "shared_buffers=64MB", fsync] {
            postgres.args(["-c", setting]);
        }
        let control = server.program("pg_ctl");
        let mut stop = vec![control.get_program()];
        stop.extend(control.get_args());
        stop.extend(["-D", data.to_str().expect("a plain path"), "stop", "-m", "immediate"].map(OsStr::new));
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh"]).arg(&server.folder).arg(stop.join(OsStr::new(" ")));
        keeper.arg(postgres.get_program()).args(postgres.get_args());
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        server.keeper = Some(keeper.spawn().expect("sh runs"));
        server.execute("postgres", "SELECT 1");
        Some(server)
    }

    /// The address of a new database.
    pub fn database(&self) -> String {
        let name = format!("d{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name}"));
        self.address(&name)
    }

    /// Runs statements in a database, once the server takes some; on a thread of its own, since the caller may be a future.
    pub fn execute(&self, database: &str, statements: &str) {
        let run = || {
            let begun = Instant::now();
            let mut client = loop {
                match Client::connect(&self.address(database), NoTls) {
                    Ok(client) => break client,
                    Err(error) => assert!(begun.elapsed() < PATIENCE, "PostgreSQL does not answer: {error}"),
                }
                std::thread::sleep(Duration::from_millis(50));
            };
            client.batch_execute(statements).expect("the statements are right");
        };
        std::thread::scope(|scope| scope.spawn(run).join()).expect("the server answers");
    }

    /// Ends all connections but the one that says so, as a machine that fails over does.
    pub fn cut(&self) {
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname LIKE 'd%'";
        self.execute("postgres", cut);
    }

    /// Kills every process of the server and starts it again; it recovers from its log.
    pub fn crash(&self) {
        let run = |args: &[&str]| {
            let mut control = self.program("pg_ctl");
            expect(
                &control.arg("-D").arg(self.folder.join("data")).args(args).output().expect("pg_ctl runs"),
            );
        };
        let socket = format!("-k {} -c listen_addresses=", self.folder.display());
        run(&["restart", "-m", "immediate", "-w", "-l", "/dev/null", "-o", &socket]);
    }

    fn address(&self, database: &str) -> String {
        format!("host={} user=postgres dbname={database} connect_timeout=5", self.folder.display())
    }

    fn program(&self, name: &str) -> Command {
        let path = self.bin.join(name);
        if !is_root() {
            return Command::new(path);
        }
        // It refuses to be run by root.
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(path).current_dir("/");
        command
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

/// Where the programs are: what `STEMMA_POSTGRES` says, or PATH, or where Debian has the newest.
fn find() -> Result<PathBuf, &'static str> {
    let has = |folder: &PathBuf| folder.join("initdb").exists();
    let named = std::env::var_os("STEMMA_POSTGRES").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path);
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut of_debian: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    of_debian.sort();
    let found = named.into_iter().chain(in_path).chain(of_debian.into_iter().rev()).find(has);
    let found = found
        .ok_or("no initdb found: install the package postgresql, or set STEMMA_POSTGRES to its bin folder")?;
    let has_user = || std::fs::read_to_string("/etc/passwd").is_ok_and(|users| users.contains("\npostgres:"));
    if is_root() && !has_user() {
        return Err("this is root, and there is no user postgres to run it as");
    }
    Ok(found)
}

fn is_root() -> bool {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

fn expect(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
