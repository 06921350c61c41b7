//! Evidence about what members say of blocks and of snapshots: what signatures show alone, and what somebody has to work out. It hides nothing that they wrote.

#[path = "common/attacker.rs"]
mod attacker;
mod common;

use attacker::{Lane, World, encoded, read};
use common::{Node, assert_same, sync};
use stemma::audit::{
    Accused, BlockHeader, BlockId, Evidence, EvidenceFault, EvidenceId, Phase, Proposal, Said, Vote,
};
use stemma::causal::{ActorId, ChangesetId, LogChain, LogId};
use stemma::crypto::{ChunkContext, ChunkKey, Digest, SigningKey};
use stemma::event::{Manifest, SealedDigest, SnapshotId, Voice};

/// Longer than anybody waits with evidence.
const LONG_MS: u64 = 6_000;

fn pass(node: &mut Node, ms: u64) {
    node.now_ms += ms;
    node.settle();
}

fn actor(lane: &Lane) -> ActorId {
    ActorId(lane.key.public())
}

fn evidence_of(node: &Node) -> Vec<EvidenceId> {
    node.replica.evidence().map(|one| one.case.id).collect()
}

/// Hostile input 83: votes and blocks that contradict each other, by one actor or by two of one member.
#[test]
fn two_votes_and_two_blocks_are_shown_by_their_signatures_alone() {
    let mut world = World::new();
    let space = world.a.replica.space();
    let (mine, other) = (world.attacker.lane(1), world.attacker.lane(2));
    let vote = |block: u8| Vote {
        height: 3,
        round: 0,
        phase: Phase::Prevote,
        valid: None,
        set: Digest([5; 32]),
        block: Some(BlockId([block; 32])),
    };
    let said = |lane: &Lane, block: u8| Said {
        actor: actor(lane),
        statement: vote(block).sign(&lane.key, &space),
        chain: lane.chain.encode(),
    };
    let block = |lane: &Lane, size: u64| {
        let header = BlockHeader {
            height: 3,
            round: 0,
            time_ms: 1,
            previous: BlockId([2; 32]),
            size,
            root: Digest([3; 32]),
            frontier: Digest([4; 32]),
            set: Digest([5; 32]),
            next_set: Digest([5; 32]),
            attestations: vec![ChangesetId([1; 32])],
        };
        let statement = Proposal { round: 0, valid: None, header }.sign(&lane.key, &space);
        Said { actor: actor(lane), statement, chain: lane.chain.encode() }
    };
    let one_actor = Evidence::votes([said(&mine, 1), said(&mine, 2)]);
    let two_actors = Evidence::votes([said(&other, 2), said(&mine, 1)]);
    let blocks = Evidence::blocks([block(&mine, 1), block(&mine, 2)]);
    assert_eq!(Evidence::votes([said(&mine, 1), said(&other, 2)]), two_actors, "in whatever order");
    for (evidence, kind) in
        [(&one_actor, "double-vote"), (&two_actors, "double-vote"), (&blocks, "double-block")]
    {
        assert_eq!(evidence.kind(), kind);
        assert_eq!(Evidence::decode(&evidence.encode()).as_ref(), Ok(evidence));
        world.a.with(|replica, env| replica.report_evidence(evidence.clone(), env));
    }
    pass(&mut world.a, LONG_MS);
    sync(&mut world.a, &mut world.b);
    assert_eq!(evidence_of(&world.b).len(), 2, "against the actor once, and against its member");
    assert!(world.b.replica.is_byzantine(actor(&mine)) && world.b.replica.is_byzantine(actor(&other)));
    assert_eq!(world.b.replica.reputation(actor(&mine), 0).validator, Some(0));
    // What it wrote otherwise is not in doubt.
    let mut lane = world.attacker.lane(1);
    let row = world.attacker.next(&mut lane, &[world.first], &world.attacker.set("before", "x", 10));
    world.attacker.give(&mut world.a, &[encoded(&row)]);
    assert!(read(&mut world.a, "before").is_some());
    // Of two members nothing is shown, and nothing without certificates.
    let invite = &world.attacker.invite;
    let stranger = attacker::Attacker::join_as(invite.clone(), [0xb1; 32]).lane(3);
    let genesis = invite.genesis();
    let check = |evidence: &Evidence| evidence.check(genesis, invite.keys());
    assert_eq!(check(&Evidence::votes([said(&mine, 1), said(&stranger, 2)])), Err(EvidenceFault::Chain));
    let bare = Said { chain: Vec::new(), ..said(&other, 2) };
    assert_eq!(check(&Evidence::votes([said(&mine, 1), bare])), Err(EvidenceFault::Chain));
    assert_eq!(check(&Evidence::votes([said(&mine, 1), said(&mine, 1)])), Err(EvidenceFault::Consistent));
    let forged = Said { statement: vote(2).sign(&other.key, &space), ..said(&mine, 2) };
    assert_eq!(check(&Evidence::votes([said(&mine, 1), forged])), Err(EvidenceFault::Signature));
}

