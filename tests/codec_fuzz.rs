//! Every decoder against altered, cut, grown and invented bytes: none panics, none allocates beyond a constant times its
//! input, and whatever is accepted encodes back to the same bytes. Seeded; `SEED=` runs another one.

mod fixture;

use fixture::ops::{all_values, bodies};
use fixture::{first_changeset, genesis, guest_links, next_changeset, owner_chain, the_invite};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use stemma::codec::{BigInt, Reader, Tlv, TlvWriter, Writer};
use stemma::crypto::{Tag, hash};
use stemma::event::{Certificate, Chain, Content, Genesis, Header, Invite, SignedChangeset, Skeleton, Value};

/// Bytes a decoder may hold at once, for each byte of input and beside that.
const HELD_PER_BYTE: usize = 100;
const HELD_BESIDE: usize = 4_096;

type Rewrite = dyn Fn(&[u8]) -> Option<Vec<u8>>;

/// A decoder, inputs it accepts, and how what it read is written again. `None` is a refusal.
struct Subject {
    name: &'static str,
    inputs: Vec<Vec<u8>>,
    rewrite: Box<Rewrite>,
}

fn subjects() -> Vec<Subject> {
    fn subject(
        name: &'static str,
        inputs: Vec<Vec<u8>>,
        rewrite: impl Fn(&[u8]) -> Option<Vec<u8>> + 'static,
    ) -> Subject {
        Subject { name, inputs, rewrite: Box::new(rewrite) }
    }
    let first = first_changeset();
    let chain = fixture::chain(&guest_links());
    let certificates =
        chain.certificates().iter().map(|certificate| certificate.as_bytes().to_vec()).collect();
    let rows: Vec<Vec<u8>> =
        [&first, &next_changeset(&first)].map(|changeset| changeset.signed().encode()).to_vec();
    let headers =
        [&first, &next_changeset(&first)].map(|changeset| changeset.header().as_bytes().to_vec()).to_vec();
    let tlv =
        written(|out| TlvWriter::new().entry(2, b"abc").entry(5, &[]).entry(300, &[7; 200]).finish(out));
    let numbers =
        [0, -1, 255, i128::MIN].map(|number| written(|out| BigInt::from(number).encode(out))).to_vec();
    let mut subjects = vec![
        subject("tlv", vec![tlv], rewrite_tlv),
        subject("bigint", numbers, |bytes| {
            let mut reader = Reader::new(bytes);
            let number = BigInt::decode(&mut reader, "number").ok()?;
            reader.finish("number").ok()?;
            Some(written(|out| number.encode(out)))
        }),
        subject("value", all_values().iter().map(|(_, value)| value.to_bytes()).collect(), |bytes| {
            Some(Value::decode(bytes).ok()?.to_bytes())
        }),
        subject("genesis", vec![genesis().as_bytes().to_vec()], |bytes| {
            Some(Genesis::decode(bytes).ok()?.as_bytes().to_vec())
        }),
        subject("certificate", certificates, |bytes| {
            Some(Certificate::decode(bytes).ok()?.as_bytes().to_vec())
        }),
        subject("chain", vec![chain.encode(), owner_chain().encode()], |bytes| {
            Some(Chain::decode(bytes).ok()?.encode())
        }),
        subject("header", headers, |bytes| Some(rewrite_header(&Header::decode(bytes).ok()?))),
        subject("row", rows, |bytes| {
            let changeset = SignedChangeset::decode(bytes).ok()?;
            // A damaged segment is dropped, on purpose.
            Some(if changeset.is_damaged() { bytes.to_vec() } else { changeset.encode() })
        }),
        subject("invite", vec![without_check(&the_invite())], |body| {
            let check = &hash(Tag::INVITE, &[body]).0[..4];
            let bytes = Invite::decode_bytes(&[body, check].concat()).ok()?.encode_bytes()?;
            Some(bytes[..bytes.len() - 4].to_vec())
        }),
    ];
    for body in bodies() {
        let (class, deps) = (body.class, body.deps);
        subjects.push(subject("skeleton", vec![body.skeleton.encode(deps)], move |bytes| {
            Some(Skeleton::decode(bytes, class, deps).ok()?.encode(deps))
        }));
        subjects.push(subject("content", vec![body.content.encode()], move |bytes| {
            Some(Content::decode(bytes, &body.skeleton).ok()?.encode())
        }));
    }
    subjects
}

impl Subject {
    /// Decodes and checks what must hold for any bytes.
    fn try_bytes(&self, bytes: &[u8]) -> bool {
        let (rewritten, held) = HELD.with(|held| {
            held.reset();
            ((self.rewrite)(bytes), held.peak())
        });
        let limit = HELD_PER_BYTE * bytes.len() + HELD_BESIDE;
        assert!(held <= limit, "{}: {held} bytes held for {} of input", self.name, bytes.len());
        let accepted = rewritten.is_some();
        if let Some(rewritten) = rewritten {
            assert_eq!(fixture::hex(&rewritten), fixture::hex(bytes), "{}: not canonical", self.name);
        }
        accepted
    }
}

#[test]
fn what_was_written_is_read() {
    for subject in subjects() {
        for input in &subject.inputs {
            assert!(subject.try_bytes(input), "{}", subject.name);
        }
    }
}

#[test]
fn inputs_cut_at_each_byte_are_refused() {
    for subject in subjects() {
        for input in &subject.inputs {
            for end in 0..input.len() {
                assert!(
                    !subject.try_bytes(&input[..end]),
                    "{}: cut at {end} of {}",
                    subject.name,
                    input.len()
                );
            }
        }
    }
}

