//! `evidence.json`: what shows that somebody contradicts itself, of every kind, and most of what could be taken for it.

use crate::fixture::{OWNER, OWNER_ACTOR, chain, device, draft, epoch, first_changeset, genesis, guest_links, hex, key, keyring, next_changeset, ops, owner_chain, space, unhex};
use crate::{Case, Outcome, ok, refused};
use serde_json::{Value as Json, json};
use stemma::audit::{Accused, BlockHeader, BlockId, Evidence, EvidenceFault, Phase, Proposal, Said, SignedProposal, SignedRun, SignedVote, Vote};
use stemma::causal::{ActorId, ChangesetId, LogChain, LogId, SpaceId};
use stemma::codec::Writer;
use stemma::crypto::{ChunkContext, ChunkKey, Digest, SigningKey};
use stemma::event::{CertificateKind, Chain, Changeset, Draft, Genesis, Manifest, SealedDigest, SnapshotId, Voice, snapshot_chunk_hash};

const SECRET: u8 = 0x33;
/// Another device and actor of the owner.
const DEVICE: u8 = 60;
const ACTOR: u8 = 61;

/// Another changeset than `next_changeset`, in the same place.
fn beside(before: &Changeset, actor: u8) -> Changeset {
    let (skeleton, content) = ops::hello();
    let (skeleton, content) = (skeleton.encode(0), content.encode());
    let draft = draft(before.header().seq() + 1, Some(before.id()), &skeleton, Some(&content));
    draft.seal(&key(actor), &epoch(), &[0x78; 32]).expect("small")
}

fn with_skeleton(before: &Changeset, skeleton: &[u8]) -> Changeset {
    draft(before.header().seq() + 1, Some(before.id()), skeleton, None).seal(&key(OWNER_ACTOR), &epoch(), &[0x79; 32]).expect("small")
}

/// One whose number does not follow.
fn far(before: &Changeset) -> Changeset {
    let (skeleton, content) = ops::hello();
    let (skeleton, content) = (skeleton.encode(0), content.encode());
    draft(5, Some(before.id()), &skeleton, Some(&content)).seal(&key(OWNER_ACTOR), &epoch(), &[0x7a; 32]).expect("small")
}

/// The first one of an actor of somebody else.
fn of_another() -> Changeset {
    let (skeleton, content) = ops::hello();
    let (skeleton, content) = (skeleton.encode(0), content.encode());
    let chain = chain(&guest_links());
    let first = Draft { chain: Some(&chain), ..draft(0, None, &skeleton, Some(&content)) };
    first.seal(&key(9), &epoch(), &[0x7b; 32]).expect("small")
}

fn actor(n: u8) -> ActorId {
    ActorId(key(n).public())
}

/// The certificates of the owner's other actor.
fn other_chain() -> Chain {
    let owner = owner_chain().certificates()[0].clone();
    let rest = chain(&[(OWNER, DEVICE, device(DEVICE)), (DEVICE, ACTOR, CertificateKind::Actor)]);
    rest.certificates().iter().fold(Chain::new(vec![owner]), |chain, one| chain.extended(one.clone()))
}

fn vote(round: u32, phase: Phase, block: u8, valid: Option<u32>) -> Vote {
    Vote { height: 300, round, phase, valid, set: Digest([4; 32]), block: Some(BlockId([block; 32])) }
}

fn said(signer: u8, by: u8, chain: &Chain, vote: Vote) -> Said<SignedVote> {
    Said { actor: actor(by), statement: vote.sign(&key(signer), &space()), chain: chain.encode() }
}

fn block(by: u8, chain: &Chain, size: u64, round: u32) -> Said<SignedProposal> {
    let header = BlockHeader {
        height: 300,
        round: 0,
        time_ms: 1_700_000_000_000,
        previous: BlockId([1; 32]),
        size,
        root: Digest([2; 32]),
        frontier: Digest([3; 32]),
        set: Digest([4; 32]),
        next_set: Digest([5; 32]),
        attestations: vec![ChangesetId([6; 32])],
    };
    let statement = Proposal { round, valid: None, header }.sign(&key(by), &space());
    Said { actor: actor(by), statement, chain: chain.encode() }
}

