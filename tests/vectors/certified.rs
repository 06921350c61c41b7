//! `blocks.json`: proofs that a block is certified, as they are handed to whoever has nothing of the space: most of them prove nothing.

use crate::fixture::{OWNER, chain, device, genesis, grant, guest_links, hex, key, owner_links, space, unhex};
use crate::{Case, Outcome, ok, refused};
use serde_json::{Value as Json, json};
use stemma::audit::{BlockHeader, BlockId, BlockProof, Phase, Precommit, ValidatorSet, Vote};
use stemma::causal::{ActorId, ChangesetId, MemberId, SpaceId};
use stemma::crypto::{Digest, Signature};
use stemma::event::{CertificateKind, Genesis, Role};

const ERA: ChangesetId = ChangesetId([0xe7; 32]);
const ROUND: u32 = 2;
type Link = (u8, u8, CertificateKind);

/// Of somebody whom the root granted something: their keys are `n`, `n + 1` and `n + 2`.
fn granted(n: u8, role: Role) -> Vec<Link> {
    vec![(1, n, grant(role)), (n, n + 1, device(n + 1)), (n + 1, n + 2, CertificateKind::Actor)]
}

/// The owner, somebody who was invited by an admin, and two whom the root let in.
fn people() -> Vec<Vec<Link>> {
    vec![owner_links(), guest_links(), granted(20, Role::Writer), granted(30, Role::Admin)]
}

fn member(links: &[Link]) -> MemberId {
    MemberId(key(links[links.len() - 3].1).public())
}

fn set(weights: &[u32]) -> ValidatorSet {
    let mut members: Vec<_> = people().iter().map(|links| member(links)).zip(weights.iter().copied()).collect();
    members.sort_unstable();
    ValidatorSet { members, ..ValidatorSet::default() }
}

fn header(set: &ValidatorSet) -> BlockHeader {
    BlockHeader {
        height: 300,
        round: 1,
        time_ms: 1_700_000_000_000,
        previous: BlockId([1; 32]),
        size: 1_000,
        root: Digest([2; 32]),
        frontier: Digest([3; 32]),
        set: set.digest(&ERA),
        next_set: Digest([5; 32]),
        attestations: vec![ChangesetId([6; 32]), ChangesetId([7; 32])],
    }
}

fn vote(header: &BlockHeader) -> Vote {
    let (height, set, block) = (header.height, header.set, Some(header.id()));
    Vote { height, round: ROUND, phase: Phase::Precommit, valid: None, set, block }
}

fn precommit(links: &[Link], vote: Vote, space: &SpaceId) -> Precommit {
    let actor = key(links[links.len() - 1].1);
    let signature = vote.sign(&actor, space).signature;
    Precommit { actor: ActorId(actor.public()), signature, chain: chain(links).encode() }
}

/// What the first so many signed of a block of this set.
fn proof(weights: &[u32], signers: &[usize]) -> BlockProof {
    let set = set(weights);
    let header = header(&set);
    let certificate = signers.iter().map(|at| precommit(&people()[*at], vote(&header), &space())).collect();
    BlockProof { header, round: ROUND, era: ERA, members: set.members, certificate }
}

fn to_json(proof: &BlockProof) -> Json {
    let member = |(member, weight): &(MemberId, u32)| json!({ "member": hex(&member.0), "weight": weight });
    let vote = |one: &Precommit| json!({ "actor": hex(&one.actor.0), "signature": hex(&one.signature.0), "chain": hex(&one.chain) });
    json!({ "proof": {
        "version": 1,
        "space": hex(&space().0),
        "header": hex(&proof.header.encode()),
        "round": proof.round,
        "era": hex(&proof.era.0),
        "validators": proof.members.iter().map(member).collect::<Vec<_>>(),
        "genesis": hex(genesis().as_bytes()),
        "certificate": proof.certificate.iter().map(vote).collect::<Vec<_>>(),
    } })
}