#[test]
fn trailing_bytes_are_refused() {
    for subject in subjects() {
        for input in &subject.inputs {
            for trailing in [0, 1, 0x80, 0xff] {
                assert!(!subject.try_bytes(&[input.as_slice(), &[trailing]].concat()), "{}", subject.name);
            }
        }
    }
}

#[test]
fn every_bit_can_be_flipped() {
    for subject in subjects() {
        for input in &subject.inputs {
            for bit in 0..input.len() * 8 {
                let mut flipped = input.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                subject.try_bytes(&flipped);
            }
        }
    }
}

#[test]
fn huge_and_padded_numbers_at_each_byte_allocate_nothing() {
    let numbers: [&[u8]; 6] = [
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        &[0xff, 0xff, 0xff, 0xff, 0x0f],
        &[0xff, 0xff, 0x0f],
        &[0xff, 0x7f],
        &[0x80, 0x00],
    ];
    for subject in subjects() {
        for input in &subject.inputs {
            for at in 0..input.len() {
                for number in numbers {
                    subject.try_bytes(&[&input[..at], number, &input[at + 1..]].concat());
                }
            }
        }
    }
}

#[test]
fn seeded_mutations_and_inventions() {
    let seed = std::env::var("SEED").map_or(0x57e3_3a5e, |seed| seed.parse().expect("SEED is a number"));
    let percent = std::env::var("FUZZ_ROUNDS").map_or(100, |percent| percent.parse().expect("a number"));
    println!("SEED={seed}");
    let mut random = Random(seed);
    for subject in subjects() {
        for round in 0..30 * percent {
            let mut bytes = subject.inputs[random.below(subject.inputs.len())].clone();
            for _ in 0..=random.below(4) {
                random.mutate(&mut bytes);
            }
            subject.try_bytes(&bytes);
            if round % 4 == 0 {
                let invented: Vec<u8> = (0..random.below(300)).map(|_| random.byte()).collect();
                subject.try_bytes(&invented);
            }
        }
    }
}

#[test]
fn invite_texts_of_any_kind_are_refused_calmly() {
    let text = the_invite().encode().expect("short enough");
    assert!(Invite::decode(&text).is_ok());
    let mut random = Random(7);
    for _ in 0..2_000 {
        let mut bytes = text.as_bytes().to_vec();
        random.mutate(&mut bytes);
        let altered = String::from_utf8_lossy(&bytes);
        if altered != text.as_str() && Invite::decode(&altered).is_ok() {
            // Only what stands before the token can have changed without a trace.
            assert!(altered.ends_with(text.as_str()), "{altered}");
        }
    }
}

/// A header from its fields. The extension is taken over.
fn rewrite_header(header: &Header) -> Vec<u8> {
    let Ok(class) = header.class() else {
        return header.as_bytes().to_vec();
    };
    let mut out = Writer::new();
    out.u8(1)
        .u8(1)
        .u8(class as u8)
        .u8(0)
        .raw(&header.space().0)
        .raw(&header.actor().0)
        .varint(header.seq().into());
    out.raw(&header.prev().map_or(header.space().0, |prev| prev.0)).varint(header.deps().len() as u64);
    header.deps().iter().for_each(|dep| {
        out.raw(&dep.0);
    });
    out.raw(&header.kid().0).varint(header.skeleton().len.into()).raw(&header.skeleton().hash.0);
    out.varint(header.content().map_or(0, |content| content.len.into()));
    out.raw(&header.content().map_or([0; 32], |content| content.hash.0));
    let ext = &header.as_bytes()[out.len()..];
    out.raw(&rewrite_tlv(ext).expect("the rest of a header is its extension"));
    out.into_bytes()
}

fn rewrite_tlv(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader::new(bytes);
    let tlv = Tlv::decode(&mut reader, "tlv", 1 << 20).ok()?;
    reader.finish("tlv").ok()?;
    let mut rewritten = TlvWriter::new();
    for entry in tlv.iter() {
        rewritten.entry(entry.tag, entry.value);
    }
    Some(written(|out| rewritten.finish(out)))
}

fn without_check(invite: &Invite) -> Vec<u8> {
    let bytes = invite.encode_bytes().expect("short enough");
    bytes[..bytes.len() - 4].to_vec()
}

fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut out = Writer::new();
    write(&mut out);
    out.into_bytes()
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end
    }

    fn byte(&mut self) -> u8 {
        (self.next() >> 56) as u8
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            bytes.push(self.byte());
        }
        let at = self.below(bytes.len());
        let end = (at + 1 + self.below(40)).min(bytes.len());
        match self.below(5) {
            0 => bytes[at] = self.byte(),
            1 => bytes.insert(at, self.byte()),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let copy = bytes[at..end].to_vec();
                let to = self.below(bytes.len());
                drop(bytes.splice(to..to, copy));
            }
            _ => bytes[at..end].iter_mut().for_each(|byte| *byte = self.byte()),
        }
    }
}

/// Counts what a thread holds, and the most it held since the last reset.
struct Held {
    now: Cell<isize>,
    peak: Cell<isize>,
}

impl Held {
    fn reset(&self) {
        self.now.set(0);
        self.peak.set(0);
    }

    fn peak(&self) -> usize {
        self.peak.get().unsigned_abs()
    }

    fn add(&self, bytes: isize) {
        self.now.set(self.now.get() + bytes);
        self.peak.set(self.peak.get().max(self.now.get()));
    }
}

thread_local! {
    static HELD: Held = const { Held { now: Cell::new(0), peak: Cell::new(0) } };
}

struct Counting;

// SAFETY: hands every call on to the system allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = HELD.try_with(|held| held.add(layout.size() as isize));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let _ = HELD.try_with(|held| held.add(-(layout.size() as isize)));
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;