/// That the owner signed of a snapshot that the state is this.
fn snapshot(of: &SpaceId, says: Digest, signer: &SigningKey, chain: &Chain, found: Digest) -> Evidence {
    let run = [5; 16];
    let epoch = epoch();
    let at = ChunkContext { space: &of.0, run: &run, number: 1, count: 1 };
    let digest = SealedDigest { state_hash: says, frontier: vec![ChangesetId([6; 32])] };
    let manifest = Manifest {
        state: 6,
        space: *of,
        log_id: LogId([2; 16]),
        cursor: 20,
        chain: LogChain([3; 16]),
        actor: actor(OWNER_ACTOR),
        run,
        kid: epoch.kid(),
        chunks: vec![(snapshot_chunk_hash(b"one"), 3)],
        seal: ChunkKey::new(&epoch, &at).seal(&digest.encode()),
    };
    let manifest = manifest.encode();
    let signature = Voice::Maker.sign(signer, SnapshotId::of(&manifest));
    Evidence::Snapshot { manifest, chain: chain.encode(), signature, found }
}

/// `kind` and two runs of headers, each with the signature of the last.
fn runs(kind: u8, sides: [&[&Changeset]; 2]) -> Vec<u8> {
    let mut out = Writer::new();
    out.u8(1).u8(kind);
    for side in sides {
        out.varint(side.len() as u64);
        for one in side {
            out.bytes(one.header().as_bytes());
        }
        out.raw(&side.last().expect("one").signed().signature().0);
    }
    out.into_bytes()
}

fn input(evidence: &[u8]) -> Json {
    json!({
        "proof": { "version": 1, "space": hex(&space().0), "genesis": hex(genesis().as_bytes()), "evidence": hex(evidence) },
        "epochs": [hex(&[SECRET; 32])],
    })
}

