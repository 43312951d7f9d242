//! The headers and cookies of a request to the upstream, as data (UPSTREAM.md 2).

use std::borrow::Cow;
use std::fmt;

use crate::scan;

/// The origin that every request names, whatever host it really goes to.
pub const ORIGIN: &str = "https://grok.com";

/// What differs from request to request or from owner to owner.
#[derive(Debug, Clone, Copy)]
pub struct HeaderValues<'a> {
    /// The browser that the clearance cookies were issued to.
    pub user_agent: &'a str,
    /// See [`statsig_error_form`]; a value of the owner's own, if there is one.
    pub statsig_id: &'a str,
    /// A fresh UUID.
    pub request_id: &'a str,
}

/// The request headers without cookies, names in lower case: the smallest set that is known to work. Client hints are left out,
/// because hints that contradict the user agent are worse than none.
pub fn browser_headers(values: HeaderValues<'_>) -> [(&'static str, Cow<'_, str>); 11] {
    [
        ("accept", "*/*".into()),
        ("accept-language", "en-US,en;q=0.9".into()),
        ("content-type", "application/json".into()),
        ("origin", ORIGIN.into()),
        ("referer", "https://grok.com/".into()),
        ("sec-fetch-dest", "empty".into()),
        ("sec-fetch-mode", "cors".into()),
        ("sec-fetch-site", "same-origin".into()),
        ("user-agent", values.user_agent.into()),
        ("x-statsig-id", values.statsig_id.into()),
        ("x-xai-request-id", values.request_id.into()),
    ]
}

/// The headers of the WebSocket's upgrade without cookies and without those of the handshake itself (UPSTREAM.md 16.1). The
/// upgrade takes no `x-statsig-id`.
pub fn upgrade_headers(user_agent: &str) -> [(&'static str, Cow<'_, str>); 5] {
    [
        ("accept-language", "en-US,en;q=0.9".into()),
        ("cache-control", "no-cache".into()),
        ("origin", ORIGIN.into()),
        ("pragma", "no-cache".into()),
        ("user-agent", user_agent.into()),
    ]
}

/// The value a browser sends for `x-statsig-id` when the page's own code for it fails: an error text in base64
/// (UPSTREAM.md 2.3). The text names a property; the caller's randomness chooses it.
pub fn statsig_error_form(random: [u8; 10]) -> String {
    let property: String = random.iter().map(|byte| char::from(b'a' + byte % 26)).collect();
    base64(format!("x1:TypeError: Cannot read properties of undefined (reading '{property}')").as_bytes())
}

/// Standard base64 with padding. One short text per request does not justify a dependency.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..4 {
            if position <= group.len() {
                let index = (bits >> (18 - 6 * position)) & 63;
                text.push(char::from(ALPHABET[index as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// The cookie line: the account's own cookie under both of its names, then what the owner obtained for the exit. A bare value
/// among those is taken for `cf_clearance`. Account cookies and what cannot stand in a header are left out of the owner's text:
/// they would override the account, or end the header.
pub fn cookie_header(sso: &str, clearance_cookies: &str) -> String {
    cookie_line(sso, clearance_cookies, None)
}

/// The cookie line of the WebSocket's upgrade, which names the account too (UPSTREAM.md 16.1).
pub fn upgrade_cookie_header(sso: &str, clearance_cookies: &str, user_id: &str) -> String {
    cookie_line(sso, clearance_cookies, Some(user_id))
}

fn cookie_line(sso: &str, clearance_cookies: &str, user_id: Option<&str>) -> String {
    let mut line = format!("sso={sso}; sso-rw={sso}");
    for cookie in clearance_cookies.split(';').map(str::trim).filter(|cookie| !cookie.is_empty()) {
        if !cookie.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            continue;
        }
        match scan::split_once(cookie, "=").map(|(name, _)| name.trim()) {
            Some("" | "sso" | "sso-rw") => continue,
            Some("x-userid") if user_id.is_some() => continue,
            Some(_) => line.push_str("; "),
            None => line.push_str("; cf_clearance="),
        }
        line.push_str(cookie);
    }
    if let Some(id) = user_id.map(str::trim).filter(|id| is_cookie_value(id)) {
        line.push_str("; x-userid=");
        line.push_str(id);
    }
    line
}

fn is_cookie_value(value: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\');
    !value.is_empty() && value.bytes().all(is_allowed)
}

/// Longest credential that is accepted; the real ones are a few hundred bytes.
const CREDENTIAL_LIMIT_BYTES: usize = 4096;

/// Why a pasted credential cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialError {
    /// There is nothing in it.
    Empty,
    /// A cookie line without the `sso` cookie.
    NoSsoCookie,
    /// White space inside the value: usually a line break that came along.
    InnerWhitespace,
    /// Control or non-ASCII characters, which a cookie cannot hold.
    ForbiddenCharacter,
    /// Longer than any credential.
    TooLong,
}

impl fmt::Display for CredentialError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Empty => "the credential is empty: paste the value of the `sso` cookie",
            Self::NoSsoCookie => "there is no `sso` cookie in this text: paste its value, or the whole cookie line",
            Self::InnerWhitespace => "the credential contains white space: paste the cookie's value in one piece",
            Self::ForbiddenCharacter => "the credential contains characters that a cookie cannot hold",
            Self::TooLong => "the text is too long to be an `sso` cookie",
        })
    }
}

impl std::error::Error for CredentialError {}

