//! The options of an object: part of its identity, so the same name with others is another object (docs/format.md §2).

use super::ObjectKind;
use crate::causal::MemberId;
use crate::codec::limits::{EXT_BYTES_MAX, NAME_BYTES_MAX};
use crate::codec::{BigInt, DecodeError, Reader, Tlv, TlvWriter, Writer};
use crate::sorted::sort;

/// Options in their canonical form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Of a counter: it only grows. Of a set: the last writer wins.
    pub variant: bool,
    /// Of a map: keys that are written together. Each group sorted, the groups sorted; no key twice.
    pub groups: Vec<Vec<String>>,
    /// Of a map: keys that are objects of their own, with their kinds; sorted by key.
    pub fields: Vec<(String, ObjectKind)>,
    /// Of a ledger: members whose accounts have no credit limit, and from whom money comes; sorted.
    pub issuers: Vec<MemberId>,
    /// Of a ledger: how far below zero the other accounts may go. Absent: without limit, beside issuers not at all.
    pub credit: Option<i128>,
}

/// Amounts of ledgers are below it: as many of them as there are ops do not leave 128 bits.
pub const MONEY_END: i128 = 1 << 95;

/// The most groups, keys of a group, and fields.
const LIST_MAX: usize = 64;

impl Options {
    /// Puts the lists in order.
    #[must_use]
    pub fn canonical(mut self) -> Self {
        self.groups.iter_mut().for_each(|group| sort(group));
        sort(&mut self.groups);
        sort(&mut self.fields);
        sort(&mut self.issuers);
        self.credit = self.credit.filter(|credit| *credit != 0 || self.issuers.is_empty());
        self
    }

    /// Whether they are sound: lists in order and within bounds, no key twice, nothing that the kind does not have.
    #[must_use]
    pub fn fit(&self, kind: ObjectKind) -> bool {
        let is_map = kind == ObjectKind::Map;
        let mut keys: Vec<&str> = self.groups.iter().flatten().map(String::as_str).collect();
        keys.extend(self.fields.iter().map(|(key, _)| key.as_str()));
        let count = keys.len();
        sort(&mut keys);
        keys.dedup();
        (!self.variant || matches!(kind, ObjectKind::Counter | ObjectKind::Set))
            && (is_map || count == 0)
            && keys.len() == count
            && keys.iter().all(|key| key.len() <= NAME_BYTES_MAX)
            && self.groups.len() <= LIST_MAX
            && self.fields.len() <= LIST_MAX
            && self.groups.iter().all(|group| (1..=LIST_MAX).contains(&group.len()) && group.is_sorted())
            && self.groups.is_sorted()
            && self.fields.is_sorted()
            && self.fields.iter().all(|(_, kind)| *kind != ObjectKind::Ledger)
            && (kind == ObjectKind::Ledger || self.issuers.is_empty() && self.credit.is_none())
            && self.issuers.len() <= LIST_MAX
            && self.issuers.is_sorted_by(|a, b| a < b)
            && self.credit.is_none_or(|credit| (0..MONEY_END).contains(&credit))
            && (self.credit != Some(0) || self.issuers.is_empty())
    }

    /// How far below zero the accounts of a member may go in a ledger; none without limit.
    #[must_use]
    pub fn credit_of(&self, owner: MemberId) -> Option<i128> {
        match self.issuers.contains(&owner) {
            true => None,
            false => self.credit.or((!self.issuers.is_empty()).then_some(0)),
        }
    }

    /// The group of a key of a map, and its place in it.
    #[must_use]
    pub fn group_of(&self, key: &str) -> Option<(u32, usize)> {
        self.groups.iter().zip(0..).find_map(|(group, number)| {
            group.iter().position(|member| member == key).map(|place| (number, place))
        })
    }

