//! What an operator does: backups that come back, spaces that move between stores, damage that is found, figures.

mod common;
#[path = "common/postgres.rs"]
mod database;

use std::path::Path;
use std::process::{Command, Output};

use common::{Client, Process, Space, delivered, id, start};
use stemma::sync::{Position, Resync, Row, Verdict};

fn operate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stemma-relay")).args(arguments).output().expect("it runs")
}

fn done(arguments: &[&str]) -> String {
    let output = operate(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("words")
}

fn refused(arguments: &[&str]) -> String {
    let output = operate(arguments);
    assert!(!output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).expect("words") + &String::from_utf8_lossy(&output.stdout)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// Two spaces with rows, one of them with a fork and two members.
async fn filled(relay: &Process) -> [(Space, Vec<Row>); 2] {
    let (one, two) = (Space::new(1), Space::new(2));
    let invite = one.invite(7, 1, u64::MAX);
    let authors = [one.member(10), one.invited(&invite, 11)];
    let mut rows = Vec::new();
    for author in &authors {
        let mut client = Client::enter(relay.address, &one, author).await;
        let lane = one.lane(author, 20);
        client.push(&one, &lane).await.expect("is taken");
        rows.extend(lane);
    }
    let mut client = Client::enter(relay.address, &one, &authors[0]).await;
    let fork = one.row(&authors[0], 5, Some(id(&rows[4])), b"another");
    let verdicts = client.push(&one, std::slice::from_ref(&fork)).await.expect("is taken");
    assert!(matches!(verdicts[..], [Verdict::Forked { .. }]));
    rows.push(fork);
    let author = two.member(10);
    let lane = two.lane(&author, 5);
    let mut client = Client::enter(relay.address, &two, &author).await;
    client.push(&two, &lane).await.expect("is taken");
    [(one, rows), (two, lane)]
}

/// The log of a space as a client reads it.
async fn log(relay: &Process, space: &Space) -> (Vec<stemma::causal::ChangesetId>, Position) {
    let mut client = Client::enter(relay.address, space, &space.member(10)).await;
    let subscribed = client.subscribe(space, None, &[]).await;
    let (rows, position) = client.catch_up(start(&subscribed)).await;
    (rows.iter().map(delivered).collect(), position)
}

#[tokio::test]
async fn a_backup_brings_a_node_back_with_other_logs() {
    let folder = tempfile::tempdir().expect("a folder");
    let [old, new] = ["old", "new"].map(|name| folder.path().join(name));
    let file = folder.path().join("backup");
    let relay = Process::start(&old, &[]);
    let spaces = filled(&relay).await;
    let before = log(&relay, &spaces[0].0).await;
    let key = Client::connect(relay.address).await.hello.relay_key;
    // Beside the relay that goes on.
    done(&["backup", text(&file), "--data", text(&old)]);
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&file.metadata().expect("is there")) & 0o777, 0o600);
    let words = refused(&["restore", text(&file), "--data", text(&old)]);
    assert!(words.contains("another relay has it open"), "{words}");
    drop(relay);
    assert!(refused(&["restore", text(&file), "--data", text(&old)]).contains("not empty"));
    // Cut in the middle, it says how it goes on, and does.
    let (part, cut) = (folder.path().join("part"), folder.path().join("cut"));
    let whole = std::fs::read(&file).expect("reads");
    std::fs::write(&cut, &whole[..whole.len() - 2_000]).expect("writes");
    assert!(refused(&["restore", text(&cut), "--data", text(&part)]).contains("it was cut"));
    let words = refused(&["restore", text(&file), "--data", text(&part)]);
    assert!(words.contains("`import` goes on"), "{words}");
    done(&["import", text(&file), "--data", text(&part)]);
    assert!(done(&["check", "--data", text(&part)]).contains("2 spaces, 46 rows"));
    let relay = Process::start(&part, &[]);
    assert_eq!(Client::connect(relay.address).await.hello.relay_key, key);
    drop(relay);
    let stranger = folder.path().join("stranger");
    filled(&Process::start(&stranger, &[])).await;
    let words = refused(&["restore", text(&file), "--data", text(&stranger)]);
    assert!(words.contains("not empty: a backup"), "{words}");
    done(&["restore", text(&file), "--data", text(&new)]);
    assert!(done(&["check", "--data", text(&new)]).contains("2 spaces, 46 rows"));

    let relay = Process::start(&new, &["--create", "closed"]);
    assert_eq!(Client::connect(relay.address).await.hello.relay_key, key);
    for (space, rows) in &spaces {
        let (log, position) = log(&relay, space).await;
        assert_eq!(log, rows.iter().map(id).collect::<Vec<_>>());
        assert_ne!(position.log_id, before.1.log_id);
    }
    // Clients that were further find out at once. The member who came by the invite was counted and is in; nobody else.
    let mut client = Client::enter(relay.address, &spaces[0].0, &spaces[0].0.member(10)).await;
    let subscribed = client.subscribe(&spaces[0].0, Some(before.1), &[]).await;
    assert_eq!(subscribed.resync, Some(Resync::LogId));
    let invite = spaces[0].0.invite(7, 1, u64::MAX);
    let login = async |seed| {
        let author = spaces[0].0.invited(&invite, seed);
        Client::connect(relay.address).await.login(&spaces[0].0, &author).await
    };
    assert_eq!(login(11).await, None);
    assert!(login(12).await.is_some());
}

