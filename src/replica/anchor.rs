//! Places in texts as bytes that mean the same on every replica: `side u8`, then for a place beside a unit the changeset
//! that inserted it and the offset among its units. Sides: 0 start, 1 end, 2 before, 3 behind a unit.

use super::{Env, Replica};
use crate::causal::{ChangesetId, ChangesetIx};
use crate::codec::{Reader, Writer};
use crate::crdt::{Anchor, Bias, UnitRef};
use crate::doc::ObjectIx;

impl Replica {
    /// Names a place in a text, in UTF-16 units. Seals the open batch if the place is beside text of it, for only sealed text
    /// has a lasting name; none if the position is outside the text, or beside text of a transaction that is still open.
    pub fn text_anchor(
        &mut self,
        object: ObjectIx,
        position: u32,
        bias: Bias,
        env: &mut Env<'_>,
    ) -> Option<Vec<u8>> {
        let place = |replica: &Self| replica.text(object)?.anchor_at(position, bias).ok();
        let mut anchor = place(self)?;
        if matches!(anchor, Anchor::Unit { unit, .. } if unit.changeset == ChangesetIx::OPEN) {
            self.flush(env);
            anchor = place(self)?;
        }
        let mut writer = Writer::new();
        match anchor {
            Anchor::Start => writer.u8(0),
            Anchor::End => writer.u8(1),
            Anchor::Unit { unit, .. } if unit.changeset == ChangesetIx::OPEN => return None,
            Anchor::Unit { unit, bias } => writer
                .u8(if bias == Bias::Before { 2 } else { 3 })
                .raw(&self.log.graph().id(unit.changeset).0)
                .varint(u64::from(unit.offset)),
        };
        Some(writer.into_bytes())
    }

    /// Where a place is now; none if the bytes are malformed or name text that is not here.
    pub fn text_position(&self, object: ObjectIx, anchor: &[u8]) -> Option<u32> {
        let mut reader = Reader::new(anchor);
        let anchor = match reader.u8("side").ok()? {
            0 => Anchor::Start,
            1 => Anchor::End,
            side @ (2 | 3) => {
                let id = ChangesetId(reader.array("changeset").ok()?);
                let offset = reader.varint_u32("offset", u32::MAX).ok()?;
                let unit = UnitRef { changeset: self.log.graph().get(&id)?, offset };
                Anchor::Unit { unit, bias: if side == 2 { Bias::Before } else { Bias::After } }
            }
            _ => return None,
        };
        reader.finish("anchor").ok()?;
        self.text(object)?.position(anchor)
    }
}
