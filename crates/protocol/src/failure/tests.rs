use super::{
    ExitTrouble, FailureKind, MESSAGE_LIMIT_BYTES, Rejection, classify_http, classify_status, classify_stream_error,
};

const NONE_LEFT: FailureKind = FailureKind::RateLimited { quota_left: Some(false) };
const LIMITED: FailureKind = FailureKind::RateLimited { quota_left: None };

fn exit(trouble: ExitTrouble) -> FailureKind {
    FailureKind::Exit(trouble)
}

fn rejected(reason: Rejection) -> FailureKind {
    FailureKind::Rejected { reason }
}

#[test]
fn http_answers_are_judged_by_their_words_before_their_status() {
    let table: &[(u16, &str, FailureKind)] = &[
        (
            401,
            r#"{"error":{"code":16,"message":"Failed to look up session ID. [WKE=unauthenticated:invalid-credentials]","details":[]}}"#,
            FailureKind::CredentialDead,
        ),
        (
            401,
            r#"{"code":16,"message":"x [WKE=unauthenticated:bad-credentials]","details":[]}"#,
            FailureKind::CredentialDead,
        ),
        (
            403,
            r#"{"code":16,"message":"No credentials presented. [WKE=unauthenticated:no-credentials]","details":[]}"#,
            FailureKind::CredentialDead,
        ),
        (401, "Unauthorized", FailureKind::CredentialDead),
        (400, r#"{"code":3,"message":"session not found","details":[]}"#, FailureKind::CredentialDead),
        (400, r#"{"code":3,"message":"message must not be empty","details":[]}"#, rejected(Rejection::BadRequest)),
        (400, r#"{"code":3,"message":"prompt is too long","details":[]}"#, rejected(Rejection::TooLong)),
        (403, "", exit(ExitTrouble::Refused)),
        (403, "Forbidden", exit(ExitTrouble::Refused)),
        (403, "<html><head><title>403 Forbidden</title></head></html>", exit(ExitTrouble::Refused)),
        (403, "<!DOCTYPE html><title>Just a moment...</title>", exit(ExitTrouble::Challenge)),
        (503, "<!DOCTYPE html><title>Attention Required! | Cloudflare</title>", exit(ExitTrouble::Challenge)),
        (200, "\n <html><script src=/cdn-cgi/challenge-platform/x></script>", exit(ExitTrouble::Challenge)),
        (
            403,
            r#"{"error":{"code":7,"message":"Request rejected by anti-bot rules.","details":[]}}"#,
            exit(ExitTrouble::AntiBot),
        ),
        (
            403,
            r#"{"code":7,"message":"User is blocked [WKE=unauthorized:blocked-user]","details":[]}"#,
            FailureKind::UserBlocked,
        ),
        (403, r#"{"error":{"code":7,"message":"Model is not found","details":[]}}"#, FailureKind::ModelUnavailable),
        (403, r#"{"error":{"code":"content-moderated","message":"rejected"}}"#, rejected(Rejection::Moderated)),
        (403, r#"{"code":7,"message":"Something new","details":[]}"#, exit(ExitTrouble::Unknown)),
        (403, r#"{"code":7,"message":"x","details":[{"reason":"blocked-user"}]}"#, exit(ExitTrouble::Unknown)),
        (403, r#"{"message":"Something new"}"#, exit(ExitTrouble::Unknown)),
        (403, r#"{"error":"anti-bot","code":7}"#, exit(ExitTrouble::AntiBot)),
        (403, "This service is not available in your region.", exit(ExitTrouble::Region)),
        (404, r#"{"code":5,"message":"Conversation not found","details":[]}"#, FailureKind::NotFound),
        (404, "<html>not here</html>", FailureKind::Unavailable),
        (429, r#"{"error":{"code":8,"message":"Too many requests","details":[]}}"#, LIMITED),
        (429, r#"{"code":8,"message":"Quota exceeded for this model","details":[]}"#, NONE_LEFT),
        (429, r#"{"code":8,"message":"0 remaining","details":[]}"#, NONE_LEFT),
        (429, r#"{"code":8,"message":"10 remaining","details":[]}"#, LIMITED),
        (429, "", LIMITED),
        (500, r#"{"code":13,"message":"Internal error","details":[]}"#, FailureKind::Unavailable),
        (502, "<html><title>502 Bad Gateway</title></html>", FailureKind::Unavailable),
        (522, "", FailureKind::Unavailable),
        (413, "", rejected(Rejection::TooLong)),
        (302, "", FailureKind::Unavailable),
    ];
    for (status, body, kind) in table {
        assert_eq!(classify_http(*status, None, body.as_bytes()).kind, *kind, "{status} {body}");
    }
    assert_eq!(classify_http(403, Some("Text/HTML; charset=UTF-8"), b"x").kind, exit(ExitTrouble::Refused));
    assert_eq!(classify_http(200, None, b"\xff\xfe").kind, FailureKind::Unavailable);
}

#[test]
fn statuses_inside_a_stream_are_judged_by_words_then_code() {
    let table: &[(Option<&str>, &str, FailureKind)] = &[
        (Some("8"), "Too many requests", LIMITED),
        (Some("8"), "You've reached your usage limit", NONE_LEFT),
        (Some("7"), "Request rejected by anti-bot rules.", exit(ExitTrouble::AntiBot)),
        (Some("7"), "no", exit(ExitTrouble::Unknown)),
        (Some("13"), "Internal error", FailureKind::Unavailable),
        (Some("16"), "x", FailureKind::CredentialDead),
        (Some("5"), "x", FailureKind::NotFound),
        (Some("3"), "sampling failed: unknown mode", FailureKind::ModelUnavailable),
        (Some("3"), "x", rejected(Rejection::BadRequest)),
        (Some("429"), "x", LIMITED),
        (None, "", FailureKind::Unavailable),
    ];
    for (code, message, kind) in table {
        assert_eq!(classify_status(*code, message).kind, *kind, "{code:?} {message}");
    }
}

#[test]
fn a_stream_error_is_judged_by_its_detail() {
    let table: &[(Option<&str>, FailureKind)] = &[
        (Some("usageLimitReached"), NONE_LEFT),
        (Some("usagePoolExhausted"), NONE_LEFT),
        (Some("concurrencyLimit"), FailureKind::RateLimited { quota_left: Some(true) }),
        (Some("globalRateLimit"), LIMITED),
        (Some("modelNotAvailable"), FailureKind::ModelUnavailable),
        (Some("beyondContextLength"), rejected(Rejection::TooLong)),
        (Some("contentModerated"), rejected(Rejection::Moderated)),
        (Some("attachmentTooManyPages"), rejected(Rejection::Attachment)),
        (Some("internalError"), FailureKind::Unavailable),
        (Some("neverHeardOf"), FailureKind::Unavailable),
        (None, FailureKind::Unavailable),
    ];
    for (detail, kind) in table {
        assert_eq!(classify_stream_error("x", *detail).kind, *kind, "{detail:?}");
    }
    assert_eq!(classify_stream_error("You've reached your usage limit.", None).kind, NONE_LEFT);
}

#[test]
fn messages_are_bounded_and_hold_no_credential() {
    let long = classify_status(None, &"é".repeat(5000)).message;
    assert!(long.len() <= MESSAGE_LIMIT_BYTES && long.starts_with("éé"));
    let token = "eyJhbGciOiJIUzI1NiJ9.eyJzZXNzaW9uX2lkIjoiMSJ9.c2ln";
    for text in [
        format!("bad cookie sso={token}; sso-rw={token}, sorry"),
        format!("bad token {token}"),
        format!("bad token \"{token}\"\u{7}"),
        format!("token:{token}"),
        "cf_clearance=abc.def; sso=plain-value".to_owned(),
    ] {
        let message = classify_http(400, None, text.as_bytes()).message;
        assert!(
            !message.contains("eyJ") && !message.contains("abc.def") && !message.contains("plain-value"),
            "{message}"
        );
        assert!(message.contains("[removed]") && !message.contains('\u{7}'), "{message}");
    }
    let page = classify_http(403, None, b"<html><title>Just a moment...</title>secret body</html>");
    assert_eq!(page.message, "HTTP 403 with a web page: Just a moment...");
    assert_eq!(classify_http(403, None, b"").message, "HTTP 403 with an empty body");
}

#[test]
fn codes_are_kept_as_they_were_written() {
    let code = |body: &str| classify_http(403, None, body.as_bytes()).code;
    assert_eq!(code(r#"{"code":7,"message":"x"}"#).as_deref(), Some("7"));
    assert_eq!(code(r#"{"error":{"code":"content-moderated"}}"#).as_deref(), Some("content-moderated"));
    assert_eq!(code(r#"{"error":"no","code":7}"#).as_deref(), Some("7"));
    assert_eq!(code("Forbidden"), None);
    assert_eq!(classify_http(500, None, br#"{"reason":"new"}"#).message, r#"{"reason":"new"}"#);
}