#[tokio::test]
async fn a_space_moves_between_stores_and_is_there_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let [one, other] = ["one", "other"].map(|name| folder.path().join(name));
    let file = folder.path().join("space");
    let relay = Process::start(&one, &[]);
    let spaces = filled(&relay).await;
    drop(relay);
    let hex = spaces[0].0.id().to_string();
    done(&["export", &hex, text(&file), "--data", text(&one)]);
    let server = database::server();
    let url = server.map(database::Server::database);
    let mut places = vec![["--data", text(&other)]];
    places.extend(url.iter().map(|url| ["--store", url]));
    for place in places {
        for _ in 0..2 {
            done(&[&["import", text(&file)], &place[..]].concat());
            assert!(done(&[&["check"], &place[..]].concat()).contains("1 spaces, 41 rows"));
        }
        // It was never served, and can be backed up.
        done(&[&["backup", text(&folder.path().join("backup"))], &place[..]].concat());
        // From there to a file it is the same space.
        let again = folder.path().join("again");
        done(&[&["export", &hex, text(&again)], &place[..]].concat());
        assert_eq!(std::fs::read(&again).expect("reads"), std::fs::read(&file).expect("reads"));
        done(&[&["remove", &hex], &place[..]].concat());
        assert!(refused(&[&["remove", &hex], &place[..]].concat()).contains("there is no space"));
        assert!(done(&[&["check"], &place[..]].concat()).contains("0 spaces, 0 rows, 0 bytes, 0 strays"));
    }
    assert!(refused(&["export", "12", text(&file)]).contains("64 hex digits"));
    let nobody = "0".repeat(64);
    assert!(refused(&["export", &nobody, "-", "--data", text(&one)]).contains("there is no space"));
}

#[test]
fn what_only_looks_or_removes_makes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = (folder.path().join("data"), folder.path().join("file"));
    let server = database::server();
    let url = server.map(database::Server::database);
    let mut places = vec![["--data", text(&data)]];
    places.extend(url.iter().map(|url| ["--store", url]));
    let nobody = "0".repeat(64);
    for place in places {
        let commands: [&[&str]; 5] = [
            &["check"],
            &["check", "--sweep"],
            &["backup", text(&file)],
            &["export", &nobody, text(&file)],
            &["remove", &nobody],
        ];
        for command in commands {
            let words = refused(&[command, &place[..]].concat());
            assert!(words.contains("there is no store"), "{command:?}: {words}");
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("reads").count(), 0);
    if let (Some(server), Some(url)) = (server, &url) {
        let is_empty = "DO $$ BEGIN ASSERT to_regnamespace('stemma_relay') IS NULL; END $$";
        server.execute(database::name(url), is_empty);
    }
}

#[tokio::test]
async fn a_backup_that_fails_leaves_nothing_and_one_that_does_not_is_for_nobody_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let [data, file, part] = ["data", "file", "file.part"].map(|name| folder.path().join(name));
    let relay = Process::start(&data, &[]);
    filled(&relay).await;
    // A disk that has room for 4 KiB more.
    let limited = format!(
        "trap '' XFSZ; ulimit -f 8; exec {} backup {} --data {}",
        env!("CARGO_BIN_EXE_stemma-relay"),
        file.display(),
        data.display()
    );
    let output = Command::new("sh").args(["-c", &limited]).output().expect("it runs");
    assert!(
        !output.status.success() && String::from_utf8_lossy(&output.stderr).contains("archive:"),
        "{output:?}"
    );
    assert!(!part.exists() && !file.exists());
    // What a power cut left.
    std::fs::write(&part, "begun").expect("writes");
    done(&["backup", text(&file), "--data", text(&data)]);
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&file.metadata().expect("is there")) & 0o777, 0o600);
    assert!(!part.exists());
}

