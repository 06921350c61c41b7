//! `contents.json`: what stands in the part that people read, beside the skeleton it belongs to.

use crate::fixture::ops::{Body, bodies, content_for, every_data_op};
use crate::fixture::{hex, names, unhex};
use crate::skeletons::{decode_skeleton, skeleton_input};
use crate::{Case, Outcome, describe, ok, refused};
use serde_json::{Value as Json, json};
use stemma::causal::{NameId, ObjectId};
use stemma::codec::{TlvWriter, Writer};
use stemma::crypto::NameKey;
use stemma::event::{Class, Content, NameEntry, NamedId};

fn content_input(bytes: &[u8], skeleton: &Json) -> Json {
    json!({ "bytes": hex(bytes), "skeleton": skeleton, "name_key": hex(names().as_bytes()) })
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for Body { name, class, deps, skeleton, content } in bodies() {
        let skeleton_json = skeleton_input(&skeleton.encode(deps), class, deps);
        let id = |entry: &NameEntry| entry.id(&names()).map(named);
        let confirmed: Vec<_> = match name {
            "typing" => content.names.iter().map(id).collect(),
            "every data op" => vec![id(&content.names[1])],
            _ => Vec::new(),
        };
        let result = json!({ "content": describe::content(&content, &skeleton), "confirmed": confirmed });
        cases.push(ok(
            name,
            "the content of the skeleton of this name",
            content_input(&content.encode(), &skeleton_json),
            result,
        ));
    }
    let skeleton = every_data_op();
    let skeleton_json = skeleton_input(&skeleton.encode(2), Class::Data, 2);
    let good = content_for(&skeleton);
    let bytes = good.encode();
    let case = |name: &str, reason: &str, bytes: &[u8], class: &str| {
        refused(name, reason, content_input(bytes, &skeleton_json), class)
    };
    let with_text = |text: &str| Content { text: text.to_owned(), ..good.clone() }.encode();
    let with_name = |sort: u8, clear: &[u8]| {
        let names = vec![NameEntry::Name { sort, clear: clear.to_vec() }];
        Content { names, ..good.clone() }.encode()
    };
    let missing_value = Content { values: good.values[1..].to_vec(), ..good.clone() }.encode();
    let without_meta = {
        let mut empty = good.clone();
        empty.meta.others.clear();
        let bytes = empty.encode();
        bytes[..bytes.len() - 1].to_vec()
    };
    let with_meta = |tag: u64, value: &[u8]| {
        let mut out = Writer::new();
        out.raw(&without_meta);
        TlvWriter::new().entry(tag, value).finish(&mut out);
        out.into_bytes()
    };
    let (broken, surrogate) = (with_text("ab\u{1f600}defg"), [0xed, 0xa0, 0x80]);
    let text_at = bytes.windows(9).position(|part| part == b"\x08abcabcde").expect("the text");
    let bad_text = [&bytes[..text_at + 1], &[0xff], &bytes[text_at + 2..]].concat();
    cases.extend([
        case("nothing", "no names", &[], "truncated"),
        case("trailing byte", "a byte after the meta", &[&bytes[..], &[0]].concat(), "trailing"),
        case("a unit too few", "the text is shorter than the inserts", &with_text("abcdefg"), "invalid"),
        case("a unit too many", "the text is longer than the inserts", &with_text("abcdefghi"), "invalid"),
        case("a character cut", "an insert of 3 units ends inside a character", &broken, "invalid"),
        case("text that is no UTF-8", "0xff", &bad_text, "utf-8"),
        case("a value less", "the meta is read as a value", &missing_value, "unknown"),
        case("without meta", "an empty tlv is a byte", &without_meta, "truncated"),
        case("critical meta", "a later version may know it", &with_meta(9, b"x"), "unsupported"),
        case("a message that is no UTF-8", "a lone surrogate", &with_meta(2, &surrogate), "utf-8"),
        case("headers that are no value", "an unknown tag", &with_meta(4, &[0x0a]), "unknown"),
        case("headers and more", "a byte after the value", &with_meta(4, &[0, 0]), "trailing"),
        case("a map key that is no UTF-8", "a lone surrogate", &with_name(1, &surrogate), "utf-8"),
        case("a set element that is no value", "NaN", &with_name(2, &unhex("04000000000000f87f")), "invalid"),
        case("a name of 4,097 bytes", "4,096 at most", &with_name(1, &[b'a'; 4_097]), "over-limit"),
        case("2^63 names", "no such list", &[&[0x80; 9][..], &[1]].concat(), "over-limit"),
    ]);
    cases
}

fn named(id: NamedId) -> Json {
    match id {
        NamedId::Object(ObjectId(id)) | NamedId::Name(NameId(id)) => json!(hex(&id)),
    }
}

pub fn run(input: &Json) -> Outcome {
    let skeleton = decode_skeleton(&input["skeleton"]).expect("a good skeleton");
    let content = Content::decode(&unhex(input["bytes"].as_str().expect("hex")), &skeleton).map_err(|error| error.code())?;
    let key = NameKey::new(unhex(input["name_key"].as_str().expect("hex")).try_into().expect("32 bytes"));
    let confirmed: Vec<Json> = content.confirmed_names(&skeleton, &key).into_iter().map(|(id, _)| named(id)).collect();
    Ok(json!({ "content": describe::content(&content, &skeleton), "confirmed": confirmed }))
}
