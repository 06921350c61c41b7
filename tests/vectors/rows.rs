//! `changesets.json`: whole rows, from the bytes to what they say, and the fate that a row has by itself.

use crate::fixture::ops::{Body, bodies, hello, with_ops};
use crate::fixture::{
    GUEST_ACTOR, ROOT, chain, first_changeset, genesis, grant, guest_links, hex, key, keyring, names, next_changeset,
    owner_links, unhex,
};
use crate::forge::{Forge, ext, kid, plaintext};
use crate::{Case, Outcome, describe, ok, refused};
use serde_json::{Value as Json, json};
use stemma::codec::Writer;
use stemma::crypto::{EpochSecret, Keyring, NameKey, SegmentKind};
use stemma::event::{BodyError, CertificateKind, Genesis, Role, SignedChangeset, VerifyError};

fn input(row: &[u8]) -> Json {
    json!({
        "row": hex(row),
        "genesis": hex(genesis().as_bytes()),
        "epochs": ["33".repeat(32)],
        "name_key": hex(names().as_bytes()),
    })
}

pub fn cases() -> Vec<Case> {
    let mut cases = good();
    cases.extend(malformed());
    cases.extend(not_authentic());
    cases.extend(unsupported());
    cases.extend(unreadable());
    cases
}

fn body() -> (Vec<u8>, Vec<u8>) {
    let (skeleton, content) = hello();
    (skeleton.encode(0), content.encode())
}

fn second() -> Forge {
    let (skeleton, content) = body();
    Forge::second(&skeleton, Some(&content))
}

fn good() -> Vec<Case> {
    let (skeleton, content) = body();
    let first = Forge::first(&skeleton, Some(&content));
    let deps = |count: u8| {
        let mut out = Writer::new();
        out.varint(count.into());
        (0..count).for_each(|n| {
            out.raw(&[n; 32]);
        });
        out.into_bytes()
    };
    let guest = Forge {
        signer: GUEST_ACTOR,
        actor: key(GUEST_ACTOR).public(),
        ext: ext(&[(3, &chain(&guest_links()).encode())]),
        ..first.clone()
    };
    let redaction = [&[2][..], &[1; 32], &[2; 32]].concat();
    let empty = with_ops(Vec::new()).encode(0);
    let dropped = {
        let mut changeset = first_changeset();
        changeset.drop_content();
        changeset.signed().encode()
    };
    let damaged = {
        let mut row = second().row();
        let last = row.len() - 1;
        row[last] ^= 1;
        row
    };
    let by_library = next_changeset(&first_changeset()).signed().encode();
    let mut rows = vec![
        ("first", "seq 0 with its chain, padded by another writer", first.row()),
        ("first by the library", "padded as this library does", first_changeset().signed().encode()),
        ("second by the library", "padded as this library does", by_library),
        ("first of a guest", "a chain through an admin and an invite", guest.row()),
        ("second", "any prev: whether it exists is for the log", second().row()),
        ("32 deps", "as many as there may be", Forge { deps: deps(32), ..second() }.row()),
        ("no content", "there never was one", Forge::second(&empty, None).row()),
        ("content dropped", "everything else stays", dropped),
        ("content damaged", "counts as missing", damaged),
        (
            "content undecodable",
            "the values are absent, the ops stay",
            Forge { content: Some(plaintext(b"x")), ..second() }.row(),
        ),
        (
            "content padded with ones",
            "undecodable",
            Forge { content: Some([&plaintext(&content)[..], &[1]].concat()), ..second() }.row(),
        ),
        ("unknown entry", "travels on", Forge { ext: ext(&[(10, b"later")]), ..second() }.row()),
        ("ops root", "not critical", Forge { ext: ext(&[(6, &[7; 32])]), ..second() }.row()),
        (
            "redaction",
            "targets in clear",
            Forge { class: 0, skeleton: plaintext(&empty), content: None, ext: ext(&[(5, &redaction)]), ..second() }.row(),
        ),
        ("seq of five bytes", "the greatest", Forge { seq: vec![0xff, 0xff, 0xff, 0xff, 0x0f], ..second() }.row()),
    ];
    for Body { name, class, deps: count, skeleton, content } in bodies().into_iter().skip(1) {
        let forge = Forge::second(&skeleton.encode(count), Some(&content.encode()));
        let row = Forge { class: class as u8, deps: deps(count as u8), ..forge }.row();
        rows.push((name, "bodies of this kind", row));
    }
    rows.into_iter()
        .map(|(name, what, row)| {
            let result = run(&input(&row)).unwrap_or_else(|class| panic!("{name}: {class}"));
            ok(name, what, input(&row), result)
        })
        .collect()
}