pub fn cases() -> Vec<Case> {
    let equal = [1, 1, 1, 1];
    let good: [(&str, &str, BlockProof); 5] = [
        ("three of four", "a quorum of members of one weight", proof(&equal, &[0, 1, 2])),
        ("four of four", "more than it takes", proof(&equal, &[3, 2, 1, 0])),
        ("by weight", "7 of 10 are two of four members", proof(&[4, 3, 2, 1], &[0, 1])),
        ("the greatest weights", "they do not overflow", proof(&[u32::MAX; 4], &[1, 2, 3])),
        ("one alone", "a set of one", proof(&[1], &[0])),
    ];
    let mut cases: Vec<Case> = good.iter().map(|(name, what, proof)| {
        let input = to_json(proof);
        let result = run(&input).expect("it is valid");
        ok(name, what, input, result)
    }).collect();

    let base = proof(&equal, &[0, 1, 2]);
    let with = |alter: &dyn Fn(&mut BlockProof)| {
        let mut altered = base.clone();
        alter(&mut altered);
        to_json(&altered)
    };
    // Signed anew, so that nothing but the rule in question is broken.
    let signed = |alter: &dyn Fn(&mut Vote, &mut SpaceId)| {
        with(&|proof| {
            let (mut vote, mut space) = (vote(&proof.header), space());
            alter(&mut vote, &mut space);
            proof.certificate[1] = precommit(&people()[1], vote, &space);
        })
    };
    let header_of = |alter: &dyn Fn(&mut BlockHeader)| with(&|proof| alter(&mut proof.header));
    let field = |name: &str, value: Json| {
        let mut input = to_json(&base);
        input["proof"][name] = value;
        input
    };
    let raw = hex(&base.header.encode());
    let stranger = granted(40, Role::Owner);
    let second_actor = vec![owner_links()[0], (OWNER, 41, device(41)), (41, 42, CertificateKind::Actor)];
    let unsorted = BlockHeader { attestations: vec![ChangesetId([7; 32]), ChangesetId([6; 32])], ..base.header.clone() };
    let elsewhere = Genesis::new(key(50).verifying_key(), &[0x11; 16]);
    let hostile: Vec<(&str, &str, Json, &str)> = vec![
        ("two of four", "a quorum is more than two thirds", to_json(&proof(&equal, &[0, 1])), "certificate"),
        ("two thirds", "a quorum is more than that", to_json(&proof(&[1, 1, 1], &[0, 1])), "certificate"),
        ("6 of 10", "one short of a quorum by weight", to_json(&proof(&[4, 3, 2, 1], &[0, 2])), "certificate"),
        ("nobody", "a quorum is somebody", to_json(&proof(&equal, &[])), "certificate"),
        ("a set of nobody", "a quorum is somebody", to_json(&proof(&[], &[])), "certificate"),
        ("one counted three times", "each member counts once", with(&|proof| proof.certificate = vec![proof.certificate[0].clone(); 3]), "certificate"),
        ("two actors of one member", "each member counts once", with(&|proof| proof.certificate[1] = precommit(&second_actor, vote(&proof.header), &space())), "certificate"),
        ("a member who is not in the set", "only these count", with(&|proof| proof.certificate[1] = precommit(&stranger, vote(&proof.header), &space())), "certificate"),
        ("four, one of them a stranger", "whoever made it is not to be trusted with the rest", with(&|proof| proof.certificate.push(precommit(&stranger, vote(&proof.header), &space()))), "certificate"),
        ("the certificates of another", "they lead to whoever signed", with(&|proof| proof.certificate[1].chain = chain(&owner_links()).encode()), "chain"),
        ("certificates of another root", "they begin with that of the space", with(&|proof| proof.certificate[1].chain = chain(&[(50, 20, grant(Role::Owner)), (20, 21, device(21)), (21, 22, CertificateKind::Actor)]).encode()), "chain"),
        ("certificates that end with a device", "an actor signs", with(&|proof| proof.certificate[1].chain = chain(&guest_links()[..4]).encode()), "chain"),
        ("no certificates", "anybody has a key", with(&|proof| proof.certificate[1].chain = vec![0]), "chain"),
        ("certificates that are cut", "they do not decode", with(&|proof| proof.certificate[1].chain.truncate(60)), "chain"),
        ("a prevote", "it certifies nothing", signed(&|vote, _| vote.phase = Phase::Prevote), "signature"),
        ("a precommit of another round", "those of one round count", signed(&|vote, _| vote.round = ROUND + 1), "signature"),
        ("a precommit of another height", "it is of another chain", signed(&|vote, _| vote.height += 1), "signature"),
        ("a precommit for another block", "it certifies that one", signed(&|vote, _| vote.block = Some(BlockId([9; 32]))), "signature"),
        ("a precommit for none", "the round is to pass without one", signed(&|vote, _| vote.block = None), "signature"),
        ("a precommit of another set", "the set is signed", signed(&|vote, _| vote.set = Digest([9; 32])), "signature"),
        ("a precommit of another space", "the space is signed", signed(&|_, space| *space = SpaceId([9; 32])), "signature"),
        ("the signature of another", "the actor signs", with(&|proof| proof.certificate[1].signature = proof.certificate[0].signature), "signature"),
        ("another round", "all say another one", with(&|proof| proof.round = 1), "signature"),
        ("another root", "the header is signed", header_of(&|header| header.root = Digest([9; 32])), "signature"),
        ("another size", "the header is signed", header_of(&|header| header.size += 1), "signature"),
        ("another time", "the header is signed", header_of(&|header| header.time_ms += 1), "signature"),
        ("another next set", "the header is signed", header_of(&|header| header.next_set = Digest([9; 32])), "signature"),
        ("another set in the header", "it is the one that is shown", header_of(&|header| header.set = Digest([9; 32])), "validators"),
        ("another era", "it is in the hash of the set", with(&|proof| proof.era = ChangesetId([9; 32])), "validators"),
        ("another weight", "weights are in the hash of the set", with(&|proof| proof.members[0].1 = 9), "validators"),
        ("a member less", "members are in the hash of the set", with(&|proof| proof.members.truncate(3)), "validators"),
        ("a set that does not ascend", "it has one writing", with(&|proof| proof.members.reverse()), "validators"),
        ("attestations that do not ascend", "a header has one writing", field("header", json!(hex(&unsorted.encode()))), "header"),
        ("a header that is cut", "it is whole", field("header", json!(raw[..raw.len() - 2])), "header"),
        ("a header with more behind it", "nothing follows", field("header", json!(format!("{raw}00"))), "header"),
        ("another beginning", "its hash is the space", field("genesis", json!(hex(elsewhere.as_bytes()))), "genesis"),
        ("another space", "its beginning is another", field("space", json!(hex(&elsewhere.id().0))), "genesis"),
        ("a later version", "it is laid out in another way", field("version", json!(2)), "version"),
    ];
    cases.extend(hostile.into_iter().map(|(name, reason, input, class)| refused(name, reason, input, class)));
    cases
}

