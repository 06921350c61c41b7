//! What the relay believes: login proofs and rows. Pure functions over bytes; the same checks as every client makes, as far
//! as they need no key (`docs/protocol.md` §2 and §4).

use stemma::causal::{MemberId, SpaceId};
use stemma::crypto::{SegmentKind, Signature, Tag, VerifyingKey, segment_hash};
use stemma::event::{Chain, Genesis, Header, Login, LoginProof};
use stemma::sync::{Auth, Code, Row};

use crate::store::{NewRow, Newcomer};

/// A proof that holds: who knocks at the door of which space.
#[derive(Clone, Debug)]
pub struct Knock {
    /// The space's genesis.
    pub genesis: Genesis,
    /// The member, and the invite it came by; a member by grant has the root for its gate, without a count.
    pub newcomer: Newcomer,
}

/// Checks every proof of an AUTH against the challenge it answers, by the relay's clock in ms since 1970.
///
/// # Errors
/// The words for `AUTH_FAILED`.
pub fn verify_login(
    auth: &Auth,
    relay_key: &[u8; 32],
    nonce: &[u8; 32],
    now_ms: u64,
) -> Result<Vec<Knock>, &'static str> {
    if auth.proofs.is_empty() {
        return Err("no proof");
    }
    let proofs: Vec<LoginProof<'_>> =
        auth.proofs.iter().map(|proof| LoginProof { genesis: &proof.genesis, chain: &proof.chain }).collect();
    let login = Login { relay: relay_key, nonce, client_nonce: &auth.client_nonce, proofs: &proofs };
    auth.proofs
        .iter()
        .map(|proof| {
            let genesis = Genesis::decode(&proof.genesis).map_err(|_| "genesis does not decode")?;
            let chain = Chain::decode(&proof.chain).map_err(|_| "certificate chain does not decode")?;
            let author = chain.verify_actor(&genesis).map_err(|_| "certificate chain does not verify")?;
            login
                .verify(author.actor, &Signature(proof.signature))
                .map_err(|_| "signature does not verify")?;
            let gate = author.invite.map_or(genesis.root().to_bytes(), |invite| invite.key);
            let newcomer = Newcomer {
                gate,
                member: MemberId(author.member.0),
                uses: author.invite.and_then(|invite| invite.uses).map(u64::from),
                expired: author.not_after.is_some_and(|not_after| not_after.get() < now_ms),
            };
            Ok(Knock { genesis, newcomer })
        })
        .collect()
}

/// Checks a row for itself: sizes, space, segments, signature, and at seq 0 the certificate chain.
///
/// # Errors
/// The code of its rejection.
pub fn verify_row(row: Row, space: SpaceId, genesis: &Genesis) -> Result<NewRow, Code> {
    let header = Header::decode(&row.header).map_err(|_| Code::BadRow)?;
    if header.space() != space {
        return Err(Code::WrongSpace);
    }
    let fits =
        |bytes: &[u8], kind, (len, hash)| bytes.len() == len as usize && segment_hash(kind, bytes) == hash;
    let skeleton = header.skeleton();
    let mut intact = fits(&row.skeleton, SegmentKind::Skeleton, (skeleton.len, skeleton.hash));
    if let Some(bytes) = &row.content {
        intact &= header
            .content()
            .is_some_and(|content| fits(bytes, SegmentKind::Content, (content.len, content.hash)));
    }
    if !intact {
        return Err(Code::BadRow);
    }
    // The suite says what the signature is; of the other news a later version may bring, the relay needs none.
    if row.header[1] != SUITE {
        return Err(Code::Unsupported);
    }
    if header.seq() == 0 {
        let chain = header.chain().ok_or(Code::Unsupported)?;
        let author = chain.verify_actor(genesis).map_err(|_| Code::BadChain)?;
        if author.actor != header.actor() {
            return Err(Code::BadChain);
        }
    }
    let key = VerifyingKey::parse(&header.actor().0).ok_or(Code::BadSignature)?;
    key.verify(Tag::CHANGESET_SIGNATURE, &[&header.id().0], &Signature(row.signature))
        .map_err(|_| Code::BadSignature)?;
    Ok(NewRow { id: header.id(), actor: header.actor(), seq: header.seq(), prev: header.prev(), row })
}

const SUITE: u8 = 1;
