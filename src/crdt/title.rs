//! An asset of a ledger: a chain of assigns. The next link is the first of those that know the link before and are signed by
//! whoever owns the account that it gave the asset to. So two who are given one thing by one owner, apart, are rivals of one
//! link, and whoever gives away what another holds is in no chain.

use super::History;
use super::first::{insert, knows};
use crate::causal::{NameId, OpIx};
use crate::steps;

/// For each link the rivals that know no other one of them, the one that counts first.
pub(super) type Links = Vec<Vec<OpIx>>;

/// An asset.
#[derive(Clone, Debug)]
pub(super) struct Title {
    pub name: NameId,
    /// All assigns.
    pub rows: Vec<u32>,
    pub links: Links,
}

impl Title {
    pub fn new(name: NameId) -> Self {
        Self { name, rows: Vec::new(), links: Links::new() }
    }

    /// The last link.
    pub fn last(&self) -> Option<OpIx> {
        self.links.last().map(|rivals| rivals[0])
    }

    /// Whether an op is a link.
    pub fn has(&self, op: OpIx) -> bool {
        // Links know each other, so their numbers rise.
        self.links.binary_search_by_key(&op, |rivals| rivals[0]).is_ok()
    }
}

/// Adds an assign whose op number exceeds all before; `owns` says whether its author owns what a link gave the asset to.
/// Whatever it takes the place of has no successor that knows the new one: the chain ends with it then.
pub(super) fn link(history: &impl History, links: &mut Links, op: OpIx, owns: impl Fn(OpIx) -> bool) {
    let place = links.partition_point(|rivals| knows(history, op, rivals[0]));
    steps::count(1);
    if place.checked_sub(1).is_some_and(|before| !owns(links[before][0])) {
        return;
    }
    let Some(rivals) = links.get_mut(place) else { return links.push(vec![op]) };
    steps::count(rivals.len());
    if rivals.iter().any(|rival| knows(history, op, *rival)) {
        return;
    }
    if insert(history, rivals, op) == 0 {
        links.truncate(place + 1);
    }
}
