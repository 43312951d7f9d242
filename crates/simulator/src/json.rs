//! JSON as the upstream writes it (UPSTREAM.md 1): streams compact and with `<`, `>`, `&` escaped, unary bodies with a
//! space after each comma and unescaped.

use std::io;

use serde_json::{Value, ser::Formatter};

/// Appends compact JSON with the three characters escaped. They occur only inside strings, so bytes can be replaced.
pub(crate) fn push_escaped(json: &str, out: &mut String) {
    let mut rest = json;
    while let Some(at) = rest.find(['<', '>', '&']) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'<' => "\\u003c",
            b'>' => "\\u003e",
            _ => "\\u0026",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

/// One JSON string with its quotes.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// A unary body.
pub(crate) fn unary(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, SpacedMembers);
    serde::Serialize::serialize(value, &mut serializer).expect("a JSON value serialises into memory");
    out
}

struct SpacedMembers;

impl Formatter for SpacedMembers {
    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn streams_escape_angle_brackets_and_ampersands() {
        let mut out = String::new();
        push_escaped(&json!({"token": "<a & b>é"}).to_string(), &mut out);
        assert_eq!(out, r#"{"token":"\u003ca \u0026 b\u003eé"}"#);
    }

    #[test]
    fn unary_bodies_have_spaces_between_members() {
        assert_eq!(unary(&json!({"a": [1, 2], "b": "<"})), br#"{"a":[1, 2], "b":"<"}"#);
    }
}
