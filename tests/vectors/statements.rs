//! `statements.json`: what validators sign about blocks, and choices that ask for blocks. The actor is that of the fixture's owner.

use crate::fixture::{OWNER_ACTOR, hex, key, unhex};
use crate::{Case, Outcome, ok, refused};
use serde_json::{Value as Json, json};
use stemma::audit::{
    Beginning, BlockHeader, BlockId, BlockRules, Phase, Proposal, SignedProposal, SignedVote, ValidatorSet, Vote,
};
use stemma::causal::{ActorId, ChangesetId, MemberId, SpaceId};
use stemma::crypto::Digest;

const SPACE: SpaceId = SpaceId([0x51; 32]);
const ERA: ChangesetId = ChangesetId([0xe7; 32]);

fn header() -> BlockHeader {
    BlockHeader {
        height: 300,
        round: 1,
        time_ms: 1_700_000_000_000,
        previous: BlockId([1; 32]),
        size: 1_000,
        root: Digest([2; 32]),
        frontier: Digest([3; 32]),
        set: Digest([4; 32]),
        next_set: Digest([5; 32]),
        attestations: vec![ChangesetId([6; 32]), ChangesetId([7; 32])],
    }
}

fn vote(phase: Phase, block: Option<BlockId>, valid: Option<u32>) -> Vote {
    Vote { height: 300, round: 2, phase, valid, set: Digest([4; 32]), block }
}

fn set(begins: Option<Beginning>) -> ValidatorSet {
    let members = vec![(MemberId([1; 32]), 1), (MemberId([2; 32]), 300)];
    ValidatorSet { pause_ms: 1_000, blocks: Some(BlockRules { max: 1_000, begins }), members }
}

pub fn cases() -> Vec<Case> {
    let owner = key(OWNER_ACTOR);
    let actor = hex(&owner.public());
    let input = |kind: &str, payload: &[u8]| json!({ "kind": kind, "space": hex(&SPACE.0), "era": hex(&ERA.0), "actor": actor, "payload": hex(payload) });
    let id = Some(header().id());
    let votes = [
        ("a prevote", vote(Phase::Prevote, id, None)),
        ("a prevote that appeals", vote(Phase::Prevote, id, Some(1))),
        ("a prevote for none", vote(Phase::Prevote, None, None)),
        ("a precommit", vote(Phase::Precommit, id, None)),
    ];
    let good = |name: &str, input: Json| {
        let result = run(&input).expect("it is valid");
        ok(name, "what a validator says", input, result)
    };
    let mut cases: Vec<Case> =
        votes.iter().map(|(name, vote)| good(name, input("vote", &vote.sign(&owner, &SPACE).encode()))).collect();
    let proposals = [
        ("a proposal", Proposal { round: 1, valid: None, header: header() }),
        ("a block proposed again", Proposal { round: 3, valid: Some(2), header: header() }),
    ];
    cases.extend(proposals.iter().map(|(name, one)| good(name, input("block", &one.clone().sign(&owner, &SPACE).encode()))));
    let begins = Beginning { height: 1, previous: BlockId(SPACE.0) };
    for (name, set) in [("validators who go on", set(None)), ("validators who begin", set(Some(begins)))] {
        cases.push(good(name, input("validators", &set.encode())));
    }

    let signed = votes[1].1.sign(&owner, &SPACE).encode();
    let block = proposals[1].1.clone().sign(&owner, &SPACE).encode();
    let choice = set(Some(begins)).encode();
    let altered = |bytes: &[u8], at: usize, byte: u8| {
        let mut bytes = bytes.to_vec();
        bytes[at] = byte;
        bytes
    };
    let elsewhere = votes[0].1.sign(&owner, &SpaceId([0x52; 32])).encode();
    let foreign = votes[0].1.sign(&key(1), &SPACE).encode();
    let unsorted = BlockHeader { attestations: vec![ChangesetId([7; 32]), ChangesetId([6; 32])], ..header() };
    let early = Proposal { round: 0, valid: None, header: header() };
    let hostile: [(&str, &str, &str, Vec<u8>, &str); 20] = [
        ("a vote of another space", "the space is signed", "vote", elsewhere, "signature"),
        ("a vote by somebody else", "the actor signs", "vote", foreign, "signature"),
        ("a vote for another block", "the block is signed", "vote", altered(&signed, 40, 0xff), "signature"),
        ("a vote of another height", "the height is signed", "vote", altered(&signed, 1, 0xad), "signature"),
        ("a vote of another round", "the round is signed", "vote", altered(&signed, 3, 3), "signature"),
        ("a vote with another appeal", "the appeal is signed", "vote", altered(&signed, 5, 1), "signature"),
        ("a vote of a later version", "it has another drawing", "vote", altered(&signed, 0, 2), "malformed"),
        ("a vote of a third phase", "there are two", "vote", altered(&signed, 4, 2), "malformed"),
        ("a precommit that appeals", "only prevotes do", "vote", altered(&signed, 4, 1), "malformed"),
        ("a vote that appeals to its own round", "a polka is of an earlier one", "vote", altered(&signed, 5, 3), "malformed"),
        ("a vote that is cut", "the signature is whole", "vote", signed[..signed.len() - 1].to_vec(), "malformed"),
        ("a vote with more behind it", "nothing follows", "vote", [&signed[..], &[0]].concat(), "malformed"),
        ("a vote as a block", "they are drawn otherwise", "block", signed.clone(), "malformed"),
        ("a block in another round", "the round is signed", "block", altered(&block, 1, 4), "signature"),
        ("a block that is cut", "the signature is whole", "block", block[..block.len() - 1].to_vec(), "malformed"),
        ("a block before it was made", "it is proposed when it is there", "block", early.sign(&owner, &SPACE).encode(), "malformed"),
        ("a block whose attestations do not ascend", "each stands once, in order", "block", Proposal { round: 1, valid: None, header: unsorted }.sign(&owner, &SPACE).encode(), "malformed"),
        ("blocks of nothing", "a block may hold something", "validators", [&choice[..3], &[0], &choice[5..]].concat(), "malformed"),
        ("validators who do neither", "they begin or go on", "validators", altered(&choice, 5, 2), "malformed"),
        ("validators of a later version", "it has another drawing", "validators", altered(&choice, 0, 3), "malformed"),
    ];
    cases.extend(hostile.into_iter().map(|(name, reason, kind, payload, class)| refused(name, reason, input(kind, &payload), class)));
    cases
}

