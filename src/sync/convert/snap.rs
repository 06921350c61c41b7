//! The frames about snapshots (`docs/protocol.md` §8) as bytes.

use prost::bytes::Bytes;

use super::{Body, own, wrap};
use crate::event::{MANIFEST_BYTES_MAX, SNAPSHOT_CHUNK_BYTES_MAX, SNAPSHOT_CHUNKS_MAX, SnapshotId};
use crate::sync::error::FrameError;
use crate::sync::message::{Frame, SignedBy, Snap, SnapshotOffer};
use crate::sync::{WITNESSES_MAX, wire};

impl Body {
    pub(super) fn snapshot(&self) -> Result<Frame, FrameError> {
        let frame: wire::Snapshot = self.message()?;
        if frame.manifest.len() > MANIFEST_BYTES_MAX || frame.by.is_empty() {
            return Err(self.bad("manifest"));
        }
        let by = self.list(frame.by, WITNESSES_MAX + 1, |by| self.signed(by))?;
        let offer = SnapshotOffer { manifest: frame.manifest, by, attest: frame.attest };
        Ok(Frame::Snap(self.space(&frame.space)?, Snap::Offer(offer)))
    }

    pub(super) fn snap(&self) -> Result<Frame, FrameError> {
        let wire::Snap { space, id, number, bytes, by } = self.message()?;
        let space = self.space(&space)?;
        if self.kind == 0x20 {
            return Ok(Frame::Snap(space, Snap::Wanted));
        }
        let id = SnapshotId(self.array("id", &id)?);
        if number as usize >= SNAPSHOT_CHUNKS_MAX {
            return Err(self.bad("number"));
        }
        if bytes.len() > SNAPSHOT_CHUNK_BYTES_MAX {
            return Err(self.bad("bytes"));
        }
        let snap = match self.kind {
            0x22 => Snap::Get { id, number },
            0x23 => Snap::Chunk { id, number, bytes },
            0x24 => Snap::Attest { id, by: self.signed(by.ok_or_else(|| self.bad("by"))?)? },
            _ => Snap::Bad { id },
        };
        Ok(Frame::Snap(space, snap))
    }

    fn signed(&self, by: wire::Signed) -> Result<SignedBy, FrameError> {
        Ok(SignedBy { chain: by.chain, signature: self.array("signature", &by.signature)? })
    }
}

pub(super) fn to_wire(kind: u8, space: Bytes, snap: Snap) -> Bytes {
    let mut wire = wire::Snap { space, ..wire::Snap::default() };
    let signed = |by: SignedBy| wire::Signed { chain: by.chain, signature: own(&by.signature) };
    match snap {
        Snap::Offer(SnapshotOffer { manifest, by, attest }) => {
            let by = by.into_iter().map(signed).collect();
            return wrap(kind, &wire::Snapshot { space: wire.space, manifest, by, attest });
        }
        Snap::Wanted => {}
        Snap::Get { id, number } => (wire.id, wire.number) = (own(&id.0), number),
        Snap::Chunk { id, number, bytes } => {
            (wire.id, wire.number, wire.bytes) = (own(&id.0), number, bytes);
        }
        Snap::Attest { id, by } => (wire.id, wire.by) = (own(&id.0), Some(signed(by))),
        Snap::Bad { id } => wire.id = own(&id.0),
    }
    wrap(kind, &wire)
}
