use super::*;

const ONE: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzZXNzaW9uIjoxfQ.c2lnbmF0dXJlMQ";
const TWO: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzZXNzaW9uIjoyfQ.c2lnbmF0dXJlMg";

fn tokens(text: &str) -> Vec<String> {
    parse(text).found.into_iter().map(|found| found.token).collect()
}

#[test]
fn lines_of_every_kind_are_read() {
    let text = format!(
        "\u{feff}# my accounts\r\n{ONE}\r\n\n  sso={TWO}; other=1\nCookie: cf_clearance=x; sso={ONE}; sso-rw={ONE}\n\"{TWO}\"\nplain-token-1\n"
    );
    assert_eq!(tokens(&text), [ONE, TWO, ONE, TWO, "plain-token-1"]);
    let places: Vec<usize> = parse(&text).found.iter().map(|found| found.place).collect();
    assert_eq!(places, [2, 4, 5, 6, 7]);
}

#[test]
fn what_is_no_token_is_told_by_its_line() {
    let listed = parse(&format!("{ONE}\nhello world\nfoo=1; bar=2\nabc\n{{\"broken\"\n{TWO}"));
    assert_eq!(listed.entries, 6);
    assert_eq!(listed.found.len(), 2);
    let unreadable: Vec<(usize, &str)> = listed.unreadable.iter().map(|bad| (bad.place, bad.code)).collect();
    assert_eq!(unreadable, [(2, "not_a_token"), (3, "no_sso_cookie"), (4, "not_a_token"), (5, "not_json")]);
}

#[test]
fn of_what_sellers_write_the_mail_is_the_label_and_the_password_is_nothing() {
    let listed = parse(&format!("me@example.org----hunter2----{ONE}\nsecret|{TWO}\nyou@example.org,{ONE}"));
    let found: Vec<(&str, Option<&str>)> =
        listed.found.iter().map(|found| (found.token.as_str(), found.label.as_deref())).collect();
    assert_eq!(found, [(ONE, Some("me@example.org")), (TWO, None), (ONE, Some("you@example.org"))]);
}