/// Takes the account's cookie out of what people paste: the bare value, `sso=…`, or a whole cookie line.
pub fn parse_credential(text: &str) -> Result<String, CredentialError> {
    let text = strip_header_name(text.trim()).trim().trim_matches('"').trim();
    // A `=` at the end may be padding of a bare value.
    let is_cookie_line = scan::contains(text, ";") || scan::contains(text.trim_end_matches('='), "=") || text == "sso=";
    let value = if is_cookie_line { sso_value(text).ok_or(CredentialError::NoSsoCookie)? } else { text };
    let value = value.trim().trim_matches('"').trim();
    // Padding alone pads nothing.
    if value.trim_matches('=').is_empty() {
        return Err(CredentialError::Empty);
    }
    if value.len() > CREDENTIAL_LIMIT_BYTES {
        return Err(CredentialError::TooLong);
    }
    if scan::find_character(value, char::is_whitespace).is_some() {
        return Err(CredentialError::InnerWhitespace);
    }
    if !is_cookie_value(value) {
        return Err(CredentialError::ForbiddenCharacter);
    }
    Ok(value.to_owned())
}

/// Drops the header name of a copied `Cookie: …` line.
fn strip_header_name(text: &str) -> &str {
    match scan::split_once(text, ":") {
        Some((name, line)) if ["cookie", "set-cookie"].iter().any(|known| name.trim().eq_ignore_ascii_case(known)) => {
            line
        }
        _ => text,
    }
}

/// The value of `sso`, or of `sso-rw`, which holds the same token. Cookie names are case-sensitive.
fn sso_value(line: &str) -> Option<&str> {
    let value = |wanted: &str| {
        line.split(';').find_map(|cookie| {
            let (name, value) = scan::split_once(cookie, "=")?;
            (name.trim() == wanted).then_some(value)
        })
    };
    value("sso").or_else(|| value("sso-rw"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_found_in_whatever_people_paste() {
        for pasted in [
            "eyJ.token.x",
            "  eyJ.token.x\n",
            "sso=eyJ.token.x",
            "sso = eyJ.token.x ;",
            "Cookie: cf_clearance=1; sso-rw=other; sso=eyJ.token.x; i18n=en",
            "x-userid=7; sso=\"eyJ.token.x\"",
            "sso-rw=eyJ.token.x",
        ] {
            assert_eq!(parse_credential(pasted).as_deref(), Ok("eyJ.token.x"), "{pasted}");
        }
        assert_eq!(parse_credential("c2lt=").as_deref(), Ok("c2lt="), "padding of a bare value");
    }

    #[test]
    fn what_is_no_credential_is_refused() {
        for (pasted, error) in [
            ("", CredentialError::Empty),
            (" \n", CredentialError::Empty),
            ("sso=", CredentialError::Empty),
            ("sso=;", CredentialError::Empty),
            ("===", CredentialError::Empty),
            ("SSO=token", CredentialError::NoSsoCookie),
            ("xsso=token", CredentialError::NoSsoCookie),
            ("cf_clearance=1; i18n=en", CredentialError::NoSsoCookie),
            ("two words", CredentialError::InnerWhitespace),
            ("eyJ\r\neyJ", CredentialError::InnerWhitespace),
            ("eyJ\u{0}", CredentialError::ForbiddenCharacter),
            ("tökén", CredentialError::ForbiddenCharacter),
        ] {
            assert_eq!(parse_credential(pasted), Err(error), "{pasted:?}");
        }
        assert_eq!(parse_credential(&"x".repeat(5000)), Err(CredentialError::TooLong));
    }

    #[test]
    fn clearance_cookies_cannot_replace_the_account() {
        assert_eq!(cookie_header("T", ""), "sso=T; sso-rw=T");
        assert_eq!(
            cookie_header("T", "sso=X; cf_clearance=c; __cf_bm=b=b; sso-rw=Y; bad\r\nx=1;"),
            "sso=T; sso-rw=T; cf_clearance=c; __cf_bm=b=b"
        );
        assert_eq!(cookie_header("T", "bare-clearance"), "sso=T; sso-rw=T; cf_clearance=bare-clearance");
    }

    #[test]
    fn the_upgrade_names_the_account_and_carries_no_statsig_id() {
        assert_eq!(upgrade_cookie_header("T", "", "u-1"), "sso=T; sso-rw=T; x-userid=u-1");
        assert_eq!(
            upgrade_cookie_header("T", "x-userid=other; cf_clearance=c", " u-1 "),
            "sso=T; sso-rw=T; cf_clearance=c; x-userid=u-1"
        );
        assert_eq!(cookie_header("T", "x-userid=other"), "sso=T; sso-rw=T; x-userid=other");
        for odd in ["", "a;b", "a\r\nb", "ü"] {
            assert_eq!(upgrade_cookie_header("T", "", odd), "sso=T; sso-rw=T", "{odd:?}");
        }
        let names = upgrade_headers("Agent/1").map(|(name, _)| name);
        assert_eq!(names, ["accept-language", "cache-control", "origin", "pragma", "user-agent"]);
    }

    #[test]
    fn the_error_form_is_padded_base64_of_the_error_text() {
        let value = statsig_error_form([0, 1, 2, 3, 25, 26, 255, 7, 8, 9]);
        assert_eq!(
            value,
            "eDE6VHlwZUVycm9yOiBDYW5ub3QgcmVhZCBwcm9wZXJ0aWVzIG9mIHVuZGVmaW5lZCAocmVhZGluZyAnYWJjZHphdmhpaicp"
        );
    }

    #[test]
    fn base64_pads() {
        let known = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")];
        for (plain, encoded) in known {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }
}