fn malformed() -> Vec<Case> {
    let good = second();
    let row = good.row();
    let case = |name: &str, reason: &str, forge: Forge, class: &str| refused(name, reason, input(&forge.row()), class);
    let raw = |name: &str, reason: &str, row: &[u8], class: &str| refused(name, reason, input(row), class);
    let with_lens = |skeleton_len: &[u8], content_len: &[u8], content_hash: [u8; 32]| {
        let header = [&good.prefix()[..], skeleton_len, &[1; 32], content_len, &content_hash, &[0]].concat();
        good.row_of(&header, &[], None)
    };
    let list = |items: &[u8]| {
        let items: Vec<[u8; 32]> = items.iter().map(|n| [*n; 32]).collect();
        [&[items.len() as u8][..], &items.concat()].concat()
    };
    let presence = |present: u8| [&[present][..], &row[1..]].concat();
    let huge = [&[0xff; 8][..], &[0x7f]].concat();
    let foreign_chain = ext(&[(3, &chain(&guest_links()).encode())]);
    let (skeleton, content) = body();
    let first = || Forge::first(&skeleton, Some(&content));
    let redact = |targets: &[u8]| Forge { class: 0, ext: ext(&[(5, targets)]), ..second() };
    vec![
        raw("empty row", "nothing", &[], "decode: truncated"),
        raw("cut in the header", "a row of 60 bytes", &row[..60], "decode: truncated"),
        raw("cut in the skeleton", "a row without its end", &row[..row.len() - 200], "decode: truncated"),
        raw("trailing byte", "a byte after the content", &[&row[..], &[0]].concat(), "decode: trailing"),
        raw("present bit 2", "there are two segments", &presence(7), "decode: unknown"),
        case("header version 2", "laid out in another way", Forge { version: 2, ..second() }, "decode: unknown"),
        case(
            "seq of 2^32",
            "below 2^32",
            Forge { seq: vec![0x80, 0x80, 0x80, 0x80, 0x10], ..second() },
            "decode: over-limit",
        ),
        case("non-minimal seq", "1 in two bytes", Forge { seq: vec![0x81, 0], ..second() }, "decode: non-minimal"),
        case("prev at seq 0", "it is the space", Forge { prev: [1; 32], ..first() }, "decode: invalid"),
        case("deps out of order", "2, 1", Forge { deps: list(&[2, 1]), ..second() }, "decode: unsorted"),
        case("a dep twice", "1, 1", Forge { deps: list(&[1, 1]), ..second() }, "decode: unsorted"),
        case("33 deps", "32 at most", Forge { deps: list(&(0..33).collect::<Vec<_>>()), ..second() }, "decode: over-limit"),
        case("2^63 deps", "no such list", Forge { deps: huge.clone(), ..second() }, "decode: over-limit"),
        raw("no skeleton", "every changeset has one", &with_lens(&[0], &[0], [0; 32]), "decode: invalid"),
        raw("a skeleton of 31 bytes", "salt and tag are 32", &with_lens(&[31], &[0], [0; 32]), "decode: invalid"),
        raw("a content of 31 bytes", "salt and tag are 32", &with_lens(&[40], &[31], [1; 32]), "decode: invalid"),
        raw("hash of no content", "zeros", &with_lens(&[40], &[0], [1; 32]), "decode: invalid"),
        raw("a skeleton of 2^63 bytes", "no such segment", &with_lens(&huge, &[0], [0; 32]), "decode: over-limit"),
        raw(
            "256 KiB exceeded",
            "header, signature and segments together",
            &with_lens(&[0xff, 0xff, 0x0f], &[40], [1; 32]),
            "decode: over-limit",
        ),
        case("no chain at seq 0", "who is it?", Forge { ext: vec![0], ..first() }, "decode: invalid"),
        case("a chain at seq 1", "only at seq 0", Forge { ext: first().ext, ..second() }, "decode: invalid"),
        case("a chain to another actor", "it ends at the actor", Forge { ext: foreign_chain, ..first() }, "decode: invalid"),
        case(
            "a chain that is not critical",
            "it is critical",
            Forge { ext: ext(&[(2, &[0])]), ..second() },
            "decode: invalid",
        ),
        case("a chain that is none", "bytes", Forge { ext: ext(&[(3, &[1, 0])]), ..first() }, "decode: truncated"),
        case(
            "a critical ops root",
            "it is not critical",
            Forge { ext: ext(&[(7, &[7; 32])]), ..second() },
            "decode: invalid",
        ),
        case("a short ops root", "32 bytes", Forge { ext: ext(&[(6, &[7; 31])]), ..second() }, "decode: invalid"),
        case("a redaction in class data", "control only", Forge { class: 1, ..redact(&list(&[1])) }, "decode: invalid"),
        case("a redaction of nothing", "one target at least", redact(&[0]), "decode: invalid"),
        case("redaction targets out of order", "2, 1", redact(&list(&[2, 1])), "decode: unsorted"),
        case("an entry twice", "tags ascend", Forge { ext: vec![4, 8, 0, 8, 0], ..second() }, "decode: unsorted"),
        case(
            "an ext of 16,385 bytes",
            "16,384 at most",
            Forge { ext: ext(&[(8, &[0; 16_382])]), ..second() },
            "decode: over-limit",
        ),
        case("a non-minimal ext", "0 in two bytes", Forge { ext: vec![0x80, 0], ..second() }, "decode: non-minimal"),
    ]
}

