//! An invite token: everything a newcomer needs to read and write a space, in a line of text. A bearer secret: whoever
//! holds it can read the whole history.
//!
//! ```text
//! "stemma1." base64url( genesis bytes | chain (root -> invite) | invite secret [32] | epochs: list of [32]
//!                       | name key [32] | relays: list of string | check [4] )
//! ```

use super::{Chain, ChainError, Genesis, InviteTerms, ReadError};
use crate::codec::limits::{
    EXT_BYTES_MAX, INVITE_BYTES_MAX, INVITE_EPOCHS_MAX, INVITE_RELAYS_MAX, RELAY_BYTES_MAX,
};
use crate::codec::{DecodeError, Reader, Writer, base64url};
use crate::crypto::{EpochSecret, Keyring, NameKey, SigningKey, Tag, hash};
use zeroize::Zeroizing;

/// A token that decodes, with a chain that was verified and a secret that fits it.
#[derive(Clone, Debug)]
pub struct Invite {
    genesis: Genesis,
    chain: Chain,
    terms: InviteTerms,
    secret: SigningKey,
    keys: Keyring,
    relays: Vec<String>,
}

impl Invite {
    /// An invite to the space of `keys`. The chain leads from its root to the key pair `secret`.
    pub fn new(
        genesis: Genesis,
        chain: Chain,
        secret: SigningKey,
        keys: Keyring,
        relays: Vec<String>,
    ) -> Result<Self, InviteError> {
        let verified = chain.verify(&genesis).map_err(InviteError::Chain)?;
        let terms = verified.invite.filter(|_| verified.member.is_none()).ok_or(InviteError::NoInvite)?;
        if terms.key != secret.public() || *keys.space() != genesis.id().0 {
            return Err(InviteError::Secret);
        }
        Ok(Self { genesis, chain, terms, secret, keys, relays })
    }

    /// Reads a token, alone or in the fragment of an address.
    pub fn decode(text: &str) -> Result<Self, InviteError> {
        let text = text.trim();
        let candidate = text.split_once('#').map_or(text, |(_, fragment)| fragment);
        let start = candidate.find(PREFIX).ok_or(InviteError::NoToken)? + PREFIX.len();
        let token = &candidate[start..];
        // A fragment may go on with parameters of the app.
        let end = token.find(|char| !base64url::is_digit(char)).unwrap_or(token.len());
        if !token[end..].is_empty() && !token[end..].starts_with('&') {
            return Err(InviteError::Damaged);
        }
        if end > INVITE_BYTES_MAX.div_ceil(3) * 4 {
            return Err(InviteError::TooLong);
        }
        let bytes = Zeroizing::new(base64url::decode(&token[..end]).ok_or(InviteError::Damaged)?);
        Self::decode_bytes(&bytes)
    }

    /// Reads the bytes of a token.
    pub fn decode_bytes(bytes: &[u8]) -> Result<Self, InviteError> {
        if bytes.len() > INVITE_BYTES_MAX {
            return Err(InviteError::TooLong);
        }
        let (body, check) = bytes.split_last_chunk::<4>().ok_or(InviteError::Damaged)?;
        if *check != check_of(body) {
            return Err(InviteError::Damaged);
        }
        let mut reader = Reader::new(body);
        let genesis = Genesis::decode(reader.bytes("genesis", EXT_BYTES_MAX).map_err(ReadError::from)?)?;
        let chain = Chain::read(&mut reader)?;
        let secret = Zeroizing::new(reader.array("invite secret").map_err(ReadError::from)?);
        let (keys, relays) = Self::read_keys(&genesis, &mut reader).map_err(ReadError::from)?;
        reader.finish("invite").map_err(ReadError::from)?;
        Self::new(genesis, chain, SigningKey::from_seed(&secret), keys, relays)
    }

