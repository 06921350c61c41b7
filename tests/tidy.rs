//! The rules of the repository that a compiler cannot check: who may import whom, how long a file may be, what may
//! not appear. A rule that stands in the way is argued in ARCHITECTURE.md and changed here.

use std::fs;
use std::path::{Path, PathBuf};

/// Each module of `src/` and the modules it may import besides itself.
/// Anything may count `steps` and use what is `sorted`.
const MAY_IMPORT: [(&str, &[&str]); 14] = [
    ("sorted", &[]),
    ("steps", &[]),
    ("codec", &[]),
    ("crypto", &["codec"]),
    ("causal", &["codec"]),
    ("event", &["codec", "crypto", "causal"]),
    ("store", &["codec", "causal", "event"]),
    ("sync", &["codec", "causal", "event"]),
    ("crdt", &["codec", "causal", "event"]),
    ("doc", &["codec", "causal", "event", "crdt"]),
    ("trust", &["codec", "crypto", "causal", "event"]),
    ("audit", &["codec", "crypto", "causal", "event"]),
    ("replica", &["codec", "crypto", "causal", "event", "store", "sync", "crdt", "doc", "trust", "audit"]),
    ("web", &["replica"]),
];

/// What the relay sees of the library: never a document.
const RELAY_MAY_IMPORT: [&str; 6] = ["codec", "crypto", "causal", "event", "sync", "wire"];

const FILE_LINES_MAX: usize = 600;

/// Time, randomness and I/O come in as arguments; only the browser edge fetches them.
const NOT_IN_CORE: [&str; 14] = [
    "std::time",
    "std::fs",
    "std::net",
    "std::env",
    "std::io",
    "std::thread",
    "getrandom",
    "rand::",
    "OsRng",
    "println!",
    "eprintln!",
    "print!",
    "eprint!",
    "dbg!",
];

const TOP_LEVEL: [&str; 28] = [
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "benches",
    "clippy.toml",
    "docs",
    "examples",
    "fuzz",
    "node_modules",
    "package-lock.json",
    "package.json",
    "pkg",
    "relay",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "scripts",
    "src",
    "target",
    "tests",
    "ts",
    "tsconfig.json",
    "webdriver.json",
    "www",
];

#[test]
fn modules_import_only_what_the_table_allows() {
    // Unit tests may make their material with whatever it takes.
    for path in files(&["src"], &["rs"]).into_iter().filter(|path| !path.ends_with("tests.rs")) {
        let Some(module) = module_of(&path) else {
            continue;
        };
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
            panic!("{}: {module} is not in the table", path.display());
        };
        for (line, import) in imports(&code(&path), "crate") {
            let is_module = MAY_IMPORT.iter().any(|(name, _)| *name == import);
            let fine = if is_module {
                import == module
                    || ["sorted", "steps"].contains(&import.as_str())
                    || allowed.contains(&import.as_str())
            } else {
                module == "web" // a public type re-exported at the crate root
            };
            assert!(fine, "{}:{line}: {module} may not import {import}", path.display());
        }
    }
}

#[test]
fn the_relay_never_sees_a_document() {
    for path in files(&["relay/src"], &["rs"]) {
        for (line, import) in imports(&code(&path), "stemma") {
            let fine = RELAY_MAY_IMPORT.contains(&import.as_str());
            assert!(fine, "{}:{line}: the relay may not import {import}", path.display());
        }
    }
}

#[test]
fn imports_are_found_in_paths_and_in_groups() {
    let source = "use crate::event::Op;\nuse crate::{\n    causal::{ActorId, OpIx},\n    codec,\n};\nfn f() -> crate::doc::X {}";
    let expected = [(1, "event"), (2, "causal"), (2, "codec"), (6, "doc")];
    let found = imports(source, "crate");
    let found: Vec<_> = found.iter().map(|(line, name)| (*line, name.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn files_are_short() {
    let folders = ["src", "relay/src", "relay/tests", "ts", "tests", "fuzz", "www", "scripts", "benches"];
    for path in files(&folders, &["rs", "ts", "mjs"]) {
        let lines = read(&path).lines().count();
        assert!(lines <= FILE_LINES_MAX, "{} has {lines} lines", path.display());
    }
}

#[test]
fn rust_files_open_by_saying_what_they_are() {
    for path in files(&["src", "relay/src", "relay/tests", "tests", "scripts", "benches"], &["rs"]) {
        assert!(read(&path).starts_with("//!"), "{} does not begin with //!", path.display());
    }
}

#[test]
fn the_library_is_one_build() {
    let mut targets = 0;
    for path in files(&["src"], &["rs"]) {
        let text = code(&path);
        assert!(!text.contains("cfg(feature"), "{} has a cargo feature", path.display());
        let here = text.matches("target_arch").count();
        assert!(
            here == 0 || path == Path::new("src/lib.rs"),
            "{}: only lib.rs selects a target",
            path.display()
        );
        targets += here;
    }
    assert!(targets <= 1, "lib.rs selects a target {targets} times, not once");
}

#[test]
fn library_code_says_why_it_cannot_fail() {
    for path in files(&["src"], &["rs"]) {
        for (line, text) in without_tests(&path) {
            assert!(
                !text.contains(".unwrap()"),
                "{}:{line}: expect(\"why\") instead of unwrap",
                path.display()
            );
        }
    }
}

#[test]
fn the_core_has_no_clock_no_randomness_no_io() {
    for path in files(&["src"], &["rs"]) {
        if module_of(&path).as_deref() == Some("web") {
            continue;
        }
        for (line, text) in without_tests(&path) {
            for word in NOT_IN_CORE {
                assert!(!has_word(&text, word), "{}:{line}: {word} in the core", path.display());
            }
        }
    }
}

#[test]
fn nothing_is_left_for_later() {
    let folders = [
        "src",
        "relay/src",
        "relay/tests",
        "ts",
        "tests",
        "fuzz",
        "examples",
        "benches",
        "scripts",
        "www",
        "docs",
    ];
    let kinds = ["rs", "ts", "mjs", "js", "css", "html", "md"];
    for path in files(&folders, &kinds) {
        for word in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")] {
            for (at, line) in read(&path).lines().enumerate() {
                assert!(!has_word(line, word), "{}:{}: {word}", path.display(), at + 1);
            }
        }
    }
}

/// Entries that begin with a dot belong to git, CI, npm, or an editor.
#[test]
fn the_top_level_has_no_strays() {
    for entry in fs::read_dir(".").unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name.starts_with('.') || TOP_LEVEL.contains(&name.as_str()),
            "{name} has no place at the top level"
        );
    }
}

