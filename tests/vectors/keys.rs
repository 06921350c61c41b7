//! `keys.json`: what is derived from the secrets of a space. `logins.json`: what an actor signs at a relay.

use crate::fixture::{OWNER_ACTOR, genesis, hex, key, names, owner_chain, space, unhex};
use crate::{Case, Outcome, ok, refused};
use serde_json::{Value as Json, json};
use stemma::audit::{DataSubject, Held};
use stemma::causal::{ActorId, MemberId, NameId};
use stemma::crypto::{
    AgreementKey, AgreementPublic, EpochSecret, NameKey, Signature, SigningKey, VerifyingKey, open_personal, seal_personal,
};
use stemma::event::{Login, LoginProof, NO_OPTIONS, Value};

pub fn cases() -> Vec<Case> {
    let name_key = hex(names().as_bytes());
    let name = |sort: u8, clear: &[u8]| json!({ "derive": "name", "name_key": name_key, "sort": sort, "clear": hex(clear) });
    let object = |kind: u8, options: &[u8], name: &str| json!({ "derive": "object", "name_key": name_key, "kind": kind, "options": hex(options), "name": name });
    let child = json!({ "derive": "child", "name_key": name_key, "parent": "07".repeat(16), "key": "08".repeat(16), "kind": 1, "options": "00" });
    let element = Value::from("red").to_bytes();
    let (outside, member) = (DataSubject::Outsider(NameId([8; 16])), DataSubject::Member(MemberId([7; 32])));
    let person = |derive: &str, kind: u8, sealed: &[u8]| {
        let payload = if kind == 0 { member } else { outside }.payload();
        let (space, by) = (hex(&space().0), "06".repeat(32));
        json!({ "derive": derive, "space": space, "key": "44".repeat(32), "member": by, "payload": hex(&payload), "sealed": hex(sealed) })
    };
    let held = Held::new(&[0x44; 32], outside, MemberId([6; 32]), &space().0, None);
    let sealed = seal_personal(held.key(), &space().0, &[9; 16], &Value::from("+49 731 1").to_bytes());
    let inputs = [
        ("kid", json!({ "derive": "kid", "space": hex(&space().0), "epoch": "33".repeat(32) })),
        ("kid in another space", json!({ "derive": "kid", "space": "00".repeat(32), "epoch": "33".repeat(32) })),
        ("map key", name(1, b"title")),
        ("empty map key", name(1, b"")),
        ("map key beyond ASCII", name(1, "Ünïcode \u{1f600}".as_bytes())),
        ("set element", name(2, &element)),
        ("account of the name of the map key", name(3, b"title")),
        ("command", name(4, b"cmd-1")),
        ("text", object(2, NO_OPTIONS, "essay")),
        ("map of the same name", object(1, NO_OPTIONS, "essay")),
        ("grow-only counter", object(3, &[3, 2, 1, 1], "visits")),
        ("child", child),
        ("signing key", json!({ "derive": "ed25519", "seed": "05".repeat(32) })),
        ("device key", json!({ "derive": "x25519", "seed": "05".repeat(32) })),
        ("key of somebody outside", person("person", 1, &[])),
        ("key of a member", person("person", 0, &[])),
        ("personal value", person("personal", 1, &sealed)),
    ];
    let derived = |(name, input): (&str, Json)| {
        let result = run(&input).expect("derivable");
        ok(name, "derived from a secret", input, result)
    };
    let mut cases: Vec<Case> = inputs.into_iter().map(derived).collect();
    let point = |kind: &str, bytes: String| json!({ "derive": kind, "public": bytes });
    let (zeros, ones) = ("00".repeat(31), "ff".repeat(30));
    for (name, reason, kind, bytes) in [
        ("identity as signing key", "of small order", "verify", format!("01{zeros}")),
        ("order 2 as signing key", "of small order", "verify", format!("ec{ones}7f")),
        ("order 4 as signing key", "of small order", "verify", format!("00{zeros}")),
        ("second encoding of a signing key", "y is above the field prime", "verify", format!("f0{ones}7f")),
        ("no point on the curve", "x has no square root", "verify", format!("02{zeros}")),
        ("zero as device key", "every secret shared with it is zero", "agree", format!("00{zeros}")),
        ("one as device key", "every secret shared with it is zero", "agree", format!("01{zeros}")),
        ("minus one as device key", "every secret shared with it is zero", "agree", format!("ec{ones}7f")),
        ("second encoding of a device key", "u is above the field prime", "agree", format!("f6{ones}7f")),
        ("device key with its top bit set", "one key would have two names", "agree", format!("09{}80", "00".repeat(30))),
    ] {
        cases.push(refused(name, reason, point(kind, bytes), "key"));
    }
    let mut altered = sealed.clone();
    altered[60] ^= 1;
    cases.push(refused("altered personal value", "it does not open", person("personal", 1, &altered), "sealed"));
    cases.push(refused("personal value of another", "the key is another one", person("personal", 0, &sealed), "sealed"));
    cases
}

