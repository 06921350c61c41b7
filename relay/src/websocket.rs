//! The relay's end of a WebSocket (RFC 6455): messages in and out, over any stream.
//!
//! Invariants: a connection that is silent keeps no buffer, neither for reading nor for writing; bytes are kept as they come,
//! not as they are announced; what breaks the rules, or is longer than it may be, ends the reading. Extensions are not spoken.

use std::cell::RefCell;
use std::io::{self, Cursor};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use prost::bytes::{Buf, Bytes, BytesMut};
use stemma::sync::FRAME_BYTES_MAX;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf, split};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// A frame over the limit of the protocol is read up to twice its size, so that it can be refused by name and not by a broken
/// socket.
const MESSAGE_BYTES_MAX: usize = 2 * FRAME_BYTES_MAX;
/// Of a ping, a pong and a close.
const CONTROL_BYTES_MAX: usize = 125;
/// Read at a time.
const SCRATCH_BYTES: usize = 1 << 16;
/// Payloads up to this are copied behind their header and go out as one piece.
const SMALL_BYTES: usize = 1 << 12;

thread_local! {
    /// What all connections of a thread are read into.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// A message.
    Binary(Bytes),
    /// A text; what it says is not kept.
    Text,
    /// Wants this back.
    Ping(Bytes),
    /// A sign of life.
    Pong,
    /// The last of all.
    Close,
}

/// What is sent to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// A message.
    Binary(Bytes),
    /// Wants an answer.
    Ping,
    /// Gives back what came with a ping.
    Pong(Bytes),
    /// The last of all, with a code.
    Close(u16),
}

/// The two ends of a connection that was upgraded.
pub(crate) fn open<S: AsyncRead + AsyncWrite>(stream: S) -> (Source<S>, Sink<S>) {
    let (reading, writing) = split(stream);
    let source = Source { stream: reading, buffer: BytesMut::new(), header: None, parts: None };
    (source, Sink { stream: writing })
}

/// What is read.
#[derive(Debug)]
pub(crate) struct Source<S> {
    stream: ReadHalf<S>,
    /// Of a frame that is not whole yet.
    buffer: BytesMut,
    header: Option<(FrameHeader, usize)>,
    /// Of a message that is not whole yet.
    parts: Option<BytesMut>,
}

impl<S: AsyncRead + AsyncWrite> Source<S> {
    /// The next message. Nothing is lost if it is not waited for to the end.
    ///
    /// # Errors
    /// If the stream ends, or what comes is no WebSocket.
    pub(crate) async fn next(&mut self) -> io::Result<Incoming> {
        loop {
            if let Some(message) = self.take()? {
                if self.buffer.is_empty() {
                    self.buffer = BytesMut::new();
                }
                return Ok(message);
            }
            if std::future::poll_fn(|context| self.poll_read(context)).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut read = ReadBuf::new(scratch);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            self.buffer.extend_from_slice(read.filled());
            Poll::Ready(Ok(read.filled().len()))
        })
    }

    /// A message, if one is whole.
    fn take(&mut self) -> io::Result<Option<Incoming>> {
        loop {
            let Some((header, mut payload)) = self.take_frame()? else { return Ok(None) };
            let mask = header.mask.ok_or_else(|| wrong("a frame without a mask"))?;
            unmask(&mut payload, mask);
            if header.rsv1 || header.rsv2 || header.rsv3 {
                return Err(wrong("a frame of an extension"));
            }
            let code = match header.opcode {
                OpCode::Control(_) if !header.is_final => return Err(wrong("a part of a control frame")),
                OpCode::Control(code) => return control(code, &payload).map(Some),
                OpCode::Data(code) => code,
            };
            let message = match (code, self.parts.take()) {
                (Data::Text, None) => return Ok(Some(Incoming::Text)),
                (Data::Binary, None) => payload,
                (Data::Continue, Some(mut parts)) => {
                    parts.extend_from_slice(&payload);
                    parts
                }
                _ => return Err(wrong("a frame out of order")),
            };
            if header.is_final {
                return Ok(Some(Incoming::Binary(message.freeze())));
            }
            self.parts = Some(message);
        }
    }

    fn take_frame(&mut self) -> io::Result<Option<(FrameHeader, BytesMut)>> {
        if self.header.is_none() {
            let mut cursor = Cursor::new(&self.buffer[..]);
            let parsed = FrameHeader::parse(&mut cursor).map_err(|_| wrong("no header of a frame"))?;
            let Some((header, len)) = parsed else { return Ok(None) };
            let bytes = cursor.position() as usize;
            self.buffer.advance(bytes);
            self.header = Some((header, self.check(len)?));
        }
        match self.header.take_if(|(_, len)| *len <= self.buffer.len()) {
            Some((header, len)) => Ok(Some((header, self.buffer.split_to(len)))),
            None => Ok(None),
        }
    }

    /// The length of a frame's payload, if the message may be so long.
    fn check(&self, len: u64) -> io::Result<usize> {
        let known = self.parts.as_ref().map_or(0, BytesMut::len);
        let len = usize::try_from(len).map_err(|_| wrong("a frame that is too long"))?;
        match len.checked_add(known) {
            Some(all) if all <= MESSAGE_BYTES_MAX => Ok(len),
            _ => Err(wrong("a message that is too long")),
        }
    }
}