    /// The kind of a field of a map.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<ObjectKind> {
        self.fields.iter().find(|(field, _)| field == key).map(|(_, kind)| *kind)
    }

    /// Writes them: a `tlv`, without entries for defaults.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut tlv = TlvWriter::new();
        if self.variant {
            tlv.entry(FIRST, &[1]);
        }
        if !self.groups.is_empty() {
            let mut out = Writer::new();
            out.varint(self.groups.len() as u64);
            for group in &self.groups {
                out.varint(group.len() as u64);
                for key in group {
                    out.string(key);
                }
            }
            tlv.entry(FIRST, out.as_slice());
        }
        if !self.issuers.is_empty() {
            let mut out = Writer::new();
            out.varint(self.issuers.len() as u64);
            for issuer in &self.issuers {
                out.raw(&issuer.0);
            }
            tlv.entry(FIRST, out.as_slice());
        }
        if let Some(credit) = self.credit {
            let mut out = Writer::new();
            BigInt::from(credit).encode(&mut out);
            tlv.entry(SECOND, out.as_slice());
        }
        if !self.fields.is_empty() {
            let mut out = Writer::new();
            out.varint(self.fields.len() as u64);
            for (key, kind) in &self.fields {
                out.string(key).u8(*kind as u8);
            }
            tlv.entry(SECOND, out.as_slice());
        }
        let mut out = Writer::new();
        tlv.finish(&mut out);
        out.into_bytes()
    }

    /// Reads what belongs to an object of a kind; none if this version does not understand them.
    #[must_use]
    pub fn decode(kind: ObjectKind, bytes: &[u8]) -> Option<Self> {
        let options = Self::read(kind, bytes).ok()?;
        (options.fit(kind) && options.encode() == bytes).then_some(options)
    }

    fn read(kind: ObjectKind, bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let tlv = Tlv::decode(&mut reader, "options", EXT_BYTES_MAX)?;
        let mut options = Self::default();
        for entry in tlv.iter() {
            let mut value = Reader::new(entry.value);
            match (kind, entry.tag) {
                (ObjectKind::Counter | ObjectKind::Set, FIRST) => options.variant = value.u8("variant")? == 1,
                (ObjectKind::Map, FIRST) => {
                    for _ in 0..value.count("groups", LIST_MAX, 1)? {
                        let count = value.count("keys", LIST_MAX, 1)?;
                        let keys = (0..count).map(|_| Ok(value.string("key", NAME_BYTES_MAX)?.to_owned()));
                        options.groups.push(keys.collect::<Result<_, DecodeError>>()?);
                    }
                }
                (ObjectKind::Map, SECOND) => {
                    for _ in 0..value.count("fields", LIST_MAX, 2)? {
                        let key = value.string("key", NAME_BYTES_MAX)?.to_owned();
                        let kind = ObjectKind::from_code(value.u8("kind")?);
                        options.fields.extend(kind.map(|kind| (key, kind)));
                    }
                }
                (ObjectKind::Ledger, FIRST) => {
                    for _ in 0..value.count("issuers", LIST_MAX, 32)? {
                        options.issuers.push(MemberId(value.array("issuer")?));
                    }
                }
                (ObjectKind::Ledger, SECOND) => {
                    options.credit = BigInt::decode(&mut value, "credit limit")?.to_i128();
                }
                _ => {}
            }
            value.finish("options")?;
        }
        reader.finish("options")?;
        Ok(options)
    }
}

const FIRST: u64 = 2;
const SECOND: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_read_back_and_defaults_are_one_byte() {
        let plain = Options::default();
        assert_eq!(plain.encode(), [0]);
        let map = Options {
            groups: vec![vec!["start".into(), "end".into()]],
            fields: vec![("votes".into(), ObjectKind::Counter), ("body".into(), ObjectKind::Text)],
            ..Options::default()
        };
        let map = map.canonical();
        assert_eq!(Options::decode(ObjectKind::Map, &map.encode()), Some(map.clone()));
        assert_eq!(map.group_of("start"), Some((0, 1)));
        assert_eq!(map.field("body"), Some(ObjectKind::Text));
        assert_eq!(Options::decode(ObjectKind::Counter, &map.encode()), None);
        let grow = Options { variant: true, ..Options::default() };
        assert_eq!(Options::decode(ObjectKind::Counter, &grow.encode()), Some(grow));
        assert_eq!(Options::decode(ObjectKind::Counter, &[3, 2, 1, 0]), None, "a default is left out");
    }

    #[test]
    fn a_ledger_has_issuers_and_a_limit() {
        let ledger = |issuers: &[u8], credit| Options {
            issuers: issuers.iter().map(|issuer| MemberId([*issuer; 32])).collect(),
            credit,
            ..Options::default()
        };
        let options = ledger(&[2, 1], Some(500)).canonical();
        assert_eq!(Options::decode(ObjectKind::Ledger, &options.encode()), Some(options.clone()));
        assert_eq!(Options::decode(ObjectKind::Map, &options.encode()), None);
        assert_eq!(
            (options.credit_of(MemberId([1; 32])), options.credit_of(MemberId([3; 32]))),
            (None, Some(500))
        );
        assert_eq!(ledger(&[], None).credit_of(MemberId([3; 32])), None);
        assert_eq!(ledger(&[1], Some(0)).canonical(), ledger(&[1], None));
        assert_eq!(ledger(&[1], None).credit_of(MemberId([3; 32])), Some(0));
        for wrong in [
            ledger(&[1, 1], None),
            ledger(&[], Some(-1)),
            ledger(&[], Some(MONEY_END)),
            ledger(&[1], Some(0)),
        ] {
            assert!(!wrong.fit(ObjectKind::Ledger), "{wrong:?}");
            assert_eq!(Options::decode(ObjectKind::Ledger, &wrong.encode()), None);
        }
    }

    #[test]
    fn a_key_stands_in_one_place_only() {
        let twice = Options {
            groups: vec![vec!["a".into(), "b".into()], vec!["b".into(), "c".into()]],
            ..Options::default()
        };
        assert!(!twice.fit(ObjectKind::Map));
        let both = Options {
            groups: vec![vec!["a".into()]],
            fields: vec![("a".into(), ObjectKind::Text)],
            ..Options::default()
        };
        assert!(!both.fit(ObjectKind::Map));
    }
}