    fn read_keys(genesis: &Genesis, reader: &mut Reader<'_>) -> Result<(Keyring, Vec<String>), DecodeError> {
        let at = reader.position();
        let count = reader.count("epochs", INVITE_EPOCHS_MAX, 32)?;
        let epochs: Vec<EpochSecret> = (0..count)
            .map(|_| reader.array("epoch secret").map(EpochSecret::new))
            .collect::<Result<_, _>>()?;
        let mut keys = Keyring::new(genesis.id().0, NameKey::new(reader.array("name key")?));
        epochs.into_iter().for_each(|epoch| {
            keys.add(epoch);
        });
        if count == 0 || keys.secrets().count() < count {
            let rule = "an invite has an epoch secret, and none twice";
            return Err(DecodeError::Invalid { what: "epochs", at, rule });
        }
        let count = reader.count("relays", INVITE_RELAYS_MAX, 1)?;
        let relay = |_| reader.string("relay", RELAY_BYTES_MAX).map(str::to_owned);
        Ok((keys, (0..count).map(relay).collect::<Result<_, _>>()?))
    }

    /// Writes the token. `None` if it would be longer than a token may be.
    #[must_use]
    pub fn encode(&self) -> Option<Zeroizing<String>> {
        let bytes = self.encode_bytes()?;
        Some(Zeroizing::new(format!("{PREFIX}{}", *Zeroizing::new(base64url::encode(&bytes)))))
    }

    /// Writes the bytes of the token. `None` if there would be more than a token may have.
    #[must_use]
    pub fn encode_bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        let mut out = Writer::with_capacity(INVITE_BYTES_MAX);
        out.bytes(self.genesis.as_bytes()).raw(&self.chain.encode()).raw(&*self.secret.seed());
        out.varint(self.keys.secrets().count() as u64);
        self.keys.secrets().for_each(|secret| {
            out.raw(secret.as_bytes());
        });
        out.raw(self.keys.names().as_bytes()).varint(self.relays.len() as u64);
        self.relays.iter().for_each(|relay| {
            out.string(relay);
        });
        let check = check_of(out.as_slice());
        out.raw(&check);
        let bytes = Zeroizing::new(out.into_bytes());
        let within = bytes.len() <= INVITE_BYTES_MAX
            && self.keys.secrets().count() <= INVITE_EPOCHS_MAX
            && self.relays.len() <= INVITE_RELAYS_MAX
            && self.relays.iter().all(|relay| relay.len() <= RELAY_BYTES_MAX);
        within.then_some(bytes)
    }

    /// The beginning of the space.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The certificates from the root to the invite.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// What it offers.
    #[must_use]
    pub fn terms(&self) -> &InviteTerms {
        &self.terms
    }

    /// The key that signs a newcomer in.
    #[must_use]
    pub fn secret(&self) -> &SigningKey {
        &self.secret
    }

    /// The keys to the history.
    #[must_use]
    pub fn keys(&self) -> &Keyring {
        &self.keys
    }

    /// Addresses of relays that have the space.
    #[must_use]
    pub fn relays(&self) -> &[String] {
        &self.relays
    }
}

/// Why a text is no usable invite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InviteError {
    /// No token in it.
    #[error("no invite token in the text")]
    NoToken,
    /// Cut off, mistyped or altered.
    #[error("the invite token is damaged")]
    Damaged,
    /// Longer than a token may be.
    #[error("the invite token is too long")]
    TooLong,
    /// The check sum fits, the contents do not.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Its chain proves nothing.
    #[error(transparent)]
    Chain(ChainError),
    /// Its chain does not end at an invite.
    #[error("the certificates do not end at an invite")]
    NoInvite,
    /// The secret is not that of the invite, or the keys are of another space.
    #[error("the secret does not belong to the invite")]
    Secret,
}

impl InviteError {
    /// The class of the fault, as written in `tests/vectors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoToken => "no-token",
            Self::Damaged => "damaged",
            Self::TooLong => "too-long",
            Self::Read(error) => error.code(),
            Self::Chain(error) => error.fault.code(),
            Self::NoInvite => "no-invite",
            Self::Secret => "secret",
        }
    }
}

fn check_of(body: &[u8]) -> [u8; 4] {
    *hash(Tag::INVITE, &[body]).0.first_chunk().expect("32 bytes begin with 4")
}

const PREFIX: &str = "stemma1.";
