//! What a seed decides before anything runs: how large the world is, who does what when, and which faults come. The world
//! draws from other streams of the same seed, so a fault that is left out changes nothing about what people do.

use super::rng::Rng;

/// The kinds of faults. Each seed has some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A connection breaks; what is under way is lost.
    Reset,
    /// A connection carries nothing any more, in one direction or both, and nobody says so.
    HalfOpen,
    /// A device and a relay do not reach each other for a while, or only in one direction.
    Partition,
    /// A relay stops, with what it had not committed, and comes back.
    RelayDown,
    /// A relay comes back with an older copy of a database, under the same log id or another.
    RelayRestored,
    /// A relay loses a database.
    RelayEmptied,
    /// A relay has no room for a while.
    RelayFull,
    /// A relay lies for a while: see [`super::relay::Manner`].
    RelayLies,
    /// A tab ends in the middle of anything.
    TabCrash,
    /// A device ends, and its disk forgets relaxed writes.
    PowerCut,
    /// A disk is full for a while.
    DiskFull,
    /// The clock of a device jumps, up to a year.
    ClockJump,
    /// A device sleeps; by its clock perhaps for weeks.
    Sleep,
    /// The profile of a device is replaced by an older copy.
    Rollback,
    /// The profile of a device is copied, and both go on.
    Clone,
    /// A member signs what it likes.
    Intruder,
    /// A tab stands still for a while, with or without a word before; what comes in waits.
    Freeze,
    /// The engine of a tab stops in the middle, perhaps over a changeset, and another one goes on from the store without that.
    Trap,
    /// Somebody comes with a link that is used up, has expired or is about to.
    LateGuest,
}

pub const KINDS: [(Kind, &str); 19] = [
    (Kind::Reset, "reset"),
    (Kind::HalfOpen, "half-open"),
    (Kind::Partition, "partition"),
    (Kind::RelayDown, "relay-down"),
    (Kind::RelayRestored, "relay-restored"),
    (Kind::RelayEmptied, "relay-emptied"),
    (Kind::RelayFull, "relay-full"),
    (Kind::RelayLies, "relay-lies"),
    (Kind::TabCrash, "tab-crash"),
    (Kind::PowerCut, "power-cut"),
    (Kind::DiskFull, "disk-full"),
    (Kind::ClockJump, "clock-jump"),
    (Kind::Sleep, "sleep"),
    (Kind::Rollback, "rollback"),
    (Kind::Clone, "clone"),
    (Kind::Intruder, "intruder"),
    (Kind::Freeze, "freeze"),
    (Kind::Trap, "trap"),
    (Kind::LateGuest, "late-guest"),
];
/// Those behind these draw from a stream of their own: a seed goes on having what it had before there were more.
const FIRST_KINDS: usize = 16;

/// A fault at a time. What it hits is chosen by the picks among what there is then.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    pub at_ms: u64,
    pub kind: Kind,
    /// How long it lasts, where it lasts.
    pub ms: u64,
    pub picks: [u32; 3],
}

/// What people do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Edit,
    Transact,
    Flush,
    Undo,
    OpenTab,
    CloseTab,
    /// Two tabs are joined by a port, without a relay.
    Meet,
    /// A word about what counts.
    Say,
    Snapshot,
    /// A profile is put aside, for a rollback or a clone.
    Copy,
}

/// Something that somebody does at a time.
#[derive(Clone, Copy, Debug)]
pub struct Deed {
    pub at_ms: u64,
    pub act: Act,
    pub pick: u32,
    pub seed: u64,
}

/// The size of the world, and its limits.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The space of each device.
    pub devices: Vec<usize>,
    pub spaces: usize,
    pub relays: usize,
    /// Of the tabs of a device one speaks with a relay for all.
    pub shares_relays: bool,
    /// How long a frame is under way, at least and at most.
    pub latency_ms: [u64; 2],
    pub bytes_per_ms: u64,
    /// How long a disk takes.
    pub disk_ms: [u64; 2],
    /// How long a relay takes to commit.
    pub commit_ms: u64,
    pub push_rows: u32,
    pub push_bytes: u32,
    /// Rows of a BATCH.
    pub batch_rows: usize,
    /// Words about what counts are spoken.
    pub has_policy: bool,
    /// Sessions show where they are.
    pub has_presence: bool,
    /// Some join by a link that a relay takes from one member alone.
    pub limits_invites: bool,
    /// How long people are at it.
    pub ms: u64,
}

