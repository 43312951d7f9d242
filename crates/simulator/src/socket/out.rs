//! What is about to leave: events and other messages, turned into writes as the script frames them.

use super::wire::{Opcode, push_frame, push_header};
use crate::script::{Framing, NetworkCut, Separator};

/// Events that share a message where a script glues them.
const GLUED: usize = 3;

/// Bytes that are written at once of a message made of filling.
const FILLING: usize = 64 << 10;

/// One thing to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Out {
    /// A text, usually an event in its envelope.
    Text(String),
    Binary(Vec<u8>),
    ControlPing,
    /// A text message of about so many bytes.
    Oversized(u64),
    /// Whole frames.
    Frames(Vec<u8>),
    /// The first bytes of a message whose rest never comes.
    Half,
}

/// Bytes for one write.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Write {
    Bytes(Vec<u8>),
    /// The same letter, so many times.
    Filling(u64),
}

/// The writes for some messages.
pub(super) fn writes(framing: Framing, messages: Vec<Out>) -> Vec<Write> {
    let mut writes = Writes { framing, done: Vec::new(), bytes: Vec::new(), texts: Vec::new() };
    for message in messages {
        writes.push(message);
    }
    writes.finish()
}

/// Frames of texts alone, each a message of its own.
pub(super) fn frames(texts: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    for text in texts {
        push_frame(&mut out, Opcode::Text, true, text.as_bytes());
    }
    out
}

/// Pieces of so much filling.
pub(super) fn filling(length: u64) -> impl Iterator<Item = Vec<u8>> {
    let piece = FILLING as u64;
    (0..length.div_ceil(piece)).map(move |index| {
        let rest = (length - index * piece).min(piece);
        vec![b'x'; usize::try_from(rest).unwrap_or(FILLING)]
    })
}

struct Writes {
    framing: Framing,
    done: Vec<Write>,
    /// Frames that leave together.
    bytes: Vec<u8>,
    /// Texts that may share a message.
    texts: Vec<String>,
}

impl Writes {
    fn push(&mut self, message: Out) {
        if let Out::Text(text) = message {
            self.texts.push(text);
            return;
        }
        self.flush_texts();
        match message {
            Out::Text(_) => {}
            Out::Binary(bytes) => push_frame(&mut self.bytes, Opcode::Binary, true, &bytes),
            Out::Frames(frames) => self.bytes.extend(frames),
            Out::ControlPing => push_frame(&mut self.bytes, Opcode::Ping, true, b"still there?"),
            Out::Oversized(length) => {
                let (before, after) = (r#"{"event":{"type":"conversation.padding","padding":""#, r#""}}"#);
                let total = length + (before.len() + after.len()) as u64;
                push_header(&mut self.bytes, Opcode::Text, true, total);
                self.bytes.extend(before.bytes());
                self.flush_bytes();
                self.done.push(Write::Filling(length));
                self.bytes.extend(after.bytes());
            }
            Out::Half => {
                push_header(&mut self.bytes, Opcode::Text, true, 1000);
                self.bytes.extend(br#"{"event":{"type":"resp"#);
            }
        }
    }

    fn flush_texts(&mut self) {
        let texts = std::mem::take(&mut self.texts);
        let messages = match separator(self.framing.separator) {
            None => texts,
            Some(separator) => texts.chunks(GLUED).map(|group| group.join(separator)).collect(),
        };
        for message in messages {
            match self.framing.cut {
                NetworkCut::Whole => push_frame(&mut self.bytes, Opcode::Text, true, message.as_bytes()),
                NetworkCut::EveryByte => self.scatter(message.as_bytes()),
            }
        }
    }

    /// A message in fragments of one byte, also inside a letter, with a ping after the first.
    fn scatter(&mut self, message: &[u8]) {
        for (index, byte) in message.iter().enumerate() {
            let opcode = if index == 0 { Opcode::Text } else { Opcode::Continuation };
            push_frame(&mut self.bytes, opcode, index + 1 == message.len(), &[*byte]);
            self.flush_bytes();
            if index == 0 {
                push_frame(&mut self.bytes, Opcode::Ping, true, b"still there?");
                self.flush_bytes();
            }
        }
    }

    fn flush_bytes(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        if !bytes.is_empty() {
            self.done.push(Write::Bytes(bytes));
        }
    }

    fn finish(mut self) -> Vec<Write> {
        self.flush_texts();
        self.flush_bytes();
        self.done
    }
}

/// What stands between two texts in one message; none if each has its own.
fn separator(separator: Separator) -> Option<&'static str> {
    match separator {
        Separator::Newline | Separator::ServerSentEvents => None,
        Separator::NewlineBetween => Some("\n"),
        Separator::Glued => Some(""),
        Separator::CarriageReturnNewline => Some("\r\n"),
        Separator::BlankLines => Some("\n\n\r\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Out {
        Out::Text(text.to_owned())
    }

    #[test]
    fn texts_share_messages_where_the_script_glues_them() {
        let texts = ["{1}", "{2}", "{3}", "{4}"].map(text).to_vec();
        let glued = Framing { separator: Separator::Glued, cut: NetworkCut::Whole };
        let expected = b"\x81\x09{1}{2}{3}\x81\x03{4}".to_vec();
        assert_eq!(writes(glued, texts.clone()), [Write::Bytes(expected)]);
        let plain = b"\x81\x03{1}\x81\x03{2}\x81\x03{3}\x81\x03{4}".to_vec();
        assert_eq!(writes(Framing::default(), texts), [Write::Bytes(plain)]);
    }

    #[test]
    fn scattered_messages_have_a_ping_inside() {
        let framing = Framing { separator: Separator::Newline, cut: NetworkCut::EveryByte };
        let writes = writes(framing, vec![text("é")]);
        let ping = [b"\x89\x0c".as_slice(), b"still there?"].concat();
        let expected = [b"\x01\x01\xC3".to_vec(), ping, b"\x80\x01\xA9".to_vec()];
        assert_eq!(writes, expected.map(Write::Bytes));
    }

    #[test]
    fn an_oversized_message_is_as_long_as_it_says() {
        let length = 200_000;
        let mut bytes = Vec::new();
        for write in writes(Framing::default(), vec![Out::Oversized(length)]) {
            match write {
                Write::Bytes(part) => bytes.extend(part),
                Write::Filling(length) => filling(length).for_each(|part| bytes.extend(part)),
            }
        }
        let announced = u64::from_be_bytes(bytes[2..10].try_into().unwrap());
        assert_eq!(announced, bytes.len() as u64 - 10);
        assert!(announced > length && bytes.ends_with(b"x\"}}"));
    }
}
