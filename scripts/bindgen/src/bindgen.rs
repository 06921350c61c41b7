//! `bindgen IN.wasm OUT_DIR UNUSED…`: writes `engine.js`, `engine.d.ts` and `engine_bg.wasm`, without the named features.
//!
//! The glue never names the wasm file: the loader in `ts/` holds the only `new URL(…)`, so that the inline twin does
//! not drag a second copy into a bundle.

use std::{env, fs, process};
use wasm_bindgen_cli_support::Bindgen;

fn main() {
    let mut arguments = env::args().skip(1);
    let (Some(input), Some(out_dir)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: bindgen IN.wasm OUT_DIR UNUSED…");
        process::exit(2);
    };
    let mut wasm = fs::read(&input).unwrap_or_else(|error| {
        eprintln!("bindgen: {input}: {error}");
        process::exit(1);
    });
    arguments.for_each(|feature| disown(&mut wasm, &feature));
    let mut bindgen = Bindgen::new();
    bindgen.input_bytes("engine", wasm).out_name("engine").typescript(true).omit_default_module_path(true);
    bindgen.remove_name_section(true).remove_producers_section(true).reset_state_function(true);
    if let Err(error) = bindgen.web(true).and_then(|bindgen| bindgen.generate(out_dir)) {
        eprintln!("bindgen: {error:?}");
        process::exit(1);
    }
}

/// The list of features, which stands behind all data, names what any part was allowed to use, the standard library that rustup
/// brings among them, and bindgen uses what it names.
fn disown(wasm: &mut [u8], feature: &str) {
    let named = [&[b'+', feature.len() as u8], feature.as_bytes()].concat();
    if let Some(at) = wasm.windows(named.len()).rposition(|window| window == named) {
        wasm[at] = b'-';
    }
}