#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub setup: Setup,
    pub deeds: Vec<Deed>,
    pub faults: Vec<Fault>,
}

impl Plan {
    /// The plan of a seed; faults only of these kinds, if any are named.
    pub fn new(seed: u64, kinds: &[Kind]) -> Self {
        let mut rng = stream(seed, 0);
        let setup = Setup::new(&mut rng);
        let mut rng = stream(seed, 1);
        let deeds = (0..10 + rng.below(40)).map(|_| Deed::new(&setup, &mut rng)).collect();
        let draw = |mut rng: Rng, of: &[(Kind, &str)], percent, most| -> Vec<Fault> {
            let on: Vec<Kind> = of.iter().map(|(kind, _)| *kind).filter(|_| rng.chance(percent)).collect();
            let on: Vec<Kind> =
                on.into_iter().filter(|kind| kinds.is_empty() || kinds.contains(kind)).collect();
            let count = if on.is_empty() { 0 } else { rng.below(most) };
            (0..count).map(|_| Fault::new(&setup, &on, &mut rng)).collect()
        };
        let (first, later) = KINDS.split_at(FIRST_KINDS);
        let mut faults = draw(stream(seed, 2), first, 35, 12);
        faults.extend(draw(stream(seed, 5), later, 25, 6));
        let mut plan = Self { seed, setup, deeds, faults };
        plan.deeds.sort_by_key(|deed| deed.at_ms);
        plan.faults.sort_by_key(|fault| fault.at_ms);
        plan
    }

    /// The same with some of its faults.
    pub fn keeping(&self, kept: &[usize]) -> Self {
        let faults = self.faults.iter().enumerate().filter(|(at, _)| kept.contains(at));
        Self { faults: faults.map(|(_, fault)| *fault).collect(), ..self.clone() }
    }
}

impl Setup {
    fn new(rng: &mut Rng) -> Self {
        let spaces = 1 + usize::from(rng.chance(25));
        let count = spaces + 1 + rng.below(3);
        // Each space has a founder; the others join any.
        let devices = (0..count).map(|at| if at < spaces { at } else { rng.below(spaces) }).collect();
        let fast = rng.chance(50);
        Self {
            devices,
            spaces,
            relays: 1 + usize::from(rng.chance(35)),
            shares_relays: rng.chance(70),
            latency_ms: if fast { [1, 20] } else { [20, 900] },
            bytes_per_ms: *rng.pick(&[2, 50, 100_000]),
            disk_ms: *rng.pick(&[[0, 2], [1, 30], [20, 2_000]]),
            commit_ms: *rng.pick(&[0, 3, 300]),
            push_rows: *rng.pick(&[1, 2, 1_000]),
            push_bytes: *rng.pick(&[4_000, 16_000, 1 << 20]),
            batch_rows: *rng.pick(&[1, 2, 1_000]),
            has_policy: rng.chance(40),
            has_presence: rng.chance(25),
            limits_invites: rng.chance(20),
            ms: *rng.pick(&[20_000, 60_000, 120_000]),
        }
    }
}

impl Deed {
    fn new(setup: &Setup, rng: &mut Rng) -> Self {
        let act = match rng.below(100) {
            0..58 => Act::Edit,
            58..66 => Act::Transact,
            66..72 => Act::Flush,
            72..78 => Act::Undo,
            78..84 => Act::OpenTab,
            84..88 => Act::CloseTab,
            88..91 => Act::Meet,
            91..95 => Act::Say,
            95..97 => Act::Snapshot,
            _ => Act::Copy,
        };
        let act = if act == Act::Say && !setup.has_policy { Act::Edit } else { act };
        Self { at_ms: rng.below(setup.ms as usize) as u64, act, pick: rng.next() as u32, seed: rng.next() }
    }
}

impl Fault {
    fn new(setup: &Setup, on: &[Kind], rng: &mut Rng) -> Self {
        let picks = [rng.next() as u32, rng.next() as u32, rng.next() as u32];
        let ms = *rng.pick(&[100, 3_000, 20_000, 70_000]);
        Self { at_ms: rng.below(setup.ms as usize) as u64, kind: *rng.pick(on), ms, picks }
    }
}

/// One of the independent streams of a seed.
pub fn stream(seed: u64, number: u64) -> Rng {
    let mut word = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Rng::new(word ^ (word >> 31))
}
