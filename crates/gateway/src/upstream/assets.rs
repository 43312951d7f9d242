//! Files of the upstream, fetched with the cookies of the account that owns them (UPSTREAM.md 10).

use std::time::Duration;

use bytes::Bytes;
use protocol::failure::classify_http;
use reqwest::header::{ACCEPT, ACCEPT_LANGUAGE, HeaderMap, HeaderName, HeaderValue, REFERER, USER_AGENT};

use super::client::{content_type, cookies, read_body, read_error_body, unusable_header};
use super::{Credential, Patience, Upstream, UpstreamError, UpstreamErrorKind};
use crate::settings::Settings;

/// Patience with one file.
const PATIENCE: Duration = Duration::from_secs(30);

impl Upstream {
    /// Whether an address is one of the upstream's files: nothing else may be sent an account's cookies.
    pub(crate) fn is_asset(&self, url: &str) -> bool {
        url.strip_prefix(self.assets_url()).is_some_and(|path| path.starts_with('/'))
    }

    /// Fetches a file of the account, up to `limit` bytes.
    pub(crate) async fn fetch_asset(
        &self,
        credential: &Credential,
        url: &str,
        limit: usize,
        settings: &Settings,
    ) -> Result<Bytes, UpstreamError> {
        if !self.is_asset(url) {
            return Err(UpstreamErrorKind::Protocol("this is not one of the upstream's files".to_owned()).into());
        }
        let fetched = tokio::time::timeout(PATIENCE, async {
            let headers = asset_headers(credential, settings)?;
            let response = self.file_client(settings)?.get(url).headers(headers).send().await?;
            let status = response.status().as_u16();
            if status != 200 {
                let content_type = content_type(&response);
                let body = read_error_body(response).await;
                let failure = classify_http(status, content_type.as_deref(), &body);
                return Err(UpstreamError::from(failure).with_status(status));
            }
            // One byte more than is allowed tells that there was more.
            let body = read_body(response, limit + 1).await?;
            if body.len() > limit {
                return Err(UpstreamErrorKind::Oversized(format!("a file is larger than {limit} bytes")).into());
            }
            Ok(body)
        });
        fetched.await.unwrap_or_else(|_| Err(UpstreamErrorKind::Timeout(Patience::Total(PATIENCE)).into()))
    }
}

/// What the page sends when it shows an image: another host of the same site.
fn asset_headers(credential: &Credential, settings: &Settings) -> Result<HeaderMap, UpstreamError> {
    let mut headers = cookies(credential, settings)?;
    let user_agent = HeaderValue::from_str(&settings.user_agent).map_err(|_| unusable_header("user-agent"))?;
    headers.insert(USER_AGENT, user_agent);
    for (name, value) in [
        // Only what clients everywhere can show: asked like a browser, the host might send newer formats.
        (ACCEPT, "image/png,image/jpeg,image/webp,image/gif,*/*;q=0.5"),
        (ACCEPT_LANGUAGE, "en-US,en;q=0.9"),
        (REFERER, "https://grok.com/"),
        (HeaderName::from_static("sec-fetch-dest"), "image"),
        (HeaderName::from_static("sec-fetch-mode"), "no-cors"),
        (HeaderName::from_static("sec-fetch-site"), "same-site"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(headers)
}
