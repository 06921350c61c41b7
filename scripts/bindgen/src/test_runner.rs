//! `wasm-bindgen-test-runner`, built here so that its version is locked beside that of `bindgen`.

use std::{env, process};

fn main() {
    if let Err(error) = wasm_bindgen_cli::wasm_bindgen_test_runner::run_cli_with_args(env::args_os()) {
        eprintln!("test-runner: {error:?}");
        process::exit(1);
    }
}
