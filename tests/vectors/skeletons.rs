//! `skeletons.json`: what stands in the part that decides.

use crate::fixture::ops::{Body, bodies, hello, policy_ops, with_ops};
use crate::fixture::{hex, unhex};
use crate::{Case, Outcome, describe, ok, refused};
use serde_json::{Value as Json, json};
use stemma::event::{Class, Skeleton};

pub fn skeleton_input(bytes: &[u8], class: Class, deps: usize) -> Json {
    json!({ "bytes": hex(bytes), "class": class as u8, "deps": deps })
}

pub fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = bodies()
        .iter()
        .map(|Body { name, class, deps, skeleton, .. }| {
            let input = skeleton_input(&skeleton.encode(*deps), *class, *deps);
            ok(name, "a skeleton", input, describe::skeleton(skeleton))
        })
        .collect();
    cases.extend(skeletons_out_of_shape());
    cases.extend(skeletons_with_one_bad_op());
    cases
}

/// A skeleton from its parts; each part is raw bytes.
fn parts(head: &str, tables: &str, ops: &str, ext: &str) -> Json {
    let bytes = [head, tables, ops, ext].concat().replace(' ', "");
    json!({ "bytes": bytes, "class": Class::Data as u8, "deps": 0 })
}

/// hlc 1, 0, no undo group, no command.
const HEAD: &str = "01 00 00 00";
/// No refs, objects, names.
const EMPTY: &str = "00 00 00";

fn skeletons_out_of_shape() -> Vec<Case> {
    let good = hello().0.encode(0);
    let id = "ab".repeat(16);
    let object = format!("{id} 01");
    let data = |bytes: &[u8]| skeleton_input(bytes, Class::Data, 0);
    let policy = with_ops(policy_ops()).encode(0);
    let huge = "80 80 80 80 80 80 80 80 80 01";
    vec![
        refused("nothing", "no time", data(&[]), "truncated"),
        refused("cut", "the last byte is missing", data(&good[..good.len() - 1]), "truncated"),
        refused("trailing byte", "a byte after the ext", data(&[&good[..], &[0]].concat()), "trailing"),
        refused(
            "a time of 2^48",
            "beyond the last millisecond",
            parts("80 80 80 80 80 80 40 00 00 00", EMPTY, "00", "00"),
            "over-limit",
        ),
        refused("a counter of 65,536", "16 bits", parts("01 80 80 04 00 00", EMPTY, "00", "00"), "over-limit"),
        refused(
            "an undo group of 2^53",
            "not safe",
            parts("01 00 80 80 80 80 80 80 80 10 00", EMPTY, "00", "00"),
            "over-limit",
        ),
        refused("two commands", "one at most", parts("01 00 00 02", EMPTY, "00", "00"), "over-limit"),
        refused("a non-minimal time", "two bytes for 1", parts("81 00 00 00 00", EMPTY, "00", "00"), "non-minimal"),
        refused("2^63 refs", "no such list", parts(HEAD, huge, "", ""), "over-limit"),
        refused("2^63 ops", "no such list", parts(HEAD, EMPTY, huge, ""), "over-limit"),
        refused("65,537 ops", "65,536 at most", parts(HEAD, EMPTY, "81 80 04", ""), "over-limit"),
        refused("more ops than bytes", "an op has two bytes at least", parts(HEAD, EMPTY, "7f", "00"), "truncated"),
        refused(
            "a ref to a dep that is not there",
            "the changeset has none",
            parts(HEAD, "01 02 00 00 00", "00", "00"),
            "over-limit",
        ),
        refused("an object twice", "each once", parts(HEAD, &format!("00 02 {object} {object} 00"), "00", "00"), "invalid"),
        refused(
            "an object twice as two kinds",
            "each id once",
            parts(HEAD, &format!("00 02 {object} {id} 02 00"), "00", "00"),
            "invalid",
        ),
        refused(
            "262,144 elements and a move",
            "a move makes a unit too",
            parts(HEAD, &format!("00 01 {id} 05 00"), "02 20 00 00 00 80 80 10 22 00 00 00 00 00", "00"),
            "over-limit",
        ),
        refused("a name twice", "each once", parts(HEAD, &format!("00 00 02 {id} {id}"), "00", "00"), "invalid"),
        refused(
            "object kind 8",
            "a later version may know it",
            parts(HEAD, &format!("00 01 {id} 08 00"), "00", "00"),
            "unsupported",
        ),
        refused("critical entry", "a later version may know it", parts(HEAD, EMPTY, "00", "02 03 00"), "unsupported"),
        refused("entries out of order", "tags ascend", parts(HEAD, EMPTY, "00", "04 04 00 02 00"), "unsorted"),
        refused("policy in class data", "ops stay in their class", skeleton_input(&policy, Class::Data, 0), "invalid"),
        refused("policy in class control", "ops stay in their class", skeleton_input(&policy, Class::Control, 0), "invalid"),
        refused("data in class policy", "ops stay in their class", skeleton_input(&good, Class::Policy, 0), "invalid"),
        refused("data in class snapshot", "a snapshot has no ops", skeleton_input(&good, Class::Snapshot, 0), "invalid"),
    ]
}

