//! Decoders: no bytes panic, and what is accepted is written again as the same bytes.

use crate::Input;
use prost::bytes::Bytes;
use stemma::audit::{
    Attestation, BlockHeader, BlockProof, Cases, Chain as Blocks, Checkpoint, DataSubject, Evidence,
    Finality, Precommit, SignedProposal, SignedVote, Step, ValidatorSet, decode_entries, encode_entries,
};
use stemma::causal::{ActorId, ChangesetId, MemberId, SpaceId};
use stemma::codec::{BigInt, Reader, Saved, Tlv, TlvWriter, Writer};
use stemma::crdt::{Cart, Ledger, List, Map, Tally, Text};
use stemma::crypto::{EpochSecret, Keyring, NameKey, Signature, SigningKey, Tag, hash};
use stemma::doc::{Fold, Names};
use stemma::event::{
    Certificate, Chain, Class, Content, Genesis, Header, Invite, Log, Login, LoginProof, SignedChangeset,
    Skeleton, Value,
};
use stemma::store::{Segment, TailRecord};
use stemma::sync::Frame;

fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut out = Writer::new();
    write(&mut out);
    out.into_bytes()
}

/// An integer of any size.
pub fn bigint(data: &[u8]) {
    let mut reader = Reader::new(data);
    let Ok(number) = BigInt::decode(&mut reader, "number") else { return };
    assert_eq!(written(|out| number.encode(out)), data[..reader.position()]);
    assert_eq!(BigInt::new(number.is_negative(), number.magnitude()).as_ref(), Some(&number));
}

/// Tagged fields.
pub fn tlv(data: &[u8]) {
    let mut reader = Reader::new(data);
    let Ok(tlv) = Tlv::decode(&mut reader, "tlv", 1 << 20) else { return };
    let mut again = TlvWriter::new();
    for entry in tlv.iter() {
        assert_eq!(tlv.get(entry.tag).map(|found| found.value), Some(entry.value));
        again.entry(entry.tag, entry.value);
    }
    assert_eq!(written(|out| again.finish(out)), data[..reader.position()]);
    let _ = tlv.unknown_critical(&[1, 2, 3]);
}

/// A value of a map, set or list.
pub fn value(data: &[u8]) {
    if let Ok(value) = Value::decode(data) {
        assert_eq!(value.to_bytes(), data);
    }
}

/// The payload of an op that is not folded: a choice of validators, an attestation, a block, a vote.
pub fn statement(data: &[u8]) {
    if let Ok(set) = ValidatorSet::decode(data) {
        assert_eq!(set.encode(), data);
        assert!(set.quorum() > 2 * set.total() / 3);
    }
    if let Ok(attestation) = Attestation::decode(data) {
        assert_eq!(attestation.encode(), data);
    }
    if let Ok(vote) = SignedVote::decode(data) {
        assert_eq!(vote.encode(), data);
        assert_eq!(vote.vote.contradicts(&vote.vote), None);
    }
    if let Ok(step) = Step::decode(data) {
        assert_eq!(step.encode(), data);
    }
    if let Ok(subject) = DataSubject::of_payload(data) {
        assert_eq!(subject.payload(), data);
    }
    if let Ok(block) = SignedProposal::decode(data) {
        assert_eq!(block.encode(), data);
        assert_eq!(block.proposal.contradicts(&block.proposal), None);
    }
}

/// What shows an outsider that a block is certified, of the space of the vectors: the era, the round, how many members and what they weigh, the header, and
/// precommits. What holds says who signed, each once, with a quorum.
pub fn block(data: &[u8]) {
    let mut input = Input(data);
    let (era, round) = (ChangesetId(input.array()), u32::from(input.byte()));
    let members = (0..input.byte() % 8).map(|_| (MemberId(input.array()), u32::from(input.byte()))).collect();
    let Ok(header) = BlockHeader::decode(input.part()) else { return };
    assert_eq!(BlockHeader::decode(&header.encode()).as_ref(), Ok(&header));
    let mut certificate = Vec::new();
    while !input.is_empty() && certificate.len() < 8 {
        let (actor, signature) = (ActorId(input.array()), Signature(input.array()));
        certificate.push(Precommit { actor, signature, chain: input.part().to_vec() });
    }
    let proof = BlockProof { header, round, era, members, certificate };
    let Ok(shown) = proof.check(&the_genesis()) else { return };
    let weight: u64 = shown.signers.iter().map(|(_, weight)| u64::from(*weight)).sum();
    assert!(shown.weight == weight && weight >= shown.quorum && weight <= shown.total);
    assert_eq!((shown.id, shown.signers.len()), (proof.header.id(), proof.certificate.len()));
}