fn not_authentic() -> Vec<Case> {
    let case = |name: &str, reason: &str, row: &[u8], class: &str| refused(name, reason, input(row), class);
    let (skeleton, content) = body();
    let with_chain = |links: &[(u8, u8, CertificateKind)]| {
        let last = links.last().expect("an actor").1;
        let chain = chain(links).encode();
        let forge = Forge::first(&skeleton, Some(&content));
        Forge { signer: last, actor: key(last).public(), ext: ext(&[(3, &chain)]), ..forge }.row()
    };
    let row = second().row();
    let signature_at = row.len() - segments_len(&row) - 64;
    let flipped = |at: usize| {
        let mut row = row.clone();
        row[at] ^= 1;
        row
    };
    // With the identity as key, R = identity and S = 0 fit every message.
    let mut identity = [0; 32];
    identity[0] = 1;
    let mut weak = Forge { actor: identity, ..second() }.row();
    weak[signature_at..signature_at + 64].fill(0);
    weak[signature_at] = 1;
    let mut high_s = row.clone();
    high_s[signature_at + 63] |= 0xe0;
    let mut writer_invites = guest_links();
    writer_invites[0].2 = grant(Role::Writer);
    let mut self_made = owner_links();
    self_made[0].0 = 77;
    let mut by_device = owner_links();
    by_device[2].2 = grant(Role::Owner);
    let mut foreign = second();
    foreign.space = [9; 32];
    vec![
        case("altered signature", "its first bit", &flipped(signature_at), "verify: signature"),
        case("altered id of the actor's past", "a bit of prev", &flipped(80), "verify: signature"),
        case(
            "signed by another",
            "the root is not the actor",
            &Forge { signer: ROOT, ..second() }.row(),
            "verify: signature",
        ),
        case(
            "signature of a certificate",
            "tagged as one",
            &Forge { tag: "cert-sig", ..second() }.row(),
            "verify: signature",
        ),
        case("actor of small order", "the identity signs everything", &weak, "verify: signature"),
        case("S above the group order", "malleable", &high_s, "verify: signature"),
        case("another space", "well signed, elsewhere", &foreign.row(), "space"),
        case("chain from another root", "self-made", &with_chain(&self_made), "chain: link"),
        case("chain invited by a writer", "without the right to", &with_chain(&writer_invites), "chain: right"),
        case("chain out of order", "a grant is no actor", &with_chain(&by_device), "chain: order"),
        case("chain that ends at a device", "a device is no actor", &with_chain(&owner_links()[..2]), "chain: order"),
    ]
}