#[tokio::test]
async fn a_damaged_archive_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, file) = (folder.path().join("data"), folder.path().join("file"));
    let relay = Process::start(&data, &[]);
    filled(&relay).await;
    done(&["backup", text(&file), "--data", text(&data)]);
    let whole = std::fs::read(&file).expect("reads");
    let place = folder.path().join("place");
    let step = whole.len() / 37;
    for at in (0..whole.len()).step_by(step) {
        for damaged in [whole[..at].to_vec(), {
            let mut flipped = whole.clone();
            flipped[at] ^= 0x10;
            flipped
        }] {
            std::fs::write(&file, damaged).expect("writes");
            let words = refused(&["import", text(&file), "--data", text(&place)]);
            assert!(words.contains("archive:"), "{at}: {words}");
        }
    }
    // What was read of them before the damage is sound.
    assert!(done(&["check", "--data", text(&place)]).ends_with(" 0 faults\n"));
}

#[tokio::test]
async fn damage_in_a_store_is_found_and_strays_are_swept() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let relay = Process::start(&data, &[]);
    filled(&relay).await;
    relay.terminate();
    assert!(relay.ended().await, "one file is left");
    let at = ["--data", text(&data)];
    let run = |statement: &str| {
        let connection = rusqlite::Connection::open(data.join("relay.sqlite")).expect("opens");
        connection.execute_batch(statement).expect("runs");
    };
    let check = || refused(&[&["check"], &at[..]].concat());
    assert!(done(&[&["check"], &at[..]].concat()).contains("0 strays, 0 faults"));
    let damages = [
        ("UPDATE changeset SET skeleton = x'00' WHERE space = 1 AND cursor = 7", "row 7 is damaged"),
        (
            "UPDATE changeset SET packed = CAST(zeroblob(32) || substr(packed, 33) AS BLOB) WHERE space = 1 AND cursor = 9",
            "the chain ends at row 9",
        ),
        (
            "UPDATE changeset SET packed = substr(packed, 1, 97) WHERE space = 1 AND cursor = 7",
            "row 7 of 41 cannot be read",
        ),
        ("UPDATE changeset SET cursor = 99 WHERE space = 2 AND cursor = 5", "no row after 4 of 5"),
        ("DELETE FROM tip WHERE space = 2", "the ends of actor"),
        ("UPDATE space SET bytes = bytes + 1 WHERE number = 1", "its head or its sum of bytes"),
    ];
    let whole = std::fs::read(data.join("relay.sqlite")).expect("reads");
    for (damage, fault) in damages {
        run(damage);
        let words = check();
        assert!(words.contains(fault), "{damage}: {words}");
        std::fs::write(data.join("relay.sqlite"), &whole).expect("writes");
    }
    // A space that somebody removed by hand.
    run("DELETE FROM space WHERE number = 2");
    let words = done(&[&["check"], &at[..]].concat());
    assert!(words.contains("1 spaces, 41 rows") && !words.contains(" 0 strays"), "{words}");
    assert!(!done(&[&["check", "--sweep"], &at[..]].concat()).contains(" 0 strays"));
    assert!(done(&[&["check"], &at[..]].concat()).contains("0 strays, 0 faults"));
}

#[tokio::test]
async fn figures_are_counted() {
    let folder = tempfile::tempdir().expect("a folder");
    let (relay, figures) = Process::start_with_metrics(folder.path());
    let spaces = filled(&relay).await;
    let mut client = Client::enter(relay.address, &spaces[0].0, &spaces[0].0.member(10)).await;
    let again = client.push(&spaces[0].0, &spaces[0].1[..3]).await.expect("is answered");
    assert!(matches!(again[..], [Verdict::Dup { .. }, ..]));
    log(&relay, &spaces[0].0).await;
    let text = common::body(figures, "/metrics").await;
    let value = |name| common::figure(&text, name);
    assert_eq!(value("relay_rows_total{fate=\"accepted\"}"), 45.0);
    assert_eq!(value("relay_rows_total{fate=\"forked\"}"), 1.0);
    assert_eq!(value("relay_rows_total{fate=\"dup\"}"), 3.0);
    assert_eq!(value("relay_delivered_rows_total{from=\"store\"}"), 41.0);
    assert_eq!(value("relay_commit_rows_sum"), 49.0);
    assert!(value("relay_ack_seconds_count") >= 5.0 && value("relay_commit_seconds_count") >= 5.0);
    assert!(value("relay_connections") >= 1.0 && value("relay_resident_bytes") > 1e6);
    for space in spaces {
        assert!(!text.contains(&space.0.id().to_string()[..16]), "figures name no space");
    }
}

#[test]
fn two_places_for_one_store_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_stemma-relay"))
        .args(["check", "--data", text(folder.path())])
        .env("STEMMA_STORE", "host=/nonexistent user=nobody password=secret-word")
        .output()
        .expect("it starts");
    let words = String::from_utf8(output.stderr).expect("words");
    assert_eq!(output.status.code(), Some(2), "{words}");
    assert!(words.contains("--data") && words.contains("STEMMA_STORE"), "{words}");
    assert!(!words.contains("secret-word"), "{words}");
}