pub fn run(input: &Json) -> Outcome {
    let bytes = |name: &str| unhex(input[name].as_str().expect("hex"));
    let id = |name: &str| -> [u8; 32] { bytes(name).try_into().expect("32 bytes") };
    let (space, actor, payload) = (SpaceId(id("space")), ActorId(id("actor")), bytes("payload"));
    let malformed = |_| "malformed".to_owned();
    match input["kind"].as_str().expect("a kind") {
        "vote" => {
            let signed = SignedVote::decode(&payload).map_err(malformed)?;
            let Vote { height, round, phase, valid, set, block } = signed.vote;
            let result = json!({
                "height": height, "round": round, "phase": phase as u8, "valid": valid,
                "set": hex(&set.0), "block": block.map(|block| hex(&block.0)),
            });
            signed.is_signed_by(&actor, &space).then_some(result).ok_or_else(|| "signature".to_owned())
        }
        "block" => {
            let signed = SignedProposal::decode(&payload).map_err(malformed)?;
            let Proposal { round, valid, header } = &signed.proposal;
            let digests = [header.previous.0, header.root.0, header.frontier.0, header.set.0, header.next_set.0];
            let result = json!({
                "round": round, "valid": valid, "id": hex(&header.id().0),
                "numbers": [header.height, u64::from(header.round), header.time_ms, header.size],
                "hashes": digests.map(|digest| hex(&digest)),
                "attestations": header.attestations.iter().map(|id| hex(&id.0)).collect::<Vec<_>>(),
            });
            signed.is_signed_by(&actor, &space).then_some(result).ok_or_else(|| "signature".to_owned())
        }
        _ => {
            let set = ValidatorSet::decode(&payload).map_err(malformed)?;
            let rules = set.blocks.ok_or("malformed")?;
            let begins = rules.begins.map(|begins| json!({ "height": begins.height, "previous": hex(&begins.previous.0) }));
            let members: Vec<Json> = set.members.iter().map(|(member, weight)| json!([hex(&member.0), weight])).collect();
            let digest = hex(&set.digest(&ChangesetId(id("era"))).0);
            Ok(json!({ "pause": set.pause_ms, "max": rules.max, "begins": begins, "members": members, "digest": digest }))
        }
    }
}
