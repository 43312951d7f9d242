//! The upstream's WebSocket: the upgrade, over the same proxy and with the account's cookies (UPSTREAM.md 16.1).

use std::time::Duration;

use protocol::headers::{upgrade_cookie_header, upgrade_headers};
use protocol::socket::upgrade_path;
use reqwest::header::{
    CONNECTION, COOKIE, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{StatusCode, Upgraded};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::client::{content_type, read_error_body, refusal, unusable_header};
use super::metered::Metered;
use super::{AnswerLimits, Credential, Patience, UpstreamError, UpstreamErrorKind};
use crate::settings::Settings;

/// An open socket.
pub(super) type Socket = WebSocketStream<Metered<Upgraded>>;

/// Patience with the upgrade, from the first byte to the last. A proxy that swallows upgrades would otherwise take all the time
/// there is for an answer.
const HANDSHAKE: Duration = Duration::from_secs(20);

/// What a socket reads at once. Messages are a few hundred bytes, and thousands of sockets may be open.
const READ_BUFFER: usize = 4 * 1024;

/// Opens a socket for an account.
pub(super) async fn connect(
    client: &reqwest::Client,
    base_url: &str,
    credential: &Credential,
    user_id: &str,
    settings: &Settings,
) -> Result<Socket, UpstreamError> {
    let patience = UpstreamErrorKind::Timeout(Patience::Handshake(HANDSHAKE));
    let upgrade = upgrade(client, base_url, credential, user_id, settings);
    tokio::time::timeout(HANDSHAKE, upgrade).await.map_err(|_| UpstreamError::from(patience))?
}

async fn upgrade(
    client: &reqwest::Client,
    base_url: &str,
    credential: &Credential,
    user_id: &str,
    settings: &Settings,
) -> Result<Socket, UpstreamError> {
    let key = generate_key();
    let url = format!("{base_url}{}", upgrade_path(user_id));
    let response = client.get(url).headers(headers(credential, user_id, settings, &key)?).send().await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refused(credential, response).await);
    }
    let accepted = response.headers().get(SEC_WEBSOCKET_ACCEPT).map(HeaderValue::as_bytes);
    if accepted != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        let words = "the upgrade was answered by something that does not speak WebSocket".to_owned();
        return Err(UpstreamErrorKind::Protocol(words).into());
    }
    let upgraded = Metered::new(response.upgrade().await?);
    let longest = AnswerLimits::new(settings).message;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        // What we send is sent at once.
        .write_buffer_size(0)
        .max_message_size(Some(longest))
        .max_frame_size(Some(longest));
    Ok(WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await)
}

/// A refusal is an ordinary answer and means what it means over REST, unless it says that there is no such route here.
async fn refused(credential: &Credential, response: reqwest::Response) -> UpstreamError {
    let status = response.status();
    let content_type = content_type(&response);
    let is = |kind: &str| content_type.as_deref().is_some_and(|own| own.starts_with(kind));
    let is_missing = match status.as_u16() {
        404 | 405 | 410 | 426 | 501 => true,
        // The upstream itself says in JSON what it does not like.
        400 => !is("application/json"),
        _ => status.is_redirection(),
    };
    if is_missing {
        let error = UpstreamError::from(UpstreamErrorKind::NoRoute(status.as_u16()));
        return error.with_status(status.as_u16());
    }
    if status.is_success() && !is("text/html") {
        let words = "the upgrade was answered by something that does not speak WebSocket".to_owned();
        return UpstreamErrorKind::Protocol(words).into();
    }
    let body = read_error_body(response).await;
    refusal(credential, status.as_u16(), content_type.as_deref(), &body)
}

fn headers(credential: &Credential, user_id: &str, settings: &Settings, key: &str) -> Result<HeaderMap, UpstreamError> {
    let token = credential.open()?;
    let mut headers = HeaderMap::with_capacity(12);
    for (name, value) in upgrade_headers(&settings.user_agent) {
        let value = HeaderValue::from_str(&value).map_err(|_| unusable_header(name))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    let cookies = upgrade_cookie_header(&token, &settings.clearance_cookies, user_id);
    let mut cookies = HeaderValue::from_str(&cookies).map_err(|_| unusable_header("clearance_cookies"))?;
    cookies.set_sensitive(true);
    headers.insert(COOKIE, cookies);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    let key = HeaderValue::from_str(key).map_err(|_| unusable_header("sec-websocket-key"))?;
    headers.insert(SEC_WEBSOCKET_KEY, key);
    Ok(headers)
}