fn person(input: &Json) -> Held {
    let bytes = |field: &str| unhex(input[field].as_str().expect("hex"));
    let array = |field: &str| <[u8; 32]>::try_from(bytes(field)).expect("32 bytes");
    let subject = DataSubject::of_payload(&bytes("payload")).expect("a payload");
    Held::new(&array("key"), subject, MemberId(array("member")), &array("space"), None)
}

pub fn run(input: &Json) -> Outcome {
    let bytes = |field: &str| unhex(input[field].as_str().expect("hex"));
    let array = |field: &str| <[u8; 32]>::try_from(bytes(field)).expect("32 bytes");
    let short = |field: &str| <[u8; 16]>::try_from(bytes(field)).expect("16 bytes");
    let number = |field: &str| u8::try_from(input[field].as_u64().expect("a number")).expect("a byte");
    let names = || NameKey::new(array("name_key"));
    let derived = match input["derive"].as_str().expect("what to derive") {
        "kid" => hex(&EpochSecret::new(array("epoch")).derive(&array("space")).kid().0),
        "name" => hex(&names().name(number("sort"), &bytes("clear"))),
        "object" => hex(&names().object(number("kind"), &bytes("options"), input["name"].as_str().expect("a name"))),
        "child" => hex(&names().child(&short("parent"), &short("key"), number("kind"), &bytes("options"))),
        "ed25519" => hex(&SigningKey::from_seed(&array("seed")).public()),
        "x25519" => hex(&AgreementKey::from_seed(&array("seed")).public().to_bytes()),
        "person" => hex(&person(input).key().kid().0),
        "personal" => {
            hex(&open_personal(person(input).key(), &array("space"), &bytes("sealed")).ok_or("sealed")?)
        }
        "verify" => VerifyingKey::parse(&array("public")).map(|key| hex(&key.to_bytes())).ok_or("key")?,
        "agree" => AgreementPublic::parse(&array("public")).map(|key| hex(&key.to_bytes())).ok_or("key")?,
        other => panic!("derive {other}"),
    };
    Ok(json!(derived))
}

pub fn login_cases() -> Vec<Case> {
    let (genesis, chain) = (genesis(), owner_chain().encode());
    let proof = LoginProof { genesis: genesis.as_bytes(), chain: &chain };
    let input = |proofs: &[LoginProof<'_>], nonce: [u8; 32], signature: Signature| {
        let proofs = proofs.iter().map(|proof| json!({ "genesis": hex(proof.genesis), "chain": hex(proof.chain) }));
        json!({
            "actor": hex(&key(OWNER_ACTOR).public()),
            "relay": "01".repeat(32),
            "nonce": hex(&nonce),
            "client_nonce": "03".repeat(16),
            "proofs": proofs.collect::<Vec<_>>(),
            "signature": hex(&signature.0),
        })
    };
    let sign = |proofs: &[LoginProof<'_>]| {
        Login { relay: &[1; 32], nonce: &[2; 32], client_nonce: &[3; 16], proofs }.sign(&key(OWNER_ACTOR))
    };
    let result = || json!("valid");
    vec![
        ok("one proof", "a login", input(&[proof], [2; 32], sign(&[proof])), result()),
        ok("two proofs", "a login with a second chain", input(&[proof, proof], [2; 32], sign(&[proof, proof])), result()),
        refused("another challenge", "an answer fits one challenge", input(&[proof], [9; 32], sign(&[proof])), "signature"),
        refused("a proof less", "the proofs are covered", input(&[proof], [2; 32], sign(&[proof, proof])), "signature"),
        refused("no signature", "zeros", input(&[proof], [2; 32], Signature([0; 64])), "signature"),
    ]
}

pub fn run_login(input: &Json) -> Outcome {
    fn array<const N: usize>(json: &Json) -> [u8; N] {
        unhex(json.as_str().expect("hex")).try_into().expect("as many bytes as the field has")
    }
    let bytes = |json: &Json| unhex(json.as_str().expect("hex"));
    let proofs = input["proofs"].as_array().expect("a list");
    let proofs: Vec<_> = proofs.iter().map(|proof| (bytes(&proof["genesis"]), bytes(&proof["chain"]))).collect();
    let proofs: Vec<_> = proofs.iter().map(|(genesis, chain)| LoginProof { genesis, chain }).collect();
    let (relay, nonce, client_nonce) = (array(&input["relay"]), array(&input["nonce"]), array(&input["client_nonce"]));
    let login = Login { relay: &relay, nonce: &nonce, client_nonce: &client_nonce, proofs: &proofs };
    match login.verify(ActorId(array(&input["actor"])), &Signature(array(&input["signature"]))) {
        Ok(()) => Ok(json!("valid")),
        Err(_) => Err("signature".to_owned()),
    }
}
