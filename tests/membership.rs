//! Who is who: certificates, chains, invites and logins through the public API.

mod fixture;

use fixture::{
    ADMIN, GUEST, GUEST_ACTOR, GUEST_DEVICE, INVITE, OWNER, OWNER_ACTOR, OWNER_DEVICE, ROOT, chain, device,
    genesis, grant, guest_links, invite, key, keyring, owner_chain, owner_links, space, the_invite, unhex,
    x25519,
};
use std::num::NonZeroU64;
use stemma::causal::{ActorId, MemberId, SpaceId};
use stemma::codec::base64url;
use stemma::crypto::{AgreementPublic, EpochSecret, Keyring, NameKey, Tag, hash};
use stemma::event::{
    Author, Certificate, CertificateKind, Chain, ChainFault, Device, Genesis, Invite, InviteError,
    InviteTerms, Login, LoginProof, ReadError, Role, Unsupported,
};

type Link = (u8, u8, CertificateKind);

/// The certificate and the fault for which a chain is refused.
fn fault(chain: &Chain) -> (usize, ChainFault) {
    let error = chain.verify_actor(&genesis()).expect_err("must not verify");
    (error.at, error.fault)
}

fn fault_of(links: &[Link]) -> (usize, ChainFault) {
    fault(&chain(links))
}

/// The chain of the guest with one certificate replaced.
fn with_link(at: usize, link: Link) -> Vec<Link> {
    let mut links = guest_links();
    links[at] = link;
    links
}

fn member(n: u8) -> MemberId {
    MemberId(key(n).public())
}

fn device_of(n: u8) -> Device {
    Device { key: key(n).public(), agreement: AgreementPublic::parse(&x25519(n)).expect("a key") }
}

#[test]
fn a_grant_makes_an_author() {
    let author = owner_chain().verify_actor(&genesis()).expect("a good chain");
    let expected = Author {
        role: Role::Owner,
        member: member(OWNER),
        device: device_of(OWNER_DEVICE),
        actor: ActorId(key(OWNER_ACTOR).public()),
        not_after: None,
        invite: None,
    };
    assert_eq!(author, expected);
}

#[test]
fn an_invite_by_an_admin_makes_an_author_with_the_role_of_the_invite() {
    let author = chain(&guest_links()).verify_actor(&genesis()).expect("a good chain");
    let terms = InviteTerms {
        key: key(INVITE).public(),
        role: Role::Writer,
        not_after: NonZeroU64::new(1_800_000_000_000),
        uses: NonZeroU64::new(3),
    };
    let expected = Author {
        role: Role::Writer,
        member: member(GUEST),
        device: device_of(GUEST_DEVICE),
        actor: ActorId(key(GUEST_ACTOR).public()),
        not_after: terms.not_after,
        invite: Some(terms),
    };
    assert_eq!(author, expected);
}

#[test]
fn an_invite_by_the_root_or_an_owner_is_as_good() {
    let by_root: Vec<Link> =
        [vec![(ROOT, INVITE, invite(Role::Reader))], guest_links()[2..].to_vec()].concat();
    let author = chain(&by_root).verify_actor(&genesis()).expect("a good chain");
    assert_eq!((author.role, author.member), (Role::Reader, member(GUEST)));
    assert!(chain(&with_link(0, (ROOT, ADMIN, grant(Role::Owner)))).verify_actor(&genesis()).is_ok());
}

#[test]
fn a_chain_may_end_early_where_no_actor_is_asked_for() {
    for end in 1..=5 {
        let verified = chain(&guest_links()[..end]).verify(&genesis()).expect("good so far");
        let reached = (verified.invite.is_some(), verified.device.is_some(), verified.actor.is_some());
        assert_eq!(reached, (end >= 2, end >= 4, end == 5), "{end}");
        let member = if end == 1 { Some(member(ADMIN)) } else { (end >= 3).then(|| member(GUEST)) };
        assert_eq!(verified.member, member, "{end}: the admin is not the guest");
        assert_eq!(chain(&guest_links()[..end]).verify_actor(&genesis()).is_ok(), end == 5);
    }
    assert_eq!(fault_of(&guest_links()[..4]), (4, ChainFault::Order));
    assert_eq!(fault_of(&[]), (0, ChainFault::Order));
}