/// What a member says of a snapshot that it made.
fn snapshot(world: &World, lane: &Lane, says: Digest, found: Digest) -> Evidence {
    let space = world.a.replica.space();
    let epoch = world.attacker.invite.keys().current().expect("an epoch");
    let at = ChunkContext { space: &space.0, run: &[5; 16], number: 0, count: 0 };
    let digest = SealedDigest { state_hash: says, frontier: vec![world.first] };
    let manifest = Manifest {
        state: 10,
        space,
        log_id: LogId([2; 16]),
        cursor: 1,
        chain: LogChain([3; 16]),
        actor: actor(lane),
        run: [5; 16],
        kid: epoch.kid(),
        chunks: Vec::new(),
        seal: ChunkKey::new(epoch, &at).seal(&digest.encode()),
    }
    .encode();
    let signature = Voice::Maker.sign(&lane.key, SnapshotId::of(&manifest));
    Evidence::Snapshot { manifest, chain: lane.chain.encode(), signature, found }
}

/// Whoever works it out again sees it, and nobody has to believe whoever did.
#[test]
fn a_snapshot_that_shows_something_else_is_told_of_and_hides_nothing() {
    let (right, wrong) = (Digest([7; 32]), Digest([8; 32]));
    let mut world = World::new();
    let mut lane = world.attacker.lane(1);
    let evidence = snapshot(&world, &lane, wrong, right);
    assert_eq!(Evidence::decode(&evidence.encode()).as_ref(), Ok(&evidence));
    let row = world.attacker.next(&mut lane, &[world.first], &world.attacker.set("before", "x", 10));
    world.attacker.give(&mut world.a, &[encoded(&row)]);
    world.a.with(|replica, env| replica.report_evidence(evidence.clone(), env));
    pass(&mut world.a, LONG_MS);
    sync(&mut world.a, &mut world.b);
    assert_same(&world.a, &world.b);
    let told = |node: &Node| {
        let one = node.replica.evidence().next().expect("it was told");
        assert_eq!(
            (one.case.evidence.kind(), one.case.accused),
            ("bad-snapshot", Accused::Actor(actor(&lane)))
        );
        assert_eq!((one.case.evidence.doubts(), one.member), (None, Some(world.attacker.member())));
        (one.is_proven, node.replica.is_byzantine(actor(&lane)))
    };
    assert_eq!(told(&world.a), (true, true), "who worked it out knows");
    assert_eq!(told(&world.b), (false, false), "for others it is a claim");
    assert!(read(&mut world.b, "before").is_some());
    // Whoever finds the same tells nobody again, and knows.
    let heard = world.b.evidence_told;
    world.b.with(|replica, env| replica.report_evidence(evidence.clone(), env));
    pass(&mut world.b, LONG_MS);
    assert_eq!((world.b.replica.evidence().count(), told(&world.b)), (1, (true, true)));
    assert_eq!(world.b.evidence_told, heard + 1);
    assert!(read(&mut world.b, "before").is_some(), "a snapshot is no changeset");
    let id = evidence_of(&world.a)[0];
    world.a.with(|replica, env| replica.resolve_evidence(id, env)).expect("the owner may");
    assert!(!world.a.replica.is_byzantine(actor(&lane)));

    let invite = &world.attacker.invite;
    let check = |evidence: &Evidence| evidence.check(invite.genesis(), invite.keys());
    assert_eq!(check(&evidence), Ok(Accused::Actor(actor(&lane))));
    assert_eq!(check(&snapshot(&world, &lane, right, right)), Err(EvidenceFault::Consistent));
    let other = world.attacker.lane(2);
    let Evidence::Snapshot { manifest, chain, signature, found } = evidence.clone() else { unreachable!() };
    let signed_by = |key: &SigningKey| Voice::Maker.sign(key, SnapshotId::of(&manifest));
    let with = |chain: &[u8], signature| Evidence::Snapshot {
        manifest: manifest.clone(),
        chain: chain.to_vec(),
        signature,
        found,
    };
    assert_eq!(check(&with(&chain, signed_by(&other.key))), Err(EvidenceFault::Chain));
    assert_eq!(check(&with(&other.chain.encode(), signed_by(&other.key))), Err(EvidenceFault::Chain));
    assert_eq!(check(&with(&other.chain.encode(), signature)), Err(EvidenceFault::Chain));
    let witness = Voice::Witness.sign(&lane.key, SnapshotId::of(&manifest));
    assert_eq!(check(&with(&chain, witness)), Err(EvidenceFault::Chain), "a witness is no maker");
    let mut elsewhere = Manifest::decode(&manifest).expect("it decodes");
    elsewhere.space.0[0] ^= 1;
    let elsewhere = Evidence::Snapshot { manifest: elsewhere.encode(), chain, signature, found };
    assert_eq!(check(&elsewhere), Err(EvidenceFault::Space));
}