pub fn cases() -> Vec<Case> {
    let first = first_changeset();
    let (left, right) = (next_changeset(&first), beside(&first, OWNER_ACTOR));
    let after = next_changeset(&left);
    let (mine, other) = (owner_chain(), other_chain());
    let [lesser, greater] = if left.id() < right.id() { [&left, &right] } else { [&right, &left] };
    let run_of_lesser: Vec<&Changeset> = if lesser.id() == left.id() { vec![&left, &after] } else { vec![lesser] };
    let run_of_greater: Vec<&Changeset> = if greater.id() == left.id() { vec![&left, &after] } else { vec![greater] };
    let gap = |of: &Changeset, prev: &Changeset| Evidence::Gap(SignedRun::of(of.signed()), Box::new(prev.header().clone())).encode();
    let body = |of: &Changeset, skeleton: &[u8]| Evidence::Body(SignedRun::of(of.signed()), skeleton.to_vec()).encode();
    let skeleton = |of: &Changeset| of.signed().skeleton().expect("it is here").to_vec();
    let bad = with_skeleton(&first, b"no skeleton");
    let (guest, distant) = (of_another(), far(&first));
    let stolen = beside(&guest, OWNER_ACTOR);
    let votes = |one: Vote, another: Vote| Evidence::votes([said(OWNER_ACTOR, OWNER_ACTOR, &mine, one), said(OWNER_ACTOR, OWNER_ACTOR, &mine, another)]).encode();
    let prevote = |block| vote(2, Phase::Prevote, block, None);
    let two_actors = |second: Said<SignedVote>| Evidence::votes([said(OWNER_ACTOR, OWNER_ACTOR, &mine, prevote(1)), second]).encode();
    let blocks = |one: Said<SignedProposal>, another: Said<SignedProposal>| Evidence::blocks([one, another]).encode();
    let (says, found) = (Digest([7; 32]), Digest([8; 32]));
    let wrong = |found: Digest| snapshot(&space(), says, &key(OWNER_ACTOR), &mine, found).encode();

    let good: Vec<(&str, &str, Vec<u8>)> = vec![
        ("a fork", "two changesets after one", Evidence::fork(left.signed(), right.signed()).encode()),
        ("a fork shown by a later signature", "a signature covers what its hash covers", runs(1, [&run_of_lesser, &run_of_greater])),
        ("a gap", "the number does not follow", gap(&distant, &first)),
        ("the chain of another", "prev is somebody else's", gap(&stolen, &guest)),
        ("a body", "no member can read the skeleton", body(&bad, &skeleton(&bad))),
        ("a snapshot", "it says another state hash than somebody found", wrong(found)),
        ("two votes", "in one round and phase", votes(prevote(1), prevote(2))),
        ("a vote for one and for none", "in one round and phase", votes(prevote(1), Vote { block: None, ..prevote(1) })),
        ("a broken lock", "a prevote against a precommit that no polka allows", votes(vote(1, Phase::Precommit, 1, None), vote(3, Phase::Prevote, 2, Some(0)))),
        ("two blocks", "in one round", blocks(block(OWNER_ACTOR, &mine, 1, 0), block(OWNER_ACTOR, &mine, 2, 0))),
        ("two votes of two actors", "certificates show that they are one member", two_actors(said(ACTOR, ACTOR, &other, prevote(2)))),
        ("two blocks of two actors", "certificates show that they are one member", blocks(block(OWNER_ACTOR, &mine, 1, 0), block(ACTOR, &other, 2, 0))),
    ];
    let mut cases: Vec<Case> = good.iter().map(|(name, what, evidence)| {
        let input = input(evidence);
        let result = run(&input).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        ok(name, what, input, result)
    }).collect();

    let fork = &good[0].2;
    let middle = 2 + (fork.len() - 2) / 2;
    let swapped = [&fork[..2], &fork[middle..], &fork[2..middle]].concat();
    let flipped = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    let two_votes = &good[6].2;
    let half = 2 + (two_votes.len() - 2) / 2;
    let swapped_votes = [&two_votes[..2], &two_votes[half..], &two_votes[2..half]].concat();
    let long: Vec<&Changeset> = vec![&left; 17];
    let elsewhere = SpaceId([9; 32]);
    let foreign = |vote: Vote, space: &SpaceId| Said { actor: actor(OWNER_ACTOR), statement: vote.sign(&key(OWNER_ACTOR), space), chain: Vec::new() };
    let hostile: Vec<(&str, &str, Vec<u8>, &str)> = vec![
        ("one changeset twice", "it does not contradict itself", runs(1, [&[&left], &[&left]]), "consistent"),
        ("one after the other", "they stand in two places", runs(1, [&[&first], &[&left]]), "consistent"),
        ("the greater id first", "there is one writing", swapped, "consistent"),
        ("first ones of two actors", "each has a chain of its own", { let mut pair = [&first, &guest]; pair.sort_by_key(|one| one.id()); runs(1, [&[pair[0]], &[pair[1]]]) }, "consistent"),
        ("a fork that nobody signed", "the last signature is altered", flipped(fork, fork.len() - 1), "signature"),
        ("a run that is not linked", "each is the prev of the next", runs(1, [&[&first, &after], &[&right]]), "signature"),
        ("a run of two actors", "only one is accused", runs(1, [&[&guest, &stolen], &[&right]]), "signature"),
        ("a run of seventeen", "sixteen at most", runs(1, [&long, &[&right]]), "malformed"),
        ("a run of none", "there is one header at least", [&[1, 1, 0][..], &[0; 64]].concat(), "malformed"),
        ("a changeset that follows", "its number is the next one", gap(&left, &first), "consistent"),
        ("a header that it does not name", "it shows nothing about it", gap(&distant, &left), "consistent"),
        ("a gap that nobody signed", "anybody makes headers", { let bytes = gap(&distant, &first); let at = bytes.len() - first.header().as_bytes().len() - 4; flipped(&bytes, at) }, "signature"),
        ("a body that can be read", "nothing is wrong with it", body(&left, &skeleton(&left)), "consistent"),
        ("another skeleton", "the header names its own", body(&left, &[0; 64]), "consistent"),
        ("what a snapshot says too", "nobody says otherwise", wrong(says), "consistent"),
        ("a snapshot of another space", "nobody here made it", snapshot(&elsewhere, says, &key(OWNER_ACTOR), &mine, found).encode(), "space"),
        ("a snapshot that its maker did not sign", "anybody makes manifests", snapshot(&space(), says, &key(9), &mine, found).encode(), "chain"),
        ("a snapshot with certificates of another", "they lead to its maker", snapshot(&space(), says, &key(9), &chain(&guest_links()), found).encode(), "chain"),
        ("the same vote twice", "it does not contradict itself", votes(prevote(1), prevote(1)), "consistent"),
        ("votes of two rounds", "each round is voted on", votes(prevote(1), vote(3, Phase::Prevote, 2, None)), "consistent"),
        ("votes of two phases", "each is voted on", votes(prevote(1), vote(2, Phase::Precommit, 2, None)), "consistent"),
        ("a lock that a polka opens", "it was prevoted since", votes(vote(1, Phase::Precommit, 1, None), vote(3, Phase::Prevote, 2, Some(1))), "consistent"),
        ("votes of two heights", "each is voted on", votes(prevote(1), Vote { height: 301, ..prevote(2) }), "consistent"),
        ("votes of two sets", "each chain has its own", votes(prevote(1), Vote { set: Digest([9; 32]), ..prevote(2) }), "consistent"),
        ("the greater vote first", "there is one writing", swapped_votes, "consistent"),
        ("a vote that the accused did not sign", "nobody is framed", Evidence::votes([said(OWNER_ACTOR, OWNER_ACTOR, &mine, prevote(1)), said(9, OWNER_ACTOR, &mine, prevote(2))]).encode(), "signature"),
        ("a vote of another space", "the space is signed", Evidence::votes([foreign(prevote(1), &space()), foreign(prevote(2), &elsewhere)]).encode(), "signature"),
        ("votes of two members", "each may have its own", two_actors(said(9, 9, &chain(&guest_links()), prevote(2))), "chain"),
        ("votes of two actors without certificates", "nothing shows that they are one member", two_actors(Said { chain: vec![0], ..said(ACTOR, ACTOR, &other, prevote(2)) }), "chain"),
        ("the certificates of the other one", "each has its own", two_actors(said(ACTOR, ACTOR, &mine, prevote(2))), "chain"),
        ("certificates that nobody needs", "of one actor there are none", { let bare = votes(prevote(1), prevote(2)); let chain = mine.encode(); [&bare[..bare.len() - 1], &[chain.len() as u8 | 0x80, (chain.len() >> 7) as u8], &chain].concat() }, "chain"),
        ("blocks of two rounds", "each may have one", blocks(block(OWNER_ACTOR, &mine, 1, 0), block(OWNER_ACTOR, &mine, 2, 1)), "consistent"),
        ("the same block twice", "it does not contradict itself", blocks(block(OWNER_ACTOR, &mine, 1, 0), block(OWNER_ACTOR, &mine, 1, 0)), "consistent"),
        ("a later version", "it is laid out in another way", [&[2][..], &fork[1..]].concat(), "unknown"),
        ("a seventh kind", "a later version may know it", [&[1, 7][..], &fork[2..]].concat(), "unknown"),
        ("nothing", "no kind", vec![1], "malformed"),
    ];
    cases.extend(hostile.into_iter().map(|(name, reason, evidence, class)| refused(name, reason, input(&evidence), class)));
    for (name, _, evidence) in &good {
        let cut = &evidence[..evidence.len() - 1];
        cases.push(refused(&format!("{name}, cut"), "it says how long it is", input(cut), "malformed"));
        let longer = [&evidence[..], &[0]].concat();
        cases.push(refused(&format!("{name}, with more behind it"), "nothing follows", input(&longer), "malformed"));
    }
    let mut locked = input(&good[4].2);
    locked["epochs"] = json!([]);
    cases.push(refused("a body without its key", "only who has it can see", locked, "key"));
    let mut moved = input(fork);
    moved["proof"]["genesis"] = json!(hex(Genesis::new(key(50).verifying_key(), &[0x11; 16]).as_bytes()));
    moved["proof"]["space"] = json!(hex(&Genesis::new(key(50).verifying_key(), &[0x11; 16]).id().0));
    cases.push(refused("a fork in another space", "every header names its own", moved, "space"));
    cases
}