fn segments_len(row: &[u8]) -> usize {
    let header = SignedChangeset::decode(row).expect("a good row").header().clone();
    header.skeleton().len as usize + header.content().map_or(0, |content| content.len as usize)
}

fn unsupported() -> Vec<Case> {
    let case = |name: &str, reason: &str, forge: Forge| refused(name, reason, input(&forge.row()), "pending: unsupported");
    let (skeleton, content) = body();
    let mut certificate = chain(&owner_links()).certificates()[0].as_bytes().to_vec();
    certificate[2] = 6;
    let mut later_chain = Writer::new();
    later_chain.u8(1).bytes(&certificate);
    let first = Forge::first(&skeleton, Some(&content));
    let later = "a later version may read it";
    vec![
        case("suite 2", later, Forge { suite: 2, ..second() }),
        case("class 6", later, Forge { class: 6, ..second() }),
        case("a flag", later, Forge { flags: 1, ..second() }),
        case("critical entry", later, Forge { ext: ext(&[(11, b"x")]), ..second() }),
        case("a chain of later certificates", later, Forge { ext: ext(&[(3, later_chain.as_slice())]), ..first }),
        case("segment codec 1", later, Forge { skeleton: [&[1][..], &plaintext(&skeleton)[1..]].concat(), ..second() }),
        case(
            "op 0x7f",
            later,
            Forge { skeleton: plaintext(&unhex("0100000000000001 7f00 00".replace(' ', "").as_str())), ..second() },
        ),
    ]
}

