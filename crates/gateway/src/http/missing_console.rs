//! The page at `/admin` in builds without the web console: Node was not there when it was built.

use std::sync::LazyLock;

use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};

const STYLE: &str = "body{font:16px/1.6 system-ui,sans-serif;max-width:44rem;margin:4rem auto;padding:0 1rem;color-scheme:light dark}\
                     pre{overflow-x:auto;padding:.8rem;border:1px solid #8886;border-radius:.3rem}hr{border:0;border-top:1px solid #8886}";

const CLAIM: &str = "curl -H 'Content-Type: application/json' \\\n     \
                     -d '{\"code\":\"THE-CODE\",\"username\":\"admin\",\"password\":\"…\"}' \\\n     \
                     \"$ADDRESS/admin/api/v1/claim\"";

static PAGE: LazyLock<String> = LazyLock::new(|| {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Grok2API</title><style>{STYLE}</style></head><body>\n\
         <section lang=\"en\"><h1>Grok2API</h1><p>The web console is not part of this build: install Node 20.19 or later and run <code>make run</code>. The admin API is here, at \
         <code>/admin/api/v1</code>; the chat API is at <code>/v1</code>.</p><p>To claim a fresh gateway, send the code after the \
         <code>#</code> of the claim link, with a name and a password of at least ten characters:</p><pre>{CLAIM}</pre></section><hr>\n\
         <section lang=\"zh-CN\"><h1>Grok2API</h1><p>此构建不含网页控制台：请安装 Node 20.19 或更新版本后运行 <code>make run</code>。管理接口位于 <code>/admin/api/v1</code>，对话接口位于 \
         <code>/v1</code>。</p><p>首次使用时，请把认领链接中 <code>#</code> 之后的代码连同用户名和至少十个字符的密码一起提交：</p>\
         <pre>{CLAIM}</pre></section>\n</body></html>\n"
    )
});

/// Nothing may load or run but the page's own style, known by its hash.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    );
    HeaderValue::try_from(policy).expect("a policy is plain ASCII")
});

/// Says, in both languages, that the console is not here and the API is.
pub(super) fn page() -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    (headers, Html(PAGE.as_str())).into_response()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn the_page_without_console_loads_and_runs_nothing() {
        let response = page();
        assert_eq!(response.status(), StatusCode::OK);
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"));
        let text = String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
        assert!(text.contains("The web console is not part of this build") && text.contains("此构建不含网页控制台"));
        assert!(!text.contains("<script") && !text.contains(" style="));
    }
}
