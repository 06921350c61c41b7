//! `genesis.json`, `certificates.json`, `chains.json`, `invites.json`.

use crate::describe;
use crate::fixture::{
    ADMIN, GUEST, GUEST_ACTOR, GUEST_DEVICE, INVITE, OWNER, OWNER_ACTOR, OWNER_DEVICE, ROOT, chain, device, genesis, grant,
    guest_links, hex, invite, key, owner_chain, owner_links, space, the_invite, unhex,
};
use crate::{Case, Outcome, ok, refused};
use serde_json::{Value as Json, json};
use stemma::codec::{TlvWriter, Writer, base64url};
use stemma::crypto::{Tag, hash};
use stemma::event::{Certificate, CertificateKind, Chain, Genesis, Invite, Role};

type Link = (u8, u8, CertificateKind);

fn bytes(input: &Json, field: &str) -> Vec<u8> {
    unhex(input[field].as_str().expect("hex"))
}

fn with_byte(bytes: &[u8], at: usize, byte: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] = byte;
    bytes
}

pub fn genesis_cases() -> Vec<Case> {
    let good = genesis().as_bytes().to_vec();
    let input = |bytes: &[u8]| json!({ "bytes": hex(bytes) });
    let result = |bytes: &[u8]| json!({ "id": hex(&hash(Tag::GENESIS, &[bytes]).0), "root": hex(&key(ROOT).public()), "nonce": "11".repeat(16) });
    let with_ext = |write: &dyn Fn(&mut TlvWriter)| {
        let (mut out, mut ext) = (Writer::new(), TlvWriter::new());
        write(&mut ext);
        out.raw(&good[..52]);
        ext.finish(&mut out);
        out.into_bytes()
    };
    let unknown_entry = with_ext(&|ext| {
        ext.entry(2, b"later");
    });
    let critical_entry = with_ext(&|ext| {
        ext.entry(3, b"later");
    });
    let small_root = [&good[..4], &unhex(&format!("01{}", "00".repeat(31))), &good[36..]].concat();
    vec![
        ok("plain", "a genesis as it is made today", input(&good), result(&good)),
        ok(
            "unknown entry",
            "one that is not critical is ignored, and hashed",
            input(&unknown_entry),
            result(&unknown_entry),
        ),
        refused("empty", "nothing at all", input(&[]), "truncated"),
        refused("without ext", "the empty tlv is a byte", input(&good[..52]), "truncated"),
        refused("trailing byte", "a byte after the ext", input(&[&good[..], &[0]].concat()), "trailing"),
        refused("version 2", "laid out in another way", input(&with_byte(&good, 0, 2)), "unknown"),
        refused("suite 2", "a later version may read it", input(&with_byte(&good, 1, 2)), "unsupported"),
        refused("rules 2", "a later version may read it", input(&with_byte(&good, 2, 2)), "unsupported"),
        refused("a flag", "a later version may read it", input(&with_byte(&good, 3, 1)), "unsupported"),
        refused("critical entry", "a later version may read it", input(&critical_entry), "unsupported"),
        refused("root of small order", "anybody could sign", input(&small_root), "invalid"),
        refused("non-minimal ext length", "two bytes for a zero", input(&[&good[..52], &[0x80, 0]].concat()), "non-minimal"),
    ]
}

pub fn run_genesis(input: &Json) -> Outcome {
    let genesis = Genesis::decode(&bytes(input, "bytes")).map_err(|error| error.code())?;
    let nonce = &genesis.as_bytes()[36..52];
    Ok(json!({ "id": hex(&genesis.id().0), "root": hex(&genesis.root().to_bytes()), "nonce": hex(nonce) }))
}

