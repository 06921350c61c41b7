//! The vectors of the formats: files that say for themselves what goes in and what must come out (`README.md` beside
//! them), most of them hostile. They are read here and by a second decoder that shares no code with this one.
//!
//! `STEMMA_WRITE_VECTORS=1 cargo test --test vectors the_files` writes them anew from fixed keys. A file that changes is a
//! change of the format.

#[path = "../fixture/mod.rs"]
mod fixture;

// Tables of cases, which rustfmt would tear into many times their lines.
#[rustfmt::skip]
mod certified;
#[rustfmt::skip]
mod contents;
#[rustfmt::skip]
mod describe;
#[rustfmt::skip]
mod evidence;
mod forge;
#[rustfmt::skip]
mod keys;
#[rustfmt::skip]
mod merkle;
#[rustfmt::skip]
mod rows;
#[rustfmt::skip]
mod signatures;
#[rustfmt::skip]
mod signed;
#[rustfmt::skip]
mod skeletons;
#[rustfmt::skip]
mod statements;
#[rustfmt::skip]
mod values;

use serde_json::{Map, Value as Json, json};
use std::path::PathBuf;

/// What a decoder makes of the input: the result, or the class of the fault.
type Outcome = Result<Json, String>;

/// A case as it is written to a file.
struct Case {
    name: String,
    /// What the case shows, or why it is refused.
    what: String,
    input: Json,
    expect: Outcome,
}

fn ok(name: &str, what: &str, input: Json, result: Json) -> Case {
    Case { name: name.to_owned(), what: what.to_owned(), input, expect: Ok(result) }
}

fn refused(name: &str, reason: &str, input: Json, class: &str) -> Case {
    Case { name: name.to_owned(), what: reason.to_owned(), input, expect: Err(class.to_owned()) }
}

/// A file of vectors: its cases, and how one of its inputs is decoded.
struct File {
    name: &'static str,
    cases: fn() -> Vec<Case>,
    run: fn(&Json) -> Outcome,
}

const FILES: [File; 15] = [
    File { name: "keys", cases: keys::cases, run: keys::run },
    File { name: "signatures", cases: signatures::cases, run: signatures::run },
    File { name: "genesis", cases: signed::genesis_cases, run: signed::run_genesis },
    File { name: "certificates", cases: signed::certificate_cases, run: signed::run_certificate },
    File { name: "chains", cases: signed::chain_cases, run: signed::run_chain },
    File { name: "invites", cases: signed::invite_cases, run: signed::run_invite },
    File { name: "logins", cases: keys::login_cases, run: keys::run_login },
    File { name: "values", cases: values::cases, run: values::run },
    File { name: "skeletons", cases: skeletons::cases, run: skeletons::run },
    File { name: "contents", cases: contents::cases, run: contents::run },
    File { name: "changesets", cases: rows::cases, run: rows::run },
    File { name: "merkle", cases: merkle::cases, run: merkle::run },
    File { name: "statements", cases: statements::cases, run: statements::run },
    File { name: "blocks", cases: certified::cases, run: certified::run },
    File { name: "evidence", cases: evidence::cases, run: evidence::run },
];

impl Case {
    fn to_json(&self) -> Json {
        let mut case = Map::new();
        case.insert("name".to_owned(), json!(self.name));
        case.insert("input".to_owned(), self.input.clone());
        match &self.expect {
            Ok(result) => {
                case.insert("what".to_owned(), json!(self.what));
                case.insert("expect".to_owned(), json!("ok"));
                case.insert("result".to_owned(), result.clone());
            }
            Err(class) => {
                case.insert("reason".to_owned(), json!(self.what));
                case.insert("expect".to_owned(), json!(class));
            }
        }
        Json::Object(case)
    }
}

fn path(file: &File) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(format!("{}.json", file.name))
}

fn read(file: &File) -> Vec<Json> {
    let text = std::fs::read_to_string(path(file)).unwrap_or_else(|error| panic!("{}: {error}", file.name));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.name))
}

#[test]
fn the_files_are_what_the_cases_say() {
    for file in &FILES {
        let cases: Vec<Json> = (file.cases)().iter().map(Case::to_json).collect();
        if std::env::var("STEMMA_WRITE_VECTORS").is_ok() {
            let text = serde_json::to_string_pretty(&cases).expect("JSON") + "\n";
            std::fs::write(path(file), text).expect("the folder is there");
        }
        let stored = read(file);
        for (case, stored) in cases.iter().zip(&stored) {
            assert_eq!(case, stored, "{}: {}", file.name, case["name"]);
        }
        assert_eq!(cases.len(), stored.len(), "{}", file.name);
    }
}

#[test]
fn every_case_comes_out_as_its_file_says() {
    for file in &FILES {
        for case in read(file) {
            let expected = match case["expect"].as_str().expect("a string") {
                "ok" => Ok(case["result"].clone()),
                class => Err(class.to_owned()),
            };
            assert_eq!((file.run)(&case["input"]), expected, "{}: {}", file.name, case["name"]);
        }
    }
}

#[test]
fn names_are_unique_and_most_cases_are_hostile() {
    let (mut good, mut bad) = (0, 0);
    for file in &FILES {
        let cases = read(file);
        let mut names: Vec<&str> = cases.iter().map(|case| case["name"].as_str().expect("a name")).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), cases.len(), "{}: a name is there twice", file.name);
        let fine = cases.iter().filter(|case| case["expect"] == "ok").count();
        good += fine;
        bad += cases.len() - fine;
    }
    assert!(bad > good, "{bad} refused, {good} accepted");
}