pub fn run(input: &Json) -> Outcome {
    let proof = &input["proof"];
    if proof["version"] != 1 {
        return Err("version".to_owned());
    }
    let bytes = |of: &Json, name: &str| unhex(of[name].as_str().expect("hex"));
    let id = |of: &Json, name: &str| <[u8; 32]>::try_from(bytes(of, name)).expect("32 bytes");
    let number = |of: &Json, name: &str| u32::try_from(of[name].as_u64().expect("a number")).expect("small");
    let precommit = |one: &Json| Precommit {
        actor: ActorId(id(one, "actor")),
        signature: Signature(bytes(one, "signature").try_into().expect("64 bytes")),
        chain: bytes(one, "chain"),
    };
    let list = |name: &str| proof[name].as_array().expect("a list");
    let header = BlockHeader::decode(&bytes(proof, "header")).map_err(|_| "header")?;
    let genesis = Genesis::decode(&bytes(proof, "genesis")).ok().filter(|genesis| genesis.id().0 == id(proof, "space"));
    let read = BlockProof {
        header,
        round: number(proof, "round"),
        era: ChangesetId(id(proof, "era")),
        members: list("validators").iter().map(|one| (MemberId(id(one, "member")), number(one, "weight"))).collect(),
        certificate: list("certificate").iter().map(precommit).collect(),
    };
    let genesis = genesis.ok_or("genesis")?;
    let shown = read.check(&genesis).map_err(|fault| fault.code())?;
    let BlockHeader { height, time_ms, previous, size, root, set, next_set, .. } = &read.header;
    Ok(json!({
        "space": hex(&genesis.id().0),
        "id": shown.id.to_string(),
        "height": height,
        "time": time_ms,
        "previous": previous.to_string(),
        "size": size,
        "root": root.to_string(),
        "validators": set.to_string(),
        "nextValidators": next_set.to_string(),
        "signers": shown.signers.iter().map(|(member, weight)| json!({ "member": hex(&member.0), "weight": weight })).collect::<Vec<_>>(),
        "weight": shown.weight,
        "quorum": shown.quorum,
        "total": shown.total,
    }))
}