pub fn certificate_cases() -> Vec<Case> {
    let input = |bytes: &[u8]| json!({ "bytes": hex(bytes) });
    let mut cases = Vec::new();
    let kinds = [
        ("grant", grant(Role::Owner)),
        ("invite", invite(Role::Writer)),
        ("member", CertificateKind::Member),
        ("device", device(GUEST_DEVICE)),
        ("actor", CertificateKind::Actor),
    ];
    for (name, kind) in kinds {
        let certificate = Certificate::issue(&key(ROOT), space(), key(OWNER).public(), kind);
        let bytes = certificate.as_bytes();
        let result = json!({
            "id": hex(&hash(Tag::CERTIFICATE_ID, &[&bytes[..bytes.len() - 64]]).0),
            "space": hex(&space().0),
            "issuer": hex(&key(ROOT).public()),
            "subject": hex(&key(OWNER).public()),
            "statement": describe::certificate_kind(&kind),
        });
        cases.push(ok(name, "a certificate of this kind", input(bytes), result));
    }
    let good = Certificate::issue(&key(ROOT), space(), key(OWNER).public(), grant(Role::Owner)).as_bytes().to_vec();
    let resigned = |body: &[u8]| {
        let id = hash(Tag::CERTIFICATE_ID, &[body]);
        [body, &key(ROOT).sign(Tag::CERTIFICATE_SIGNATURE, &[&id.0]).0].concat()
    };
    let body = &good[..good.len() - 64];
    let other_tag = {
        let id = hash(Tag::CERTIFICATE_ID, &[body]);
        [body, &key(ROOT).sign(Tag::CHANGESET_SIGNATURE, &[&id.0]).0].concat()
    };
    let changed = |at, byte| resigned(&with_byte(body, at, byte));
    let admin_invite = Certificate::issue(&key(ROOT), space(), key(OWNER).public(), invite(Role::Admin));
    let weak = [&body[..36], &unhex(&format!("01{}", "00".repeat(31))), &body[68..]].concat();
    let weak = [&weak[..], &[1], &[0; 63]].concat();
    let critical = [&body[..body.len() - 1], &[2, 3, 0]].concat();
    cases.extend([
        refused("cut", "the last byte is missing", input(&good[..good.len() - 1]), "truncated"),
        refused("trailing byte", "a byte after the signature", input(&[&good[..], &[0]].concat()), "trailing"),
        refused("version 2", "laid out in another way", input(&changed(0, 2)), "unknown"),
        refused("suite 2", "a later version may read it", input(&changed(1, 2)), "unsupported"),
        refused("kind 6", "a later version may read it", input(&changed(2, 6)), "unsupported"),
        refused("a flag", "a later version may read it", input(&changed(3, 1)), "unsupported"),
        refused("role 5", "a later version may read it", input(&changed(100, 5)), "unsupported"),
        refused("critical entry", "a later version may read it", input(&resigned(&critical)), "unsupported"),
        refused(
            "non-minimal time",
            "a zero in two bytes",
            input(&resigned(&[&body[..101], &[0x80, 0, 0]].concat())),
            "non-minimal",
        ),
        refused("invite of an admin", "an invite makes readers and writers", input(admin_invite.as_bytes()), "invalid"),
        refused("altered subject", "signed for another", input(&with_byte(&good, 70, good[70] ^ 1)), "signature"),
        refused("signature for another thing", "tagged as one of a changeset", input(&other_tag), "signature"),
        refused("issuer of small order", "the identity signs everything", input(&weak), "signature"),
        refused("no signature", "zeros", input(&[body, &[0; 64]].concat()), "signature"),
    ]);
    cases
}

pub fn run_certificate(input: &Json) -> Outcome {
    let certificate = Certificate::decode(&bytes(input, "bytes")).map_err(|error| error.code())?;
    certificate.verify().map_err(|_| "signature")?;
    Ok(json!({
        "id": hex(&certificate.id().0),
        "space": hex(&certificate.space().0),
        "issuer": hex(certificate.issuer()),
        "subject": hex(certificate.subject()),
        "statement": describe::certificate_kind(certificate.kind()),
    }))
}