/// Evidence, and what the audit log of a device keeps: entries, and what stands for some that were dropped.
pub fn evidence(data: &[u8]) {
    if let Ok(evidence) = Evidence::decode(data) {
        assert_eq!(evidence.encode(), data);
        let _ = (evidence.id(&SpaceId([0; 32])), evidence.kind(), evidence.actors(), evidence.doubts());
    }
    if let Ok(entries) = decode_entries(data) {
        entries.iter().for_each(|entry| drop((entry.hash(), entry.detail())));
        if !entries.is_empty() {
            assert_eq!(encode_entries(&entries), data);
        }
    }
    if let Ok(checkpoint) = Checkpoint::decode(data) {
        assert_eq!(checkpoint.encode(), data);
    }
}

/// What a snapshot or a segment of the store says, by the first byte: it loads and can be saved again, or is refused.
pub fn saved(data: &[u8]) {
    fn load<T: Saved>(bytes: &[u8]) {
        if let Ok(loaded) = T::load(&mut Reader::new(bytes)) {
            let _ = written(|out| loaded.save(out));
        }
    }
    let Some((which, bytes)) = data.split_first() else { return };
    match which % 13 {
        11 => load::<Cases>(bytes),
        12 => load::<Blocks>(bytes),
        10 => load::<Finality>(bytes),
        0 => load::<Fold>(bytes),
        1 => load::<Names>(bytes),
        2 => load::<Text>(bytes),
        3 => load::<List>(bytes),
        4 => load::<Map>(bytes),
        5 => load::<Tally>(bytes),
        6 => load::<Cart>(bytes),
        9 => load::<Ledger>(bytes),
        7 => {
            let root = SigningKey::from_seed(&[1; 32]).verifying_key();
            let genesis = Genesis::new(root, &[2; 16]);
            let mut log = Log::new(genesis);
            if log.load(&mut Reader::new(bytes)).is_ok() {
                let _ = written(|out| log.save(out, true));
            }
        }
        _ => {
            if let Ok(segment) = Segment::decode(bytes) {
                assert_eq!(segment.encode(), bytes);
            }
        }
    }
}

/// The founding of a space.
pub fn genesis(data: &[u8]) {
    if let Ok(genesis) = Genesis::decode(data) {
        assert_eq!(genesis.as_bytes(), data);
        let _ = genesis.id();
    }
}

/// A certificate, and its signature.
pub fn certificate(data: &[u8]) {
    if let Ok(certificate) = Certificate::decode(data) {
        assert_eq!(certificate.as_bytes(), data);
        let _ = certificate.verify();
        let _ = certificate.id();
    }
}

/// A chain of certificates, below the genesis of the vectors.
pub fn chain(data: &[u8]) {
    if let Ok(chain) = Chain::decode(data) {
        assert_eq!(chain.encode(), data);
        let _ = chain.verify(&the_genesis());
        let _ = chain.verify_actor(&the_genesis());
    }
}

fn the_genesis() -> Genesis {
    let root = SigningKey::from_seed(&[1; 32]);
    Genesis::new(root.verifying_key(), &[0x11; 16])
}

/// The header of a changeset.
pub fn header(data: &[u8]) {
    if let Ok(header) = Header::decode(data) {
        assert_eq!(header.as_bytes(), data);
        let _ = (header.id(), header.class(), header.chain(), header.redacts(), header.ops_root());
    }
}