#[test]
fn those_without_the_right_cannot_invite() {
    for role in [Role::Reader, Role::Writer] {
        assert_eq!(fault_of(&with_link(0, (ROOT, ADMIN, grant(role)))), (1, ChainFault::Right));
    }
}

#[test]
fn certificates_follow_each_other_in_order() {
    let [grant_1, invite_2, member_3, device_4, actor_5] = guest_links().try_into().expect("five");
    let orders: [(&[Link], usize); 7] = [
        (&[(ROOT, GUEST, CertificateKind::Member)], 0),
        (&[(ROOT, GUEST_DEVICE, device(GUEST_DEVICE))], 0),
        (&[(ROOT, GUEST_ACTOR, CertificateKind::Actor)], 0),
        (&[grant_1, (ADMIN, GUEST, grant(Role::Writer))], 1),
        (&[grant_1, invite_2, (INVITE, GUEST_DEVICE, device(GUEST_DEVICE))], 2),
        (&[grant_1, invite_2, member_3, (GUEST, INVITE, invite(Role::Writer))], 3),
        (&[grant_1, invite_2, member_3, device_4, actor_5, (GUEST_ACTOR, 50, CertificateKind::Actor)], 5),
    ];
    for (links, at) in orders {
        assert_eq!(fault_of(links), (at, ChainFault::Order), "{links:?}");
    }
    let twice = [(ROOT, INVITE, invite(Role::Writer)), (INVITE, 50, invite(Role::Writer))];
    assert_eq!(fault_of(&twice), (1, ChainFault::Order), "an invite does not invite");
}

#[test]
fn every_issuer_is_the_one_before() {
    for at in 0..5 {
        let mut links = guest_links();
        links[at].0 = 77;
        assert_eq!(fault_of(&links), (at, ChainFault::Link));
    }
}

#[test]
fn certificates_of_another_space_prove_nothing() {
    let foreign = Certificate::issue(&key(ROOT), SpaceId([9; 32]), key(OWNER).public(), grant(Role::Owner));
    assert_eq!(fault(&Chain::new(vec![foreign])), (0, ChainFault::Space));
    let other = Genesis::new(key(ROOT).verifying_key(), &[0x12; 16]);
    assert_ne!(other.id(), space(), "the nonce makes spaces of one root differ");
    assert_eq!(owner_chain().verify(&other).map_err(|error| error.fault), Err(ChainFault::Space));
}

#[test]
fn subjects_are_usable_keys() {
    let small_order: [u8; 32] = unhex(&format!("01{}", "00".repeat(31))).try_into().expect("32 bytes");
    let certificate = Certificate::issue(&key(ROOT), space(), small_order, grant(Role::Owner));
    assert_eq!(fault(&Chain::new(vec![certificate])), (0, ChainFault::Key));
    let mut links = owner_links();
    links[1].2 = CertificateKind::Device { x25519: [0; 32] };
    assert_eq!(fault_of(&links), (1, ChainFault::Key), "secrets for this device would be for everybody");
}

#[test]
fn no_bit_of_a_chain_can_be_flipped_unnoticed() {
    let bytes = chain(&guest_links()).encode();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let verified = Chain::decode(&flipped).map(|chain| chain.verify_actor(&genesis()).is_ok());
        assert_ne!(verified, Ok(true), "bit {bit}");
    }
}