#[test]
fn passwords_and_other_cookies_are_never_taken_for_tokens() {
    let listed = parse(&format!(
        "me@example.org:hunter2:{ONE}\nbob@example.org\njoe@example.org:hunter2\nal@example.org----hunter2\nuser:pass-word\n\
         sso=odd@value\nSet-Cookie: sso={TWO}; Path=/; Secure\n"
    ));
    let found: Vec<(&str, Option<&str>)> =
        listed.found.iter().map(|found| (found.token.as_str(), found.label.as_deref())).collect();
    assert_eq!(found, [(ONE, Some("me@example.org")), ("odd@value", None), (TWO, None)]);
    let unreadable: Vec<(usize, &str)> = listed.unreadable.iter().map(|bad| (bad.place, bad.code)).collect();
    assert_eq!(unreadable, [(2, "not_a_token"), (3, "not_a_token"), (4, "not_a_token"), (5, "not_a_token")]);

    let export = format!(
        r#"{{"cookies": [{{"name": "cf_clearance", "value": "abcdefgh"}}, {{"name": "sso", "value": "{ONE}"}},
            {{"name": "x-userid", "value": "0123456789", "domain": ".grok.com"}}, {{"name": "sso-rw", "value": "{ONE}", "domain": ".x.ai"}}]}}"#
    );
    let listed = parse(&export);
    assert_eq!(listed.found.len(), 1, "{listed:?}");
    assert_eq!((listed.found[0].token.as_str(), listed.found[0].label.as_deref()), (ONE, None));
    // A name that is no cookie's.
    assert_eq!(parse(&format!(r#"[{{"name": "first", "value": "{ONE}"}}]"#)).found[0].label.as_deref(), Some("first"));
}

#[test]
fn a_first_line_with_a_token_is_no_header() {
    assert_eq!(tokens(&format!(".grok.com\tTRUE\t/\tTRUE\t1999999999\tsso\t{ONE}")), [ONE]);
    assert_eq!(tokens(&format!("token,{ONE}\nlabel,{TWO}")), [ONE, TWO]);
    let listed = parse(&format!(r#"["{ONE}", 1, null, true]"#));
    assert_eq!((listed.entries, listed.found.len(), listed.unreadable.len()), (4, 1, 3));
}

#[test]
fn a_table_with_a_header_is_read_by_its_columns() {
    let listed = parse(&format!("Name,Plan,Token,Tags\n\"Doe, \"\"J\"\"\",SuperGrok,{ONE},a;b\nx,,,\n"));
    assert_eq!(
        listed.found,
        [Found {
            token: ONE.to_owned(),
            label: Some("Doe, \"J\"".to_owned()),
            tags: vec!["a".to_owned(), "b".to_owned()],
            tier: Some("super".to_owned()),
            enabled: None,
            place: 2,
        }]
    );
    assert_eq!(listed.unreadable, [Unreadable { place: 3, code: "not_a_token" }]);
}

#[test]
fn exports_of_other_gateways_are_read_by_what_they_hold() {
    // The Python Grok2API: members named by tokens.
    let stored = format!(
        r#"{{"{ONE}": {{"name": "first", "enabled": false, "last_used": 1.5}}, "sso-token-2": {{"enabled": true}}}}"#
    );
    let listed = parse(&stored);
    assert_eq!(listed.found.len(), 2);
    assert_eq!((listed.found[0].label.as_deref(), listed.found[0].enabled), (Some("first"), Some(false)));
    assert_eq!(listed.found[1].token, "sso-token-2");
    // A list per tier, of objects or of texts.
    let pools = format!(
        r#"{{"ssoBasic": ["{ONE}"], "ssoSuper": [{{"token": "sso={TWO}", "status": "disabled", "tags": ["x"], "note": "n"}}]}}"#
    );
    let listed = parse(&pools);
    assert_eq!(listed.found[0].tier.as_deref(), Some("basic"));
    let second = &listed.found[1];
    assert_eq!((second.token.as_str(), second.tier.as_deref(), second.enabled), (TWO, Some("super"), Some(false)));
    assert_eq!((second.tags.as_slice(), second.label.as_deref()), (["x".to_owned()].as_slice(), Some("n")));
    // Tokens by pool as names of members, a plain list, accounts under another name, and one object per line.
    assert_eq!(tokens(&format!(r#"{{"ssoNormal": {{"{ONE}": {{"createdTime": 1}}}}}}"#)), [ONE]);
    assert_eq!(tokens(&format!(r#"["{ONE}", "sso={TWO}"]"#)), [ONE, TWO]);
    assert_eq!(
        tokens(&format!(r#"{{"version": 3, "data": {{"accounts": [{{"email": "a@b.c", "sso": "{ONE}"}}]}}}}"#)),
        [ONE]
    );
    assert_eq!(tokens(&format!("{{\"token\": \"{ONE}\"}}\n{{\"sso\": \"{TWO}\"}}\n")), [ONE, TWO]);
}

#[test]
fn an_object_without_accounts_is_told() {
    assert_eq!(parse("{}").unreadable, [Unreadable { place: 1, code: "not_a_token" }]);
    assert_eq!(parse(r#"{"a": [1, null]}"#).unreadable.len(), 1);
    assert_eq!(parse(""), Listed::default());
}

/// Counted, not timed: see `protocol::steps`.
#[test]
fn a_list_costs_no_more_than_its_text() {
    let telling = [
        "a",
        "\n",
        "----",
        ",",
        "\"",
        "\"\"",
        ",\n",
        "sso=",
        "sso=;",
        "eyJ.a.b",
        "a.",
        "a@b.c",
        "Cookie:",
        "{\n",
        "{\"a\":",
        "[",
        "{\"token\":\"x\"}\n",
        "token,label\n",
        "a|",
        ":",
        "=",
        ";",
    ];
    for length in [64 * 1024, 1024 * 1024] {
        let texts = telling.iter().map(|short| short.repeat(length / short.len()));
        // A list under a long name: its tier is the same for all.
        let pool = |name: &str| format!("{{\"{name}\":[{}0]}}", "\"token-1\",".repeat(length / 20));
        let entries =
            format!("{{\"{}\":[{}0]}}", "p".repeat(length / 2), "{\"token\":\"token-1\"},".repeat(length / 40));
        for text in texts.chain([pool(&"super".repeat(length / 10)), pool(&"x".repeat(length / 2)), entries]) {
            let steps = protocol::steps::counted(|| parse(&text)).1;
            assert!(steps <= 40 * text.len() as u64, "{steps} steps for {} bytes of {:?}", text.len(), &text[..12]);
        }
    }
}