pub fn run(input: &Json) -> Outcome {
    let bytes = |of: &Json| unhex(of.as_str().expect("hex"));
    let genesis = Genesis::decode(&bytes(&input["proof"]["genesis"])).expect("a genesis");
    let secrets: Vec<u8> = input["epochs"].as_array().expect("a list").iter().map(|secret| bytes(secret)[0]).collect();
    let payload = bytes(&input["proof"]["evidence"]);
    if !Evidence::is_known(&payload) {
        return Err("unknown".to_owned());
    }
    let evidence = Evidence::decode(&payload).map_err(|_| "malformed")?;
    assert_eq!(evidence.encode(), payload);
    let accused = evidence.check(&genesis, &keyring(&secrets)).map_err(|fault| match fault {
        EvidenceFault::Space => "space",
        EvidenceFault::Signature => "signature",
        EvidenceFault::Consistent => "consistent",
        EvidenceFault::Chain => "chain",
        EvidenceFault::Key => "key",
    })?;
    let member = match accused {
        Accused::Member(member) => json!(hex(&member.0)),
        Accused::Actor(_) => Json::Null,
    };
    Ok(json!({
        "id": evidence.id(&genesis.id()).to_string(),
        "kind": evidence.kind(),
        "actors": evidence.actors().iter().map(|actor| hex(&actor.0)).collect::<Vec<_>>(),
        "member": member,
        "since": evidence.doubts().map(|(_, seq)| seq),
        "changesets": evidence.changesets().iter().map(|id| hex(&id.0)).collect::<Vec<_>>(),
    }))
}