pub fn chain_cases() -> Vec<Case> {
    let input = |chain: &[u8]| json!({ "genesis": hex(genesis().as_bytes()), "chain": hex(chain) });
    let links = guest_links();
    let with_link = |at: usize, link: Link| {
        let mut links = guest_links();
        links[at] = link;
        chain(&links).encode()
    };
    let by_root = [vec![(ROOT, INVITE, invite(Role::Reader))], links[2..].to_vec()].concat();
    let mut cases = Vec::new();
    let prefixes = ["the grant of an admin", "up to an invite", "up to a member", "up to a device", "a guest"];
    let mut good: Vec<(&str, Vec<Link>)> = (1..=5).map(|end| (prefixes[end - 1], links[..end].to_vec())).collect();
    good.push(("an owner", owner_links()));
    good.push(("a guest of the root", by_root));
    for (name, links) in good {
        let bytes = chain(&links).encode();
        let verified = chain(&links).verify(&genesis()).expect("a good chain");
        cases.push(ok(name, "a chain from the root", input(&bytes), describe::verified(&verified)));
    }
    let whole = chain(&links).encode();
    let foreign = Certificate::issue(&key(ROOT), stemma::causal::SpaceId([9; 32]), key(OWNER).public(), grant(Role::Owner));
    let nine = Chain::new(vec![foreign.clone(); 9]).encode();
    let zero_device = with_link(3, (GUEST, GUEST_DEVICE, CertificateKind::Device { x25519: [0; 32] }));
    let appended = chain(&[links.clone(), vec![(GUEST_ACTOR, 50, CertificateKind::Actor)]].concat()).encode();
    let last = whole.len() - 1;
    cases.extend([
        refused("empty", "no certificate", input(&[0]), "order"),
        refused("cut", "a byte is missing", input(&whole[..last]), "truncated"),
        refused("trailing byte", "a byte too many", input(&[&whole[..], &[0]].concat()), "trailing"),
        refused("nine certificates", "eight at most", input(&nine), "over-limit"),
        refused("a count of 2^63", "far more than there is", input(&[&[0x80; 9][..], &[0x01]].concat()), "over-limit"),
        refused("another space", "certificates are for one space", input(&Chain::new(vec![foreign]).encode()), "space"),
        refused(
            "another root",
            "the first issuer is the root",
            input(&with_link(0, (77, ADMIN, grant(Role::Admin)))),
            "link",
        ),
        refused(
            "a gap",
            "each issuer is the subject before it",
            input(&with_link(3, (OWNER, GUEST_DEVICE, device(GUEST_DEVICE)))),
            "link",
        ),
        refused(
            "invited by a writer",
            "only admins and owners invite",
            input(&with_link(0, (ROOT, ADMIN, grant(Role::Writer)))),
            "right",
        ),
        refused(
            "a member without an invite",
            "a member follows an invite",
            input(&chain(&[(ROOT, GUEST, CertificateKind::Member)]).encode()),
            "order",
        ),
        refused(
            "a grant by a member",
            "only the root grants",
            input(&chain(&[links[0], (ADMIN, OWNER, grant(Role::Owner))]).encode()),
            "order",
        ),
        refused("after the actor", "an actor is the end", input(&appended), "order"),
        refused("device that shares zeros", "its X25519 key is of small order", input(&zero_device), "key"),
        refused(
            "altered signature",
            "the last bit of the last certificate",
            input(&with_byte(&whole, last, whole[last] ^ 1)),
            "signature",
        ),
    ]);
    cases
}

pub fn run_chain(input: &Json) -> Outcome {
    let genesis = Genesis::decode(&bytes(input, "genesis")).expect("a good genesis");
    let chain = Chain::decode(&bytes(input, "chain")).map_err(|error| error.code())?;
    let verified = chain.verify(&genesis).map_err(|error| error.fault.code())?;
    assert_eq!(verified.actor.is_some(), chain.verify_actor(&genesis).is_ok());
    Ok(describe::verified(&verified))
}

