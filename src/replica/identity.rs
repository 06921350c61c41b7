//! Who writes here: the member (a person), the device (this profile) and the actors it certified, with the keys of the
//! space. Knows how they rest in the store; the store's edge wraps what lies under `keys`.

use crate::causal::{ActorId, MemberId, SpaceId};
use crate::codec::{DecodeError, Reader, Writer, limits};
use crate::crypto::{AgreementKey, EpochSecret, Keyring, NameKey, SigningKey};
use crate::event::{Certificate, CertificateKind, Chain, Genesis, Invite, ReadError, Role};
use crate::sorted::SortedMap;
use crate::store::StoreName;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use zeroize::Zeroizing;

/// Why a stored identity cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// A record that must be there is missing.
    #[error("record {0} is missing")]
    Missing(&'static str),
    /// A record does not decode.
    #[error("record does not decode: {0}")]
    Damaged(#[from] ReadError),
    /// The certificates do not lead from the space's root to this device.
    #[error("certificates do not fit the keys")]
    Chain,
}

impl From<DecodeError> for IdentityError {
    fn from(error: DecodeError) -> Self {
        Self::Damaged(error.into())
    }
}

type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// The secrets and certificates of one device in one space.
#[derive(Clone)]
pub struct Identity {
    genesis: Genesis,
    space: SpaceId,
    /// Certificates from the root to this device.
    chain: Chain,
    role: Role,
    root: Option<SigningKey>,
    member: SigningKey,
    device: SigningKey,
    agreement_seed: Zeroizing<[u8; 32]>,
    actors: SortedMap<ActorId, SigningKey>,
    keyring: Keyring,
}

/// Records to put: store, key, value.
pub type Records = Vec<(StoreName, String, Vec<u8>)>;

impl Identity {
    /// Makes a space: its root, its owner, this device, the first epoch and the name key.
    pub fn create(random: Random<'_>) -> Self {
        let root = SigningKey::from_seed(&bytes(random));
        let genesis = Genesis::new(root.verifying_key(), &bytes::<16>(random));
        let space = genesis.id();
        let member = SigningKey::from_seed(&bytes(random));
        let kind = CertificateKind::Grant { role: Role::Owner, not_after: None };
        let grant = Certificate::issue(&root, space, member.public(), kind);
        let mut keyring = Keyring::new(space.0, NameKey::new(*bytes(random)));
        keyring.add(EpochSecret::new(*bytes(random)));
        let chain = Chain::new(vec![grant]);
        Self::with_device(genesis, chain, Role::Owner, Some(root), member, keyring, random)
    }

    /// Joins a space from an invite: signs a new member and this device. Needs no connection.
    pub fn join(invite: &Invite, random: Random<'_>) -> Self {
        let member = SigningKey::from_seed(&bytes(random));
        let (genesis, keyring) = (invite.genesis().clone(), invite.keys().clone());
        let chain = chain_through(invite, &member);
        Self::with_device(genesis, chain, invite.terms().role, None, member, keyring, random)
    }

    fn with_device(
        genesis: Genesis,
        chain: Chain,
        role: Role,
        root: Option<SigningKey>,
        member: SigningKey,
        keyring: Keyring,
        random: Random<'_>,
    ) -> Self {
        let space = genesis.id();
        let mut keyring = keyring;
        keyring.set_private(&member.private_secret());
        let device = SigningKey::from_seed(&bytes(random));
        let agreement_seed = bytes(random);
        let chain = chain.extended(device_certificate(space, &member, &device, &agreement_seed));
        Self {
            genesis,
            space,
            chain,
            role,
            root,
            member,
            device,
            agreement_seed,
            actors: SortedMap::new(),
            keyring,
        }
    }

    /// Takes a further invite for the same member: a second certificate, after the first was refused at the relay.
    pub fn rejoin(&mut self, invite: &Invite) -> Result<Records, IdentityError> {
        if invite.genesis().id() != self.space {
            return Err(IdentityError::Chain);
        }
        let device = device_certificate(self.space, &self.member, &self.device, &self.agreement_seed);
        self.chain = chain_through(invite, &self.member).extended(device);
        self.role = self.role.max(invite.terms().role);
        Ok(vec![self.space_record()])
    }

    /// Reads back what [`Identity::records`] and [`Identity::new_actor`] gave.
    pub fn load(
        meta: &BTreeMap<String, Vec<u8>>,
        keys: &BTreeMap<String, Vec<u8>>,
    ) -> Result<Self, IdentityError> {
        let record = meta.get("space").ok_or(IdentityError::Missing("space"))?;
        let mut reader = Reader::new(record);
        let genesis = Genesis::decode(reader.bytes("genesis", limits::EXT_BYTES_MAX)?)?;
        let chain = Chain::decode(reader.bytes("chain", limits::EXT_BYTES_MAX)?)?;
        reader.finish("space record")?;
        let key = |name: &'static str| keys.get(name).ok_or(IdentityError::Missing(name));
        let seed = |name| -> Result<[u8; 32], IdentityError> { Ok(Reader::new(key(name)?).array(name)?) };
        let member = SigningKey::from_seed(&Zeroizing::new(seed("member")?));
        let mut device_record = Reader::new(key("device")?);
        let device = SigningKey::from_seed(&Zeroizing::new(device_record.array("device")?));
        let agreement_seed = Zeroizing::new(device_record.array("agreement")?);
        let space = genesis.id();
        let mut keyring = Keyring::new(space.0, NameKey::new(seed("names")?));
        let mut epochs = Reader::new(key("epochs")?);
        let count = epochs.count("epochs", limits::INVITE_EPOCHS_MAX, 32)?;
        if count == 0 {
            let rule = "a space has an epoch from the start";
            return Err(DecodeError::Invalid { what: "epochs", at: 0, rule }.into());
        }
        for _ in 0..count {
            keyring.add(EpochSecret::new(epochs.array("epoch")?));
        }
        keyring.set_private(&member.private_secret());
        let root = keys.contains_key("root").then(|| seed("root")).transpose()?;
        let verified = chain.verify(&genesis).map_err(|_| IdentityError::Chain)?;
        if verified.device.map(|found| found.key) != Some(device.public()) {
            return Err(IdentityError::Chain);
        }
        let mut actors = SortedMap::new();
        for (_, seed) in keys.iter().filter(|(name, _)| name.starts_with("actor/")) {
            let key = SigningKey::from_seed(&Zeroizing::new(Reader::new(seed).array("actor")?));
            actors.insert(ActorId(key.public()), key);
        }
        Ok(Self {
            actors,
            root: root.map(|seed| SigningKey::from_seed(&Zeroizing::new(seed))),
            role: verified.role,
            genesis,
            space,
            chain,
            member,
            device,
            agreement_seed,
            keyring,
        })
    }

    /// Everything to be stored at creation.
    pub fn records(&self) -> Records {
        let mut device = self.device.seed().to_vec();
        device.extend_from_slice(&*self.agreement_seed);
        let mut epochs = Writer::new();
        epochs.varint(self.keyring.secrets().count() as u64);
        self.keyring.secrets().for_each(|secret| {
            epochs.raw(secret.as_bytes());
        });
        let key = |name: &str, value: Vec<u8>| (StoreName::Keys, name.to_owned(), value);
        let mut records = vec![
            self.space_record(),
            key("member", self.member.seed().to_vec()),
            key("device", device),
            key("epochs", epochs.into_bytes()),
            key("names", self.keyring.names().as_bytes().to_vec()),
        ];
        records.extend(self.root.as_ref().map(|root| key("root", root.seed().to_vec())));
        records
    }

    /// Makes and certifies an actor; the record is to be stored unless it is to live in memory only.
    pub fn new_actor(&mut self, random: Random<'_>) -> (ActorId, Records) {
        let key = SigningKey::from_seed(&bytes(random));
        let actor = ActorId(key.public());
        let record = (StoreName::Keys, format!("actor/{actor}"), key.seed().to_vec());
        self.actors.insert(actor, key);
        (actor, vec![record])
    }

    /// Makes an actor that takes the place of another in the order of keys: none of `others` stands between the two, so
    /// that concurrent inserts stay in the order in which they are. It is not to be stored. Whoever made a key right beside
    /// the other one to prevent that succeeds; then the order may change.
    pub fn new_actor_beside(&mut self, beside: ActorId, others: &[ActorId], random: Random<'_>) -> ActorId {
        for _ in 0..BESIDE_TRIES {
            let key = SigningKey::from_seed(&bytes(random));
            let actor = ActorId(key.public());
            let (from, to) = (beside.min(actor), beside.max(actor));
            if actor != beside && !others.iter().any(|other| from < *other && *other < to) {
                self.actors.insert(actor, key);
                return actor;
            }
        }
        self.new_actor(random).0
    }

    /// The certificates from the root to an actor of this device.
    pub fn actor_chain(&self, actor: ActorId) -> Chain {
        self.chain.extended(Certificate::issue(&self.device, self.space, actor.0, CertificateKind::Actor))
    }

    /// The key of an actor of this device.
    pub fn actor_key(&self, actor: ActorId) -> Option<&SigningKey> {
        self.actors.get(&actor)
    }

    /// The actors of this device whose keys are here.
    pub fn actors(&self) -> impl Iterator<Item = ActorId> + '_ {
        self.actors.keys().copied()
    }

    /// An invite that lets a newcomer in; none unless this member may invite.
    pub fn invite(
        &self,
        role: Role,
        not_after_ms: u64,
        uses: u64,
        relays: Vec<String>,
        random: Random<'_>,
    ) -> Option<Invite> {
        let root = self.root.as_ref()?;
        let secret = SigningKey::from_seed(&bytes(random));
        let kind = CertificateKind::Invite {
            role,
            not_after: NonZeroU64::new(not_after_ms),
            uses: NonZeroU64::new(uses),
        };
        let chain = Chain::new(vec![Certificate::issue(root, self.space, secret.public(), kind)]);
        Invite::new(self.genesis.clone(), chain, secret, self.keyring.shared(), relays).ok()
    }

    /// The public key of this device.
    pub fn device(&self) -> [u8; 32] {
        self.device.public()
    }

    /// The space's genesis.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The space.
    pub fn space(&self) -> SpaceId {
        self.space
    }

    /// The member.
    pub fn member(&self) -> MemberId {
        MemberId(self.member.public())
    }

    /// What this member may do.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The keys of the space.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    fn space_record(&self) -> (StoreName, String, Vec<u8>) {
        let mut writer = Writer::new();
        writer.bytes(self.genesis.as_bytes()).bytes(&self.chain.encode());
        (StoreName::Meta, "space".to_owned(), writer.into_bytes())
    }
}

/// Keys made at most in search of one that fits: enough among tens of thousands of actors.
const BESIDE_TRIES: u32 = 1 << 16;

fn chain_through(invite: &Invite, member: &SigningKey) -> Chain {
    let space = invite.genesis().id();
    invite.chain().extended(Certificate::issue(
        invite.secret(),
        space,
        member.public(),
        CertificateKind::Member,
    ))
}

fn device_certificate(
    space: SpaceId,
    member: &SigningKey,
    device: &SigningKey,
    agreement_seed: &[u8; 32],
) -> Certificate {
    let x25519 = AgreementKey::from_seed(agreement_seed).public().to_bytes();
    Certificate::issue(member, space, device.public(), CertificateKind::Device { x25519 })
}

fn bytes<const N: usize>(random: Random<'_>) -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    random(&mut *bytes);
    bytes
}
