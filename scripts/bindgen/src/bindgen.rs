//! `bindgen IN.wasm OUT_DIR`: writes `engine.js`, `engine.d.ts` and `engine_bg.wasm`.
//!
//! The glue never names the wasm file: the loader in `ts/` holds the only `new URL(…)`, so that the inline twin does
//! not drag a second copy into a bundle.

use std::{env, process};
use wasm_bindgen_cli_support::Bindgen;

fn main() {
    let [input, out_dir] = env::args().skip(1).collect::<Vec<_>>().try_into().unwrap_or_else(|_| {
        eprintln!("usage: bindgen IN.wasm OUT_DIR");
        process::exit(2);
    });
    let mut bindgen = Bindgen::new();
    bindgen.input_path(input).out_name("engine").typescript(true).omit_default_module_path(true);
    bindgen.remove_name_section(true).remove_producers_section(true).reset_state_function(true);
    if let Err(error) = bindgen.web(true).and_then(|bindgen| bindgen.generate(out_dir)) {
        eprintln!("bindgen: {error:?}");
        process::exit(1);
    }
}
