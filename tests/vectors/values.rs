//! `values.json`.

use crate::fixture::ops::all_values;
use crate::fixture::{hex, unhex};
use crate::{Case, Outcome, describe, ok, refused};
use serde_json::{Value as Json, json};
use stemma::event::Value;

pub fn cases() -> Vec<Case> {
    let input = |bytes: &[u8]| json!({ "bytes": hex(bytes) });
    let good = all_values().into_iter();
    let mut cases: Vec<Case> =
        good.map(|(name, value)| ok(name, "a value", input(&value.to_bytes()), describe::value(&value))).collect();
    let deep = |depth: usize, open: &str| format!("{}00", open.repeat(depth));
    let greatest_bigint = format!("098210{}", "01".repeat(1_025));
    let bad = [
        ("nothing", "no tag", "", "truncated"),
        ("an unknown tag", "tags end at 9", "0a", "unknown"),
        ("trailing byte", "a byte after null", "0000", "trailing"),
        ("2^53 as an integer", "not safe", "0380808080808080 20".trim(), "over-limit"),
        ("minus 2^53 as an integer", "not safe", "03ffffffffffffff1f", "over-limit"),
        ("an integer in too many bytes", "zero in two bytes", "038000", "non-minimal"),
        ("NaN", "does not exist", "04000000000000f87f", "invalid"),
        ("infinity", "does not exist", "04000000000000f07f", "invalid"),
        ("minus infinity", "does not exist", "04000000000000f0ff", "invalid"),
        ("one as a double", "an integer has one encoding", "04000000000000f03f", "invalid"),
        ("zero as a double", "an integer has one encoding", "040000000000000000", "invalid"),
        ("half a double", "eight bytes", "04000000", "truncated"),
        ("a lone surrogate", "no UTF-8", "0503eda080", "utf-8"),
        ("an overlong slash", "no UTF-8", "0502c0af", "utf-8"),
        ("beyond Unicode", "no UTF-8", "0504f4908080", "utf-8"),
        ("a string longer than the input", "three bytes, five promised", "0505616263", "truncated"),
        ("a length of 2^63", "no such string", "0580808080808080808001", "over-limit"),
        ("an array longer than the input", "an item has a byte at least", "070500", "truncated"),
        ("a count of 2^63", "no such array", "0780808080808080808001", "over-limit"),
        ("keys out of order", "b, a", "0802016200016100", "unsorted"),
        ("a key twice", "a, a", "0802016100016100", "unsorted"),
        ("keys in the order of UTF-16", "U+FFFF is below U+10000 in UTF-8", "080204f09080800003efbfbf00", "unsorted"),
        ("a key that is no UTF-8", "a lone surrogate", "080103eda08000", "utf-8"),
        ("bigint minus zero", "zero has no sign", "0901", "non-minimal"),
        ("a bigint with a leading zero", "two bytes for 7", "09040007", "non-minimal"),
        ("a bigint of 1,025 bytes", "1,024 at most", greatest_bigint.as_str(), "over-limit"),
        ("101 arrays inside each other", "100 at most", &deep(101, "0701"), "over-limit"),
        ("101 objects inside each other", "100 at most", &deep(101, "080100"), "over-limit"),
    ];
    cases.extend(
        bad.map(|(name, reason, text, class)| refused(name, reason, json!({ "bytes": text.replace(' ', "") }), class)),
    );
    cases
}

pub fn run(input: &Json) -> Outcome {
    let value = Value::decode(&unhex(input["bytes"].as_str().expect("hex"))).map_err(|error| error.code())?;
    Ok(describe::value(&value))
}