#[test]
fn later_versions_of_certificates_are_unsupported_and_not_malformed() {
    let bytes = owner_chain().certificates()[0].as_bytes().to_vec();
    let read = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        Certificate::decode(&bytes).map(|_| ()).map_err(|error| match error {
            ReadError::Unsupported(Unsupported { what, .. }) => what,
            ReadError::Malformed(error) => error.code(),
        })
    };
    assert_eq!(read(0, 2), Err("unknown"), "the version byte says whether the rest is laid out like this");
    assert_eq!(read(1, 2), Err("certificate suite"));
    assert_eq!(read(2, 6), Err("certificate kind"));
    assert_eq!(read(3, 1), Err("certificate flags"));
    assert_eq!(read(100, 5), Err("role"));
}

#[test]
fn an_invite_does_not_make_admins() {
    let certificate = Certificate::issue(&key(ROOT), space(), key(INVITE).public(), invite(Role::Admin));
    assert_eq!(Certificate::decode(certificate.as_bytes()).map_err(|error| error.code()), Err("invalid"));
}

#[test]
fn chains_have_eight_certificates_at_most() {
    let certificate = owner_chain().certificates()[0].clone();
    assert!(Chain::decode(&Chain::new(vec![certificate.clone(); 8]).encode()).is_ok());
    let long = Chain::new(vec![certificate; 9]).encode();
    assert_eq!(Chain::decode(&long).map_err(|error| error.code()), Err("over-limit"));
}

#[test]
fn invites_are_found_in_links() {
    let token = the_invite().encode().expect("short enough");
    let token = token.as_str();
    assert!(token.starts_with("stemma1."));
    let texts = [
        token.to_owned(),
        format!("  {token}\n"),
        format!("https://app.example/join?x=1#{token}"),
        format!("https://app.example/#/room?invite={token}&theme=dark"),
    ];
    for text in texts {
        let read = Invite::decode(&text).expect("an invite");
        assert_eq!(read.encode().expect("short enough").as_str(), token);
        assert_eq!((read.genesis(), read.chain()), (&genesis(), &chain(&guest_links()[..2])));
        assert_eq!((read.terms().role, read.terms().key), (Role::Writer, read.secret().public()));
        assert_eq!(
            read.keys().current().map(|epoch| epoch.kid()),
            keyring(&[0x44]).current().map(|epoch| epoch.kid())
        );
        assert_eq!(read.relays(), ["wss://relay.example", "ws://localhost:8000"]);
    }
}

#[test]
fn texts_without_a_whole_token_say_what_is_wrong() {
    let token = the_invite().encode().expect("short enough");
    let token = token.as_str();
    let code = |text: &str| Invite::decode(text).map(|_| ()).map_err(|error| error.code());
    assert_eq!(code(""), Err("no-token"));
    assert_eq!(code("https://app.example/#stemma2.AAAA"), Err("no-token"));
    assert_eq!(
        code(&format!("https://app.example/?{token}#")),
        Err("no-token"),
        "only the fragment stays in the browser"
    );
    assert_eq!(code("stemma1."), Err("damaged"));
    assert_eq!(code(&token[..token.len() - 1]), Err("damaged"));
    assert_eq!(code(&token.replacen("AQ", "AR", 1)), Err("damaged"));
    assert_eq!(code(&format!("{token}!")), Err("damaged"));
    assert_eq!(code(&format!("stemma1.{}", "A".repeat(30_000))), Err("too-long"));
}

#[test]
fn a_token_must_fit_together() {
    let parts = |chain: Chain, secret: u8| {
        Invite::new(genesis(), chain, key(secret), keyring(&[0x33]), Vec::new())
            .map(|_| ())
            .map_err(|error| error.code())
    };
    let good = chain(&guest_links()[..2]);
    assert_eq!(parts(good.clone(), INVITE), Ok(()));
    assert_eq!(parts(good.clone(), GUEST), Err("secret"));
    assert_eq!(parts(chain(&guest_links()[..1]), ADMIN), Err("no-invite"));
    assert_eq!(parts(chain(&guest_links()[..3]), INVITE), Err("no-invite"));
    assert_eq!(parts(chain(&with_link(0, (ROOT, ADMIN, grant(Role::Writer)))[..2]), INVITE), Err("right"));
    let other_space = Keyring::new([9; 32], NameKey::new([0; 32]));
    let foreign = Invite::new(genesis(), good, key(INVITE), other_space, Vec::new());
    assert_eq!(foreign.map(|_| ()), Err(InviteError::Secret));
}

