//! Between a [`Row`] on the wire and a stored row (`docs/format.md` §4).

use prost::bytes::Bytes;

use super::message::Row;
use crate::codec::limits::CHANGESET_BYTES_MAX;
use crate::codec::{DecodeError, Reader, Writer};
use crate::event::Header;

const PRESENT_CONTENT: u8 = 1;
const PRESENT_SKELETON: u8 = 2;

impl Row {
    /// What travels of a stored row. A skeleton that is not there is empty: no relay takes such a row.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are no row; its segments are not hashed.
    pub fn from_stored(stored: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(stored);
        let present = reader.u8("row presence")?;
        let header_bytes = reader.bytes("row header", CHANGESET_BYTES_MAX)?;
        let header = Header::decode(header_bytes)?;
        let signature = reader.array("row signature")?;
        let mut segment = |bit, what, len: u32| match present & bit {
            0 => Ok(None),
            _ => reader.raw(what, len as usize).map(|bytes| Some(Bytes::copy_from_slice(bytes))),
        };
        let skeleton = segment(PRESENT_SKELETON, "row skeleton", header.skeleton().len)?;
        let content_len = header.content().map_or(0, |content| content.len);
        let content = segment(PRESENT_CONTENT, "row content", content_len)?;
        reader.finish("row")?;
        Ok(Self {
            header: Bytes::copy_from_slice(header_bytes),
            signature,
            skeleton: skeleton.unwrap_or_default(),
            content,
        })
    }

    /// The row as it is stored. It need not be one: whoever reads it decides.
    #[must_use]
    pub fn to_stored(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(5 + self.bytes());
        let skeleton = if self.skeleton.is_empty() { 0 } else { PRESENT_SKELETON };
        let content = if self.content.is_some() { PRESENT_CONTENT } else { 0 };
        out.u8(skeleton | content).bytes(&self.header).raw(&self.signature).raw(&self.skeleton);
        out.raw(self.content.as_deref().unwrap_or_default());
        out.into_bytes()
    }
}