fn control(code: Control, payload: &[u8]) -> io::Result<Incoming> {
    match code {
        _ if payload.len() > CONTROL_BYTES_MAX => Err(wrong("a control frame that is too long")),
        // What it was read with is let go.
        Control::Ping => Ok(Incoming::Ping(Bytes::copy_from_slice(payload))),
        Control::Pong => Ok(Incoming::Pong),
        Control::Close => Ok(Incoming::Close),
        Control::Reserved(_) => Err(wrong("a frame of an unknown kind")),
    }
}

fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let (words, rest) = payload.as_chunks_mut::<4>();
    for word in words {
        *word = (u32::from_ne_bytes(*word) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
    }
    rest.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// What is written.
#[derive(Debug)]
pub(crate) struct Sink<S> {
    stream: WriteHalf<S>,
}

impl<S: AsyncRead + AsyncWrite> Sink<S> {
    /// Hands a message to the system.
    ///
    /// # Errors
    /// If the stream takes nothing any more.
    pub(crate) async fn send(&mut self, message: Outgoing) -> io::Result<()> {
        let (opcode, payload) = match message {
            Outgoing::Binary(payload) => (OpCode::Data(Data::Binary), payload),
            Outgoing::Ping => (OpCode::Control(Control::Ping), Bytes::new()),
            Outgoing::Pong(payload) => (OpCode::Control(Control::Pong), payload),
            Outgoing::Close(code) => {
                (OpCode::Control(Control::Close), Bytes::copy_from_slice(&code.to_be_bytes()))
            }
        };
        let header = FrameHeader { opcode, ..FrameHeader::default() };
        let mut head = Vec::with_capacity(10 + if payload.len() <= SMALL_BYTES { payload.len() } else { 0 });
        header.format(payload.len() as u64, &mut head).map_err(io::Error::other)?;
        if payload.len() <= SMALL_BYTES {
            head.extend_from_slice(&payload);
            self.stream.write_all(&head).await?;
        } else {
            self.stream.write_all_buf(&mut (&head[..]).chain(payload)).await?;
        }
        self.stream.flush().await
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, DuplexStream, duplex};

    use super::*;

    const MASK: [u8; 4] = [1, 2, 3, 4];
    const FINAL: u8 = 0x80;

    /// A frame as a client sends it.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            0..126 => bytes.push(0x80 | payload.len() as u8),
            126..0x1_0000 => {
                bytes.push(0x80 | 126);
                bytes.extend((payload.len() as u16).to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend((payload.len() as u64).to_be_bytes());
            }
        }
        bytes.extend(MASK);
        bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    /// What is read of bytes that come in pieces of a length; the end too.
    async fn read(bytes: &[u8], piece: usize) -> (Vec<Incoming>, io::ErrorKind) {
        let (mut near, far) = duplex(piece);
        let (mut source, _sink) = open(far);
        let bytes = bytes.to_vec();
        let writes = tokio::spawn(async move {
            for piece in bytes.chunks(piece) {
                if near.write_all(piece).await.is_err() {
                    return;
                }
            }
        });
        let mut all = Vec::new();
        let end = loop {
            match source.next().await {
                Ok(message) => all.push(message),
                Err(error) => break error.kind(),
            }
        };
        drop(source);
        drop(_sink);
        writes.await.expect("no panic");
        (all, end)
    }

    #[tokio::test]
    async fn messages_come_whole_however_they_are_cut() {
        let long = vec![7; 70_000];
        let bytes = [
            frame(FINAL | 2, b"one"),
            frame(FINAL | 2, b""),
            frame(2, b"in "),
            frame(FINAL | 9, b"ping between"),
            frame(0, b"three "),
            frame(FINAL, b"parts"),
            frame(FINAL | 2, &vec![5; 300]),
            frame(FINAL | 2, &long),
            frame(FINAL | 10, b"pong"),
            frame(FINAL | 1, b"text"),
            frame(FINAL | 8, &[3, 232]),
        ]
        .concat();
        let binary = |bytes: &[u8]| Incoming::Binary(Bytes::copy_from_slice(bytes));
        let expected = [
            binary(b"one"),
            binary(b""),
            Incoming::Ping(Bytes::from_static(b"ping between")),
            binary(b"in three parts"),
            binary(&[5; 300]),
            binary(&long),
            Incoming::Pong,
            Incoming::Text,
            Incoming::Close,
        ];
        for piece in [1, 3, 1_000, 1 << 20] {
            assert_eq!(read(&bytes, piece).await, (expected.to_vec(), io::ErrorKind::UnexpectedEof));
        }
    }

    #[tokio::test]
    async fn what_breaks_the_rules_ends_the_reading() {
        let mut unmasked = frame(FINAL | 2, b"bare");
        unmasked[1] &= 0x7f;
        let announced = |len: u64| [&[FINAL | 2, 0x80 | 127][..], &len.to_be_bytes(), &MASK].concat();
        let parts = [frame(2, &vec![0; MESSAGE_BYTES_MAX]), frame(FINAL, &[0])].concat();
        let wrongs = [
            unmasked,
            frame(FINAL, b"nothing to go on with"),
            [frame(2, b"a part"), frame(FINAL | 2, b"another message")].concat(),
            frame(FINAL | 9, &[0; 126]),
            frame(9, b"a part of a ping"),
            frame(FINAL | 0x40 | 2, b"compressed"),
            frame(FINAL | 3, b"an unknown kind"),
            frame(FINAL | 11, b"another"),
            announced(MESSAGE_BYTES_MAX as u64 + 1),
            announced(u64::MAX),
            parts,
        ];
        for bytes in wrongs {
            let (all, end) = read(&bytes, 1 << 16).await;
            assert_eq!((all, end), (Vec::new(), io::ErrorKind::InvalidData), "{:?}", &bytes[..8]);
        }
    }

    #[tokio::test]
    async fn a_silent_connection_keeps_no_buffer() {
        let (mut near, far) = duplex(1 << 20);
        let (mut source, _sink) = open(far);
        near.write_all(&frame(FINAL | 2, &[1; 100_000])).await.expect("is taken");
        drop(source.next().await.expect("a message"));
        assert_eq!((source.buffer.capacity(), source.parts.is_none()), (0, true));
        // Of what is announced only what came is kept.
        near.write_all(&[FINAL | 2, 0x80 | 127, 0, 0, 0, 0, 0, 16, 0, 0, 1, 2, 3, 4, 5])
            .await
            .expect("is taken");
        let waits = tokio::time::timeout(std::time::Duration::from_millis(10), source.next());
        assert!(waits.await.is_err());
        assert!(source.buffer.capacity() < 4_096, "{}", source.buffer.capacity());
    }

    async fn sent(message: Outgoing) -> Vec<u8> {
        let (mut near, far): (DuplexStream, _) = duplex(1 << 20);
        let (source, mut sink) = open(far);
        sink.send(message).await.expect("is taken");
        drop((source, sink));
        let mut bytes = Vec::new();
        near.read_to_end(&mut bytes).await.expect("reads");
        bytes
    }

    #[tokio::test]
    async fn frames_of_the_relay_have_no_mask() {
        assert_eq!(sent(Outgoing::Binary(Bytes::from_static(b"abc"))).await, [0x82, 3, b'a', b'b', b'c']);
        assert_eq!(sent(Outgoing::Ping).await, [0x89, 0]);
        assert_eq!(sent(Outgoing::Pong(Bytes::from_static(b"x"))).await, [0x8a, 1, b'x']);
        assert_eq!(sent(Outgoing::Close(1000)).await, [0x88, 2, 3, 232]);
        let long = sent(Outgoing::Binary(Bytes::from(vec![9; 70_000]))).await;
        assert_eq!(long[..10], [0x82, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70]);
        assert_eq!((long.len(), long[70_009]), (70_010, 9));
    }
}
