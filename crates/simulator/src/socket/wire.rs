//! WebSocket frames, both ways. Written by hand: a script may fragment a message inside a letter, put pings between the
//! pieces, or announce more than it sends, and none of that is what a WebSocket library is for.

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};

/// What the protocol appends to the client's key.
const HANDSHAKE_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Longest message taken from a client.
const MESSAGE_BYTES: usize = 64 << 20;

/// Payload of a control frame.
const CONTROL_BYTES: usize = 125;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl Opcode {
    fn read(bits: u8) -> Option<Self> {
        [Self::Continuation, Self::Text, Self::Binary, Self::Close, Self::Ping, Self::Pong]
            .into_iter()
            .find(|opcode| *opcode as u8 == bits)
    }
}

/// The value of `Sec-WebSocket-Accept`.
pub(crate) fn accept_key(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.trim());
    hash.update(HANDSHAKE_SUFFIX);
    STANDARD.encode(hash.finalize())
}

/// Appends a frame as a server sends it.
pub(crate) fn push_frame(out: &mut Vec<u8>, opcode: Opcode, last: bool, payload: &[u8]) {
    push_header(out, opcode, last, payload.len() as u64);
    out.extend_from_slice(payload);
}

/// Appends the header of a frame with so many bytes.
pub(crate) fn push_header(out: &mut Vec<u8>, opcode: Opcode, last: bool, length: u64) {
    out.push(u8::from(last) << 7 | opcode as u8);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => out.push(short),
        (_, Ok(medium)) => {
            out.push(126);
            out.extend(medium.to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend(length.to_be_bytes());
        }
    }
}

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Text(Vec<u8>),
    Binary,
    Ping(Vec<u8>),
    Pong,
    Close,
}

/// A client that does not speak WebSocket.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Broken(pub &'static str);

/// Puts a client's messages together. Empty between messages: thousands of idle sockets hold no buffer.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    bytes: Vec<u8>,
    /// A fragmented message so far, and whether it is text.
    message: Option<(bool, Vec<u8>)>,
}

impl Decoder {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message.
    pub(crate) fn next(&mut self) -> Result<Option<Received>, Broken> {
        while let Some((opcode, last, payload)) = self.frame()? {
            let received = match opcode {
                Opcode::Ping => Some(Received::Ping(payload)),
                Opcode::Pong => Some(Received::Pong),
                Opcode::Close => Some(Received::Close),
                Opcode::Text | Opcode::Binary if self.message.is_some() => {
                    return Err(Broken("a message inside a message"));
                }
                Opcode::Text | Opcode::Binary => self.part(opcode == Opcode::Text, last, payload),
                Opcode::Continuation => {
                    let (text, mut message) = self.message.take().ok_or(Broken("nothing to continue"))?;
                    if message.len() + payload.len() > MESSAGE_BYTES {
                        return Err(Broken("a message is too long"));
                    }
                    message.extend(payload);
                    self.part(text, last, message)
                }
            };
            if received.is_some() {
                return Ok(received);
            }
        }
        Ok(None)
    }

    fn part(&mut self, text: bool, last: bool, message: Vec<u8>) -> Option<Received> {
        if !last {
            self.message = Some((text, message));
            return None;
        }
        Some(if text { Received::Text(message) } else { Received::Binary })
    }

    /// The next frame, unmasked.
    fn frame(&mut self) -> Result<Option<(Opcode, bool, Vec<u8>)>, Broken> {
        let [first, second, rest @ ..] = &self.bytes[..] else {
            return Ok(None);
        };
        if first & 0x70 != 0 {
            return Err(Broken("reserved bits are set"));
        }
        let opcode = Opcode::read(first & 0x0F).ok_or(Broken("an unknown opcode"))?;
        if second & 0x80 == 0 {
            return Err(Broken("a client's frame is not masked"));
        }
        let Some((length, rest)) = length(second & 0x7F, rest) else {
            return Ok(None);
        };
        let control = opcode as u8 >= Opcode::Close as u8;
        if length > MESSAGE_BYTES || control && (length > CONTROL_BYTES || first & 0x80 == 0) {
            return Err(Broken("a frame is too long"));
        }
        let Some((mask, rest)) = rest.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let Some(masked) = rest.get(..length) else {
            return Ok(None);
        };
        let payload = masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        let last = first & 0x80 != 0;
        let used = self.bytes.len() - rest.len() + length;
        if used == self.bytes.len() {
            self.bytes = Vec::new();
        } else {
            self.bytes.drain(..used);
        }
        Ok(Some((opcode, last, payload)))
    }
}

fn length(short: u8, rest: &[u8]) -> Option<(usize, &[u8])> {
    match short {
        126 => rest.split_first_chunk::<2>().map(|(bytes, rest)| (u16::from_be_bytes(*bytes).into(), rest)),
        127 => rest.split_first_chunk::<8>().map(|(bytes, rest)| {
            // What does not fit is too long in any case.
            (usize::try_from(u64::from_be_bytes(*bytes)).unwrap_or(usize::MAX), rest)
        }),
        short => Some((short.into(), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame as a client sends it.
    fn masked(opcode: Opcode, last: bool, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        push_header(&mut out, opcode, last, payload.len() as u64);
        out[1] |= 0x80;
        let mask = [1, 2, 3, 4];
        out.extend(mask);
        out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        out
    }

    #[test]
    fn the_handshake_is_answered_as_the_standard_has_it() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn messages_are_put_together_whatever_the_pieces() {
        let long = vec![b'x'; 70_000];
        let mut bytes = masked(Opcode::Text, false, "gr".as_bytes());
        bytes.extend(masked(Opcode::Ping, true, b"?"));
        bytes.extend(masked(Opcode::Continuation, true, "üße".as_bytes()));
        bytes.extend(masked(Opcode::Text, true, &[b'y'; 300]));
        bytes.extend(masked(Opcode::Binary, true, &long));
        bytes.extend(masked(Opcode::Close, true, &[]));
        for size in [1, 7, bytes.len()] {
            let mut decoder = Decoder::default();
            let mut received = Vec::new();
            for piece in bytes.chunks(size) {
                decoder.feed(piece);
                while let Some(message) = decoder.next().unwrap() {
                    received.push(message);
                }
            }
            let expected = [
                Received::Ping(b"?".to_vec()),
                Received::Text("grüße".as_bytes().to_vec()),
                Received::Text(vec![b'y'; 300]),
                Received::Binary,
                Received::Close,
            ];
            assert_eq!(received, expected);
            assert_eq!(decoder.bytes.capacity(), 0, "an idle decoder holds nothing");
        }
    }

    #[test]
    fn broken_clients_are_found_out() {
        let unmasked = [0x81, 0x01, b'a'].to_vec();
        let mut endless = masked(Opcode::Text, true, b"");
        endless.splice(1..2, [0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0]);
        let mut reserved = masked(Opcode::Text, true, b"a");
        reserved[0] |= 0x40;
        let lone = masked(Opcode::Continuation, true, b"a");
        let split_ping = masked(Opcode::Ping, false, b"a");
        let nested = [masked(Opcode::Text, false, b"a"), masked(Opcode::Text, true, b"b")].concat();
        for bytes in [unmasked, endless, reserved, lone, split_ping, nested] {
            let mut decoder = Decoder::default();
            decoder.feed(&bytes);
            assert!(decoder.next().is_err(), "{bytes:?}");
        }
    }
}