fn unreadable() -> Vec<Case> {
    let case = |name: &str, reason: &str, row: &[u8], class: &str| refused(name, reason, input(row), class);
    let (skeleton, content) = body();
    let good = second();
    let prefix = good.prefix();
    let sealed = |plain: &[u8]| Forge { skeleton: plain.to_vec(), ..second() }.row();
    let elsewhere = Forge { prev: [0x5b; 32], ..second() };
    let moved = good.row_with(&elsewhere.sealed(&elsewhere.prefix(), 0, &good.skeleton), None);
    let as_content = good.row_with(&good.sealed(&prefix, 1, &good.skeleton), None);
    let mut damaged = good.row();
    let skeleton_at = damaged.len() - segments_len(&damaged);
    damaged[skeleton_at] ^= 1;
    let without_skeleton = {
        let mut row = good.row();
        let content = good.sealed(&prefix, 1, &plaintext(&content));
        row.truncate(skeleton_at);
        row[0] = 1;
        [row, content].concat()
    };
    let other_epoch = Forge { epoch: 0x44, ..second() };
    let claimed = Forge { epoch: 0x44, kid: Some(kid(0x33)), ..second() };
    let padded = [&plaintext(&skeleton)[..], &[1]].concat();
    let with_length = |length: &[u8]| [&[0], length, &skeleton[..]].concat();
    vec![
        case("skeleton damaged", "the deliverer is to blame", &damaged, "pending: missing"),
        case("skeleton missing", "another delivery may have it", &without_skeleton, "pending: missing"),
        case("unknown epoch", "the key may come", &other_epoch.row(), "pending: no-key"),
        case("sealed under another epoch than it says", "no key ever opens it", &claimed.row(), "inert: sealed"),
        case("skeleton of another place", "sealed after another prev", &moved, "inert: sealed"),
        case("content as skeleton", "the kind is in the key", &as_content, "inert: sealed"),
        case("an empty plaintext", "a tag alone", &sealed(&[]), "inert: truncated"),
        case("a wrong length", "longer than the plaintext", &sealed(&with_length(&[0xff, 0x01])), "inert: truncated"),
        case(
            "a length of 2^32",
            "no such body",
            &sealed(&with_length(&[0x80, 0x80, 0x80, 0x80, 0x10])),
            "inert: over-limit",
        ),
        case("padding that is not zero", "a hidden byte", &sealed(&padded), "inert: invalid"),
        case(
            "a skeleton with a trailing byte",
            "not canonical",
            &sealed(&plaintext(&[&skeleton[..], &[0]].concat())),
            "inert: trailing",
        ),
        case(
            "data ops in a policy changeset",
            "ops stay in their class",
            &Forge { class: 2, ..second() }.row(),
            "inert: invalid",
        ),
        case(
            "a ref to a dep that is not there",
            "no deps",
            &sealed(&plaintext(&unhex("01000000010200000000 00".replace(' ', "").as_str()))),
            "inert: over-limit",
        ),
    ]
}

pub fn run(input: &Json) -> Outcome {
    let field = |name: &str| unhex(input[name].as_str().expect("hex"));
    let genesis = Genesis::decode(&field("genesis")).expect("a good genesis");
    let mut keys = Keyring::new(genesis.id().0, NameKey::new(field("name_key").try_into().expect("32 bytes")));
    for epoch in input["epochs"].as_array().expect("a list") {
        keys.add(EpochSecret::new(unhex(epoch.as_str().expect("hex")).try_into().expect("32 bytes")));
    }
    let row = field("row");
    let signed = SignedChangeset::decode(&row).map_err(|error| format!("decode: {}", error.code()))?;
    let changeset = signed.verify().map_err(|(_, error)| match error {
        VerifyError::Unsupported(_) => "pending: unsupported",
        _ => "verify: signature",
    })?;
    let header = changeset.header();
    if header.space() != genesis.id() {
        return Err("space".to_owned());
    }
    let author = header.chain().map(|chain| chain.verify_actor(&genesis)).transpose();
    let author = author.map_err(|error| format!("chain: {}", error.fault.code()))?;
    let skeleton = changeset.open_skeleton(&keys).map_err(|error| fate(&error))?;
    let content = match changeset.open_content(&keys, &skeleton) {
        Ok(content) => content.map(|content| describe::content(&content, &skeleton)),
        Err(error) => Some(json!({ "absent": error.code() })),
    };
    let body = |kind| changeset.open_segment(kind, &keys).ok().map(|body| hex(&body));
    Ok(json!({
        "header": describe::header(header),
        "signature": hex(&changeset.signed().signature().0),
        "author": author.as_ref().map(describe::author),
        "damaged": changeset.signed().is_damaged(),
        "skeleton_body": body(SegmentKind::Skeleton),
        "skeleton": describe::skeleton(&skeleton),
        "content_body": body(SegmentKind::Content),
        "content": content,
    }))
}

fn fate(error: &BodyError) -> String {
    let fate = if error.may_change() { "pending" } else { "inert" };
    format!("{fate}: {}", error.code())
}

#[test]
fn the_fixture_ring_is_the_ring_of_the_cases() {
    let ids = keyring(&[0x33]).current().map(|key| key.kid().0);
    assert_eq!(ids, Some(kid(0x33)), "derived here and in the library");
}