pub fn invite_cases() -> Vec<Case> {
    let input = |text: &str| json!({ "text": text });
    let token = the_invite().encode().expect("short enough").to_string();
    let bytes = the_invite().encode_bytes().expect("short enough").to_vec();
    let body = &bytes[..bytes.len() - 4];
    let result = json!({
        "genesis": hex(genesis().as_bytes()),
        "chain": hex(&chain(&guest_links()[..2]).encode()),
        "terms": describe::terms(the_invite().terms()),
        "secret": hex(&[INVITE; 32]),
        "epochs": ["33".repeat(32), "44".repeat(32)],
        "name_key": "22".repeat(32),
        "relays": ["wss://relay.example", "ws://localhost:8000"],
    });
    let rebuilt = |body: &[u8]| {
        let check = &hash(Tag::INVITE, &[body]).0[..4];
        format!("stemma1.{}", base64url::encode(&[body, check].concat()))
    };
    let parts = |chain: &Chain, secret: u8, epochs: &[u8]| {
        let mut out = Writer::new();
        out.bytes(genesis().as_bytes()).raw(&chain.encode()).raw(&[secret; 32]).varint(epochs.len() as u64);
        epochs.iter().for_each(|epoch| {
            out.raw(&[*epoch; 32]);
        });
        out.raw(&[0x22; 32]).u8(0);
        rebuilt(out.as_slice())
    };
    let good = chain(&guest_links()[..2]);
    let writer_invites = chain(&[(ROOT, ADMIN, grant(Role::Writer)), guest_links()[1]]);
    let forged = chain(&[(77, ADMIN, grant(Role::Admin)), guest_links()[1]]);
    vec![
        ok("token", "a token by itself", input(&token), result.clone()),
        ok("link", "in the fragment of an address", input(&format!("https://app.example/#{token}")), result.clone()),
        ok(
            "link with parameters",
            "before other parameters",
            input(&format!("https://app.example/#/a?i={token}&b=c")),
            result,
        ),
        refused("no token", "a text without one", input("https://app.example/#room"), "no-token"),
        refused("in the query", "a query is sent to servers", input(&format!("https://app.example/?{token}#")), "no-token"),
        refused("another version", "not this token", input(&token.replace("stemma1.", "stemma2.")), "no-token"),
        refused("cut", "a character is missing", input(&token[..token.len() - 1]), "damaged"),
        refused("altered", "the check sum does not fit", input(&token.replacen('A', "B", 1)), "damaged"),
        refused("padding", "base64 without padding", input(&format!("{token}=")), "damaged"),
        refused("too long", "16,384 bytes at most", input(&format!("stemma1.{}", "A".repeat(21_852))), "too-long"),
        refused("trailing byte", "a byte after the relays", input(&rebuilt(&[body, &[0]].concat())), "trailing"),
        refused("truncated", "the check sum fits, a byte is missing", input(&rebuilt(&body[..body.len() - 1])), "truncated"),
        refused("another secret", "it does not belong to the invite", input(&parts(&good, GUEST, &[0x33])), "secret"),
        refused("no epoch", "nothing could be read with it", input(&parts(&good, INVITE, &[])), "invalid"),
        refused("an epoch twice", "one token would have many forms", input(&parts(&good, INVITE, &[0x33, 0x33])), "invalid"),
        refused(
            "65 epochs",
            "64 at most",
            input(&parts(&good, INVITE, &std::array::from_fn::<u8, 65, _>(|n| n as u8))),
            "over-limit",
        ),
        refused(
            "invited by a writer",
            "only admins and owners invite",
            input(&parts(&writer_invites, INVITE, &[0x33])),
            "right",
        ),
        refused("another root", "the chain begins at the root", input(&parts(&forged, INVITE, &[0x33])), "link"),
        refused(
            "chain to a member",
            "it ends at the invite",
            input(&parts(&chain(&guest_links()[..1]), ADMIN, &[0x33])),
            "no-invite",
        ),
        refused(
            "chain to an actor",
            "it ends at the invite",
            input(&parts(&owner_chain(), OWNER_ACTOR, &[0x33])),
            "no-invite",
        ),
        refused(
            "chain to a device",
            "it ends at the invite",
            input(&parts(&chain(&owner_links()[..2]), OWNER_DEVICE, &[0x33])),
            "no-invite",
        ),
    ]
}

pub fn run_invite(input: &Json) -> Outcome {
    let invite = Invite::decode(input["text"].as_str().expect("a text")).map_err(|error| error.code())?;
    Ok(json!({
        "genesis": hex(invite.genesis().as_bytes()),
        "chain": hex(&invite.chain().encode()),
        "terms": describe::terms(invite.terms()),
        "secret": hex(&*invite.secret().seed()),
        "epochs": invite.keys().secrets().map(|secret| hex(secret.as_bytes())).collect::<Vec<_>>(),
        "name_key": hex(invite.keys().names().as_bytes()),
        "relays": invite.relays(),
    }))
}