#[test]
fn a_token_has_epochs_and_an_end() {
    let bytes = the_invite().encode_bytes().expect("short enough");
    let body = &bytes[..bytes.len() - 4];
    let read = |body: &[u8]| {
        let check = &hash(Tag::INVITE, &[body]).0[..4];
        Invite::decode_bytes(&[body, check].concat()).map(|_| ()).map_err(|error| error.code())
    };
    assert_eq!(read(body), Ok(()));
    assert_eq!(read(&[body, &[0]].concat()), Err("trailing"));
    assert_eq!(read(&body[..body.len() - 1]), Err("truncated"));
    let epochs =
        body.windows(33).position(|part| part[0] == 2 && part[1..] == [0x33; 32]).expect("two epochs");
    let without_epochs = [&body[..epochs], &[0], &body[epochs + 65..]].concat();
    assert_eq!(read(&without_epochs), Err("invalid"));
    let twice = [&body[..epochs + 33], &[0x33; 32], &body[epochs + 65..]].concat();
    assert_eq!(read(&twice), Err("invalid"));
}

#[test]
fn a_token_that_would_be_too_long_is_not_written() {
    let with = |epochs: usize, relays: Vec<String>| {
        let mut keys = keyring(&[]);
        (0..epochs).for_each(|n| {
            keys.add(EpochSecret::new([n as u8; 32]));
        });
        let chain = chain(&guest_links()[..2]);
        Invite::new(genesis(), chain, key(INVITE), keys, relays).expect("fits together").encode()
    };
    let longest = with(64, vec!["r".repeat(600); 16]).expect("just short enough");
    assert!(Invite::decode(&longest).is_ok() && longest.len() < 8 + base64url::encode(&[0; 16_384]).len());
    assert!(with(65, Vec::new()).is_none());
    assert!(with(1, vec![String::new(); 17]).is_none());
    assert!(with(1, vec!["r".repeat(2_049)]).is_none());
    assert!(with(64, vec!["r".repeat(1_000); 16]).is_none());
}

#[test]
fn an_invite_does_not_print_its_secrets() {
    let printed = format!("{:?}", the_invite());
    for secret in ["6, 6, 6", "51, 51, 51", "34, 34, 34", "0606", "3333", "2222"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}

#[test]
fn a_login_fits_one_relay_one_challenge_and_one_set_of_proofs() {
    let genesis = genesis();
    let chain = owner_chain().encode();
    let proofs = [LoginProof { genesis: genesis.as_bytes(), chain: &chain }];
    let actor = ActorId(key(OWNER_ACTOR).public());
    let login = Login { relay: &[1; 32], nonce: &[2; 32], client_nonce: &[3; 16], proofs: &proofs };
    let signature = login.sign(&key(OWNER_ACTOR));
    assert!(login.verify(actor, &signature).is_ok());
    let twice = [proofs[0], proofs[0]];
    let altered = [
        Login { relay: &[9; 32], ..login },
        Login { nonce: &[9; 32], ..login },
        Login { client_nonce: &[9; 16], ..login },
        Login { proofs: &[], ..login },
        Login { proofs: &twice, ..login },
    ];
    for login in altered {
        assert!(login.verify(actor, &signature).is_err(), "{login:?}");
    }
    assert!(login.verify(ActorId(key(OWNER).public()), &signature).is_err());
    assert!(login.verify(ActorId([0; 32]), &signature).is_err());
}

#[test]
fn bytes_cannot_move_between_the_proofs_of_a_login() {
    let login = |genesis, chain| {
        let proofs = [LoginProof { genesis, chain }];
        Login { relay: &[1; 32], nonce: &[2; 32], client_nonce: &[3; 16], proofs: &proofs }.sign(&key(1))
    };
    assert_ne!(login(b"ab", b"c"), login(b"a", b"bc"));
}