/// A whole row: decoded, checked, and opened with the keys of the vectors as far as it goes.
pub fn changeset(data: &[u8]) {
    let Ok(signed) = SignedChangeset::decode(data) else { return };
    if !signed.is_damaged() {
        assert_eq!(signed.encode(), data);
    }
    let mut copy = signed.clone();
    copy.drop_content();
    let _ = copy.complete_from(signed.clone());
    let Ok(changeset) = signed.verify() else { return };
    let mut keys = Keyring::new(the_genesis().id().0, NameKey::new([0x22; 32]));
    keys.add(EpochSecret::new([0x33; 32]));
    if let Ok(skeleton) = changeset.open_skeleton(&keys) {
        let _ = changeset.open_content(&keys, &skeleton);
    }
}

fn skeleton_of(input: &mut Input<'_>) -> Option<(Class, usize)> {
    let class = Class::from_code(input.byte())?;
    Some((class, usize::from(input.byte() % 33)))
}

/// A skeleton, behind the class of its changeset and how many deps that has.
pub fn skeleton(data: &[u8]) {
    let mut input = Input(data);
    let Some((class, deps)) = skeleton_of(&mut input) else { return };
    if let Ok(skeleton) = Skeleton::decode(input.0, class, deps) {
        assert_eq!(skeleton.encode(deps), input.0);
    }
}

/// A content, behind a skeleton.
pub fn content(data: &[u8]) {
    let mut input = Input(data);
    let Some((class, deps)) = skeleton_of(&mut input) else { return };
    let Ok(skeleton) = Skeleton::decode(input.part(), class, deps) else { return };
    if let Ok(content) = Content::decode(input.0, &skeleton) {
        assert_eq!(content.encode(), input.0);
        assert!(content.by_op(&skeleton.ops).count() <= skeleton.ops.len());
        let names = NameKey::new([0x22; 32]);
        for name in &content.names {
            let _ = name.id(&names);
        }
    }
}

/// An invite as bytes with a check sum that is made right, and as text.
pub fn invite(data: &[u8]) {
    let check = &hash(Tag::INVITE, &[data]).0[..4];
    if let Ok(invite) = Invite::decode_bytes(&[data, check].concat()) {
        let again = invite.encode_bytes().expect("it was short enough to be read");
        assert_eq!(again[..again.len() - 4], *data);
        let text = invite.encode().expect("it was short enough to be read");
        assert!(Invite::decode(&text).is_ok());
    }
    let _ = Invite::decode(&String::from_utf8_lossy(data));
}

/// What a login signs, with any proofs.
pub fn login(data: &[u8]) {
    let mut input = Input(data);
    let (actor, relay, nonce, client_nonce) = (input.array(), input.array(), input.array(), input.array());
    let signature = Signature(input.array());
    let mut parts = Vec::new();
    while !input.is_empty() && parts.len() < 16 {
        parts.push((input.part(), input.part()));
    }
    let proofs: Vec<_> = parts.iter().map(|&(genesis, chain)| LoginProof { genesis, chain }).collect();
    let login = Login { relay: &relay, nonce: &nonce, client_nonce: &client_nonce, proofs: &proofs };
    let _ = login.verify(ActorId(actor), &signature);
    for proof in &proofs {
        if let (Ok(genesis), Ok(chain)) = (Genesis::decode(proof.genesis), Chain::decode(proof.chain)) {
            let _ = chain.verify_actor(&genesis);
        }
    }
}

/// A record of the device's store.
pub fn stored(data: &[u8]) {
    let Ok((record, damaged)) = TailRecord::decode(data) else { return };
    if damaged == 0 && record.rows.iter().all(|row| !row.is_damaged()) {
        let rows: Vec<Vec<u8>> = record.rows.iter().map(SignedChangeset::encode).collect();
        assert_eq!(TailRecord::encode(record.received_ms, &rows), data);
    }
    let mut log = stemma::event::Log::new(the_genesis());
    record.rows.into_iter().for_each(|row| log.offer_stored(row, record.received_ms));
    let _ = log.prove_stored();
    while let Some(ready) = log.next_ready() {
        log.add(ready);
    }
    log.dbg_check();
}

/// A frame. Protobuf has many writings of one message: what was read reads back from its own.
pub fn frame(data: &[u8]) {
    if let Ok(Some(frame)) = Frame::decode(&Bytes::copy_from_slice(data)) {
        let again = Frame::decode(&frame.clone().encode());
        assert_eq!(again.ok().flatten(), Some(frame));
    }
}
