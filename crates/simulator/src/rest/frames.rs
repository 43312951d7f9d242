//! Objects at the top level and the separators between them (UPSTREAM.md 5.1).

use bytes::Bytes;

use crate::script::Separator;

/// Writes separators around objects.
#[derive(Debug)]
pub(crate) struct Framer {
    separator: Separator,
    begun: bool,
}

impl Framer {
    pub(crate) fn new(separator: Separator) -> Self {
        Self { separator, begun: false }
    }

    /// One object with what stands around it.
    pub(crate) fn frame(&mut self, mut object: String) -> Bytes {
        let first = !std::mem::replace(&mut self.begun, true);
        match self.separator {
            Separator::Newline => object.push('\n'),
            Separator::NewlineBetween if first => {}
            Separator::NewlineBetween => object.insert(0, '\n'),
            Separator::Glued => {}
            Separator::CarriageReturnNewline => object.push_str("\r\n"),
            Separator::BlankLines => object.push_str("\n\n\r\n"),
            Separator::ServerSentEvents => {
                object.insert_str(0, "data: ");
                object.push_str("\n\n");
            }
        }
        object.into()
    }

    /// What stands after the last object.
    pub(crate) fn end(&self) -> Option<Bytes> {
        (self.separator == Separator::ServerSentEvents).then(|| Bytes::from_static(b"data: [DONE]\n\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(separator: Separator) -> String {
        let mut framer = Framer::new(separator);
        let mut out = Vec::new();
        for object in ["{1}", "{2}"] {
            out.extend_from_slice(&framer.frame(object.to_owned()));
        }
        out.extend(framer.end().unwrap_or_default());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn separators_stand_where_their_names_say() {
        assert_eq!(written(Separator::Newline), "{1}\n{2}\n");
        assert_eq!(written(Separator::NewlineBetween), "{1}\n{2}");
        assert_eq!(written(Separator::Glued), "{1}{2}");
        assert_eq!(written(Separator::CarriageReturnNewline), "{1}\r\n{2}\r\n");
        assert_eq!(written(Separator::BlankLines), "{1}\n\n\r\n{2}\n\n\r\n");
        assert_eq!(written(Separator::ServerSentEvents), "data: {1}\n\ndata: {2}\n\ndata: [DONE]\n\n");
    }
}