/// The glue that `scripts/bindgen` writes fits only an engine compiled with the same version.
#[test]
fn wasm_bindgen_has_one_version() {
    let version = |lock: &str, package: &str| {
        let text = read(Path::new(lock));
        let at = format!("name = \"{package}\"\nversion = \"");
        let (_, rest) = text.split_once(&at).expect(package);
        rest.split('"').next().map(str::to_owned)
    };
    let engine = version("Cargo.lock", "wasm-bindgen");
    assert_eq!(engine, version("scripts/bindgen/Cargo.lock", "wasm-bindgen-cli-support"));
    assert_eq!(engine, version("scripts/bindgen/Cargo.lock", "wasm-bindgen-cli"));
}

/// Files below `folders` that end in one of `kinds`, without what is installed or built. A folder may be absent.
fn files(folders: &[&str], kinds: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending: Vec<PathBuf> = folders.iter().map(PathBuf::from).collect();
    while let Some(folder) = pending.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for path in entries.map(|entry| entry.unwrap().path()) {
            let built = ["node_modules", "dist", "target"].iter().any(|name| path.ends_with(name));
            if path.is_dir() && !built {
                pending.push(path);
            } else if path.extension().is_some_and(|kind| kinds.iter().any(|k| kind == *k)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The module of `src/` that a file belongs to; `lib.rs` belongs to none.
fn module_of(path: &Path) -> Option<String> {
    let inside = path.strip_prefix("src").ok()?;
    let first = Path::new(inside.iter().next()?);
    (first != Path::new("lib.rs")).then(|| first.file_stem().unwrap().to_string_lossy().into_owned())
}

/// The text with comment lines emptied, so that line numbers stay.
fn code(path: &Path) -> String {
    let strip = |line: &str| {
        if line.trim_start().starts_with("//") { String::new() } else { line.to_owned() }
    };
    read(path).lines().map(strip).collect::<Vec<_>>().join("\n")
}

/// Numbered lines of code before the file's tests, which stand at its end; nothing of a file that is all tests.
fn without_tests(path: &Path) -> Vec<(usize, String)> {
    if path.file_stem().is_some_and(|name| name == "tests") {
        return Vec::new();
    }
    let text = code(path);
    let lines: Vec<&str> = text.lines().collect();
    let inline_tests = |pair: &[&str]| {
        pair[0].trim() == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
    };
    let end = lines.windows(2).position(inline_tests).unwrap_or(lines.len());
    lines[..end].iter().enumerate().map(|(at, line)| (at + 1, line.to_string())).collect()
}

/// The first names after `root::`, one by one or in a group, each with its line.
fn imports(source: &str, root: &str) -> Vec<(usize, String)> {
    let prefix = format!("{root}::");
    let mut found = Vec::new();
    for (at, _) in source.match_indices(&prefix) {
        if is_inside_name(source, at) {
            continue;
        }
        let line = source[..at].lines().count().max(1) + usize::from(source[..at].ends_with('\n'));
        let rest = &source[at + prefix.len()..];
        match rest.strip_prefix('{') {
            None => found.push((line, first_word(rest))),
            Some(group) => found.extend(members(group).into_iter().map(|name| (line, name))),
        }
    }
    found
}

/// The first name of each member of a `{a::b, c}` group that has just been opened.
fn members(group: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut start = 0;
    for (at, char) in group.char_indices() {
        match char {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(first_word(&group[start..at]));
                start = at + 1;
                if char == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn first_word(text: &str) -> String {
    text.trim_start().chars().take_while(|char| is_word(*char)).collect()
}

/// Whether `word` stands in `text` and is not part of a longer name.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let end = at + word.len();
        !is_inside_name(text, at) && !is_inside_name(text, end)
    })
}

/// Whether the characters on both sides of a place belong to one name.
fn is_inside_name(text: &str, at: usize) -> bool {
    text[..at].chars().next_back().is_some_and(is_word) && text[at..].chars().next().is_some_and(is_word)
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}
