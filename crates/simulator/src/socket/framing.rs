//! Events as messages and messages as frames: one of each for one event, or as the script has it.

use super::wire::{Opcode, push_frame};
use crate::script::{Framing, NetworkCut, Separator};

/// Events that share a message where a script glues them.
const GLUED: usize = 3;

/// The writes for some events.
pub(super) fn writes(framing: Framing, events: &[String]) -> Vec<Vec<u8>> {
    let messages: Vec<String> = match separator(framing.separator) {
        None => events.to_vec(),
        Some(separator) => events.chunks(GLUED).map(|group| group.join(separator)).collect(),
    };
    match framing.cut {
        NetworkCut::Whole => {
            let mut out = Vec::new();
            for message in &messages {
                push_frame(&mut out, Opcode::Text, true, message.as_bytes());
            }
            vec![out]
        }
        NetworkCut::EveryByte => messages.iter().flat_map(|message| scattered(message.as_bytes())).collect(),
    }
}

/// What stands between two events in one message; none if each has its own.
fn separator(separator: Separator) -> Option<&'static str> {
    match separator {
        Separator::Newline | Separator::ServerSentEvents => None,
        Separator::NewlineBetween => Some("\n"),
        Separator::Glued => Some(""),
        Separator::CarriageReturnNewline => Some("\r\n"),
        Separator::BlankLines => Some("\n\n\r\n"),
    }
}

/// A message in fragments of one byte, also inside a letter, with a ping after the first.
fn scattered(message: &[u8]) -> Vec<Vec<u8>> {
    let mut writes = Vec::with_capacity(message.len() + 1);
    for (index, byte) in message.iter().enumerate() {
        let opcode = if index == 0 { Opcode::Text } else { Opcode::Continuation };
        let mut write = Vec::new();
        push_frame(&mut write, opcode, index + 1 == message.len(), &[*byte]);
        writes.push(write);
        if index == 0 {
            let mut ping = Vec::new();
            push_frame(&mut ping, Opcode::Ping, true, b"still there?");
            writes.push(ping);
        }
    }
    writes
}