/// One op in a skeleton that has a ref, an object of each kind (place = kind - 1) and two names.
fn skeletons_with_one_bad_op() -> Vec<Case> {
    let objects: Vec<String> = (1..=7).map(|kind| format!("{} {kind:02x}", format!("{kind:02x}").repeat(16))).collect();
    let tables = format!("01 00 00 07 {} 02 {} {}", objects.concat(), "a0".repeat(16), "a1".repeat(16));
    let case = |(name, reason, class, op, expect): (&str, &str, Class, String, &str)| {
        let mut input = parts(HEAD, &tables, &format!("01 {op}"), "00");
        input["class"] = json!(class as u8);
        refused(name, reason, input, expect)
    };
    let data = |name: &'static str, reason: &'static str, op: &str, expect: &'static str| {
        (name, reason, Class::Data, op.to_owned(), expect)
    };
    let policy = |name: &'static str, reason: &'static str, op: String, expect: &'static str| {
        (name, reason, Class::Policy, op, expect)
    };
    let id = "cc".repeat(32);
    let ops = vec![
        data("op 0x00", "a later version may know it", "00 00", "unsupported"),
        data("op 0x7f", "a later version may know it", "7f 00", "unsupported"),
        data("a skippable op longer than the input", "five bytes promised", "80 05 00", "truncated"),
        data("an object that is not there", "the table has seven", "01 07 00", "invalid"),
        data("a name that is not there", "the table has two", "01 00 02", "invalid"),
        data("map set on a text", "the kind must fit", "01 01 00", "invalid"),
        data("text insert into a list", "the kind must fit", "28 04 00 00 01", "invalid"),
        data("child of kind 8", "a later version may know it", "03 00 00 08 01 00", "unsupported"),
        data("no coupled keys", "one at least", "04 00 00 00 00", "invalid"),
        data("65 coupled keys", "64 at most", "04 00 00 41 00", "over-limit"),
        data("a coupled key too many", "bit 2 of two keys", "04 00 00 02 04", "over-limit"),
        data("an amount of 2^53", "not safe", "08 02 80 80 80 80 80 80 80 20", "over-limit"),
        data("a flag that is neither", "0 or 1", "10 03 00 02", "unknown"),
        data("an insert of nothing", "one unit at least", "28 01 00 00 00", "invalid"),
        data("an insert of 262,145 units", "no changeset can hold them", "28 01 00 00 81 80 10", "over-limit"),
        data("a list insert of 2^31", "no changeset can hold them", "20 04 00 00 80 80 80 80 08", "over-limit"),
        data("a unit of a changeset that is not there", "one ref", "28 01 03 00 00 01", "invalid"),
        data("a unit beyond all inserts", "offset 262,144", "28 01 01 80 80 10 00 01", "over-limit"),
        data("no spans", "one at least", "29 01 00", "invalid"),
        data("an empty span", "one unit at least", "29 01 01 00 00 00", "invalid"),
        data("a span that ends beyond all inserts", "262,143 + 2", "29 01 01 00 ff ff 0f 02", "over-limit"),
        data("an anchor of another kind", "0 to 3", "2a 01 04 01 00 00", "unknown"),
        data("a mark that expands elsewhere", "two bits", "2a 01 00 01 00 04", "unknown"),
        data("an account of another kind", "0 or 1", "31 06 02 00 01 00 02 01", "unknown"),
        data("a transfer of nothing", "above zero", "31 06 01 00 01 01 00", "invalid"),
        data("a transfer below zero", "above zero", "31 06 01 00 01 01 03 05", "invalid"),
        data("a dispute of op 65,536", "65,535 is the last", "32 06 00 80 80 04", "over-limit"),
        data("an event that concerns nobody", "one at least", "39 00 00", "invalid"),
        data("an event that concerns 257", "256 at most", "39 00 81 02", "over-limit"),
        data("a revoke of nothing", "one target at least", "48 00", "invalid"),
        data("a revoke of no ops", "one op at least", "48 01 00 00 00", "invalid"),
        data("a revoke beyond the last op", "65,535 + 2", "48 01 00 ff ff 03 02", "over-limit"),
        policy("a verdict of another kind", "0 to 2", format!("40 03 01 00 {id}"), "unknown"),
        policy("a policy without targets", "one at least", "40 01 00".to_owned(), "invalid"),
        policy("a target of another kind", "0 or 1", format!("40 01 01 02 {id} 00"), "unknown"),
        policy("a ban of something else", "member or actor", format!("41 02 {id} 01"), "unknown"),
        policy("a ban of another scope", "0 to 4", format!("41 00 {id} 05"), "unknown"),
        policy("a mode of another kind", "0 or 1", "44 02".to_owned(), "unknown"),
        policy("an accepted actor", "members and targets only", format!("45 01 01 {id}"), "unknown"),
        ("op 0x56", "a later version may know it", Class::Control, "56 01 00".to_owned(), "unsupported"),
        ("op 0x68", "a later version may know it", Class::Audit, "68 01 00".to_owned(), "unsupported"),
    ];
    ops.into_iter().map(case).collect()
}

pub fn run(input: &Json) -> Outcome {
    Ok(describe::skeleton(&decode_skeleton(input)?))
}

pub fn decode_skeleton(input: &Json) -> Result<Skeleton, &'static str> {
    let class = u8::try_from(input["class"].as_u64().expect("a number")).expect("a byte");
    let class = Class::from_code(class).expect("a class");
    let deps = input["deps"].as_u64().expect("a number") as usize;
    Skeleton::decode(&unhex(input["bytes"].as_str().expect("hex")), class, deps).map_err(|error| error.code())
}
