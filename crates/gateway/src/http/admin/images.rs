//! `/images`: the images that the model made.

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::AdminState;
use super::caller::Caller;
use super::error::AdminError;
use super::identifiers::ResourceId;
use super::query::Parameters;
use crate::admins::Change;
use crate::clock::timestamp;
use crate::images::{ID_PREFIX, extension_of, is_id};
use crate::settings::WebAddress;
use crate::store::images::{ImageFilter, ImageRow};
use crate::upstream::LinkProbe;

/// Images that would go next, as the usage shows them.
const NEXT_TO_GO: i64 = 10;

/// What is read of a link that is tried.
const LINK_BODY: usize = 32 * 1024 * 1024;

/// One image.
#[derive(Serialize, ToSchema)]
pub(super) struct ImageBody {
    id: String,
    /// Path of the link on this gateway.
    path: String,
    /// The whole link; `null` while `base_url` is not set, for then it is the client's address that stands in front.
    url: Option<String>,
    request_id: String,
    account_id: String,
    key_id: Option<String>,
    model: Option<String>,
    /// `image/png`, …; `null` until it is known.
    media_type: Option<String>,
    /// Size of what is kept; 0 when nothing is, and the image is fetched again when it is asked for.
    bytes: i64,
    created_at: String,
    /// How often it was shown.
    hits: i64,
}

/// A window of the images.
#[derive(Serialize, ToSchema)]
pub(super) struct ImageList {
    items: Vec<ImageBody>,
    /// How many match.
    total: i64,
}

/// What the images take up.
#[derive(Serialize, ToSchema)]
pub(super) struct ImageUsage {
    count: i64,
    /// Those whose bytes are kept here.
    kept: i64,
    bytes: i64,
    /// The setting `max_image_cache_mb`, in bytes.
    limit_bytes: u64,
    oldest_at: Option<String>,
    /// Those that go first when room is needed.
    next_to_go: Vec<ImageBody>,
}

/// Where the link of an image leads.
#[derive(Serialize, ToSchema)]
pub(super) struct LinkTest {
    ok: bool,
    /// `this_image`, `another_image`, `no_image`, `refused`, `redirected`, `unreachable`.
    outcome: &'static str,
    url: String,
    latency_ms: Option<u64>,
    status: Option<u16>,
    content_type: Option<String>,
    bytes: Option<usize>,
    /// What is wrong, in words; `null` when nothing is.
    message: Option<String>,
    /// `loopback`: only this machine reaches it; `private`: only its network does.
    warnings: Vec<&'static str>,
}

/// `GET /images?key=&account=&model=&type=&request_id=&from=&until=&offset=&limit=`: newest first.
#[utoipa::path(
    get,
    path = "/images",
    operation_id = "images_list",
    tag = "images",
    params(
        ("key" = Option<String>, Query, description = "Only those of this key."),
        ("account" = Option<String>, Query, description = "Only those that this account made."),
        ("model" = Option<String>, Query, description = "Only those of this model, as clients name it."),
        ("type" = Option<String>, Query, description = "Only those of this media type."),
        ("request_id" = Option<String>, Query, description = "Only those of this request."),
        ("from" = Option<String>, Query, description = "Only those made at this time or later."),
        ("until" = Option<String>, Query, description = "Only those made before this time."),
        ("offset" = Option<u32>, Query, description = "Items to skip.", minimum = 0, maximum = 1000000000),
        ("limit" = Option<u32>, Query, description = "Items of the answer; 50 unless given.", minimum = 1, maximum = 500),
    ),
    responses((status = 200, description = "A window of the images that match, newest first.", body = ImageList)),
)]
pub(super) async fn list(
    State(state): State<AdminState>,
    _: Caller,
    mut parameters: Parameters,
) -> Result<Json<ImageList>, AdminError> {
    let filter = filter(&mut parameters);
    let number = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    let (offset, limit) = (number(parameters.offset()), number(parameters.limit()));
    parameters.finish()?;
    let (rows, total) = state.images.list(&filter, offset, limit).await?;
    let base_url = &state.settings.current().base_url;
    Ok(Json(ImageList { items: rows.into_iter().map(|row| ImageBody::of(row, base_url)).collect(), total }))
}

/// Takes the filter out of the parameters.
pub(super) fn filter(parameters: &mut Parameters) -> ImageFilter {
    ImageFilter {
        ids: None,
        key_id: parameters.take("key"),
        account_id: parameters.take("account"),
        model: parameters.take("model"),
        media_type: parameters.take("type"),
        request_id: parameters.take("request_id"),
        from: parameters.time("from"),
        until: parameters.time("until"),
    }
}

/// `GET /images/usage`
#[utoipa::path(
    get,
    path = "/images/usage",
    operation_id = "images_usage",
    tag = "images",
    responses((status = 200, description = "What the images take up, and which would go next.", body = ImageUsage)),
)]
pub(super) async fn usage(State(state): State<AdminState>, _: Caller) -> Result<Json<ImageUsage>, AdminError> {
    let settings = state.settings.current();
    let totals = state.images.totals(&ImageFilter::default()).await?;
    let next = state.images.next_to_go(NEXT_TO_GO).await?;
    Ok(Json(ImageUsage {
        count: totals.count,
        kept: totals.kept,
        bytes: totals.bytes,
        limit_bytes: settings.max_image_cache_mb * 1024 * 1024,
        oldest_at: totals.oldest_at.map(timestamp),
        next_to_go: next.into_iter().map(|row| ImageBody::of(row, &settings.base_url)).collect(),
    }))
}

/// `GET /images/{id}`
#[utoipa::path(
    get,
    path = "/images/{id}",
    operation_id = "images_show",
    tag = "images",
    params(
        ("id" = String, Path, description = "The image.", example = "img_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
    ),
    responses((status = 200, description = "The image.", body = ImageBody)),
)]
pub(super) async fn show(
    State(state): State<AdminState>,
    _: Caller,
    id: ResourceId,
) -> Result<Json<ImageBody>, AdminError> {
    let row = find(&state, id).await?;
    Ok(Json(ImageBody::of(row, &state.settings.current().base_url)))
}

/// `DELETE /images/{id}`: the image goes from here; links to it are dead.
#[utoipa::path(
    delete,
    path = "/images/{id}",
    operation_id = "images_delete",
    tag = "images",
    params(
        ("id" = String, Path, description = "The image.", example = "img_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
    ),
    responses((status = 204, description = "The image is deleted.")),
)]
pub(super) async fn delete(
    State(state): State<AdminState>,
    caller: Caller,
    id: ResourceId,
) -> Result<StatusCode, AdminError> {
    let row = find(&state, id).await?;
    let filter = ImageFilter { ids: Some(vec![row.id.clone()]), ..ImageFilter::default() };
    if state.images.delete_matching(&filter, |_| true).await? == 0 {
        return Err(not_found());
    }
    let before = ImageBody::of(row, "");
    state.note(&caller, Change::new("image.delete", &before.id).between(&before, &Value::Null)).await;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /images/{id}/actions/test_link`: follows the public link as somebody outside would.
#[utoipa::path(
    post,
    path = "/images/{id}/actions/test_link",
    operation_id = "images_test_link",
    tag = "images",
    params(
        ("id" = String, Path, description = "The image.", example = "img_0190a1b2c3d47e8f9a0b1c2d3e4f5a6b"),
    ),
    responses((status = 200, description = "Where the link leads, and what is wrong with it.", body = LinkTest)),
)]
pub(super) async fn test_link(
    State(state): State<AdminState>,
    _: Caller,
    id: ResourceId,
) -> Result<Json<LinkTest>, AdminError> {
    let row = find(&state, id).await?;
    let base_url = state.settings.current().base_url.clone();
    let Some(url) = link(&row, &base_url) else {
        let message =
            "must be set: without it, links begin with whatever address a client used, and there is none to test";
        return Err(AdminError::field("/base_url", "required", message));
    };
    let warnings: Vec<_> = warning(&base_url).into_iter().collect();
    let probe = state.upstream.probe_link(&url, LINK_BODY).await;
    let here = state.images.get(&row.id).await;
    let expected = here.as_ref().map_err(ToString::to_string).map(|picture| picture.bytes.as_ref());
    let (outcome, message) = judge(&probe, expected, warnings.first().copied());
    let told = probe.ok();
    Ok(Json(LinkTest {
        ok: outcome == "this_image",
        outcome,
        url,
        latency_ms: told.as_ref().map(|probe| probe.latency_ms),
        status: told.as_ref().map(|probe| probe.status),
        content_type: told.as_ref().and_then(|probe| probe.content_type.clone()),
        bytes: told.as_ref().map(|probe| probe.body.len()),
        message,
        warnings,
    }))
}

/// What came of following a link, and what is wrong in words. `expected`: what this gateway itself would serve.
fn judge(
    probe: &Result<LinkProbe, String>,
    expected: Result<&[u8], String>,
    warning: Option<&'static str>,
) -> (&'static str, Option<String>) {
    let probe = match probe {
        Ok(probe) => probe,
        Err(words) => {
            let message =
                format!("Nothing answers at the public address ({words}). Check base_url, the name and the firewall.");
            return ("unreachable", Some(message));
        }
    };
    let expected = match expected {
        Ok(expected) => expected,
        Err(words) => return ("refused", Some(format!("This gateway itself cannot serve it: {words}."))),
    };
    match probe.status {
        200 if probe.body == expected => {
            let message = warning.map(|warning| match warning {
                "loopback" => {
                    "It works from this machine, but base_url is a loopback address: nobody else can follow it."
                }
                _ => "It works, but base_url is a private address: nobody outside of this network can follow it.",
            });
            ("this_image", message.map(str::to_owned))
        }
        200 if is_picture(probe) => (
            "another_image",
            Some("Another picture came: something in front of the gateway answers in its place.".to_owned()),
        ),
        200 => {
            let kind = probe.content_type.as_deref().unwrap_or("nothing that is named");
            let message = format!("Not a picture came but {kind}: base_url leads to something else than this gateway.");
            ("no_image", Some(message))
        }
        status @ 300..=399 => {
            let to = probe.location.as_deref().unwrap_or("nowhere");
            (
                "redirected",
                Some(format!("It leads on to {to} ({status}): set base_url to the address that answers itself.")),
            )
        }
        status @ (401 | 403) => {
            let message = format!("It is refused ({status}): a login or a filter stands in front of the gateway.");
            ("refused", Some(message))
        }
        404 => {
            let message = "The public address does not know the image (404): it leads to another server, or its reverse proxy \
                           does not pass /images on.";
            ("refused", Some(message.to_owned()))
        }
        status => ("refused", Some(format!("The public address answers {status}."))),
    }
}

fn is_picture(probe: &LinkProbe) -> bool {
    probe.content_type.as_deref().is_some_and(|kind| kind.starts_with("image/"))
}

/// Who can follow links that begin with this address, if not everybody.
fn warning(base_url: &str) -> Option<&'static str> {
    let address = WebAddress::parse(base_url)?;
    let host = address.authority;
    let host = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, _)) => host,
        None => host.split(':').next().unwrap_or(host),
    };
    if host.eq_ignore_ascii_case("localhost") {
        return Some("loopback");
    }
    match host.parse::<std::net::IpAddr>().ok()?.to_canonical() {
        address if address.is_loopback() || address.is_unspecified() => Some("loopback"),
        std::net::IpAddr::V4(address) if address.is_private() || address.is_link_local() => Some("private"),
        std::net::IpAddr::V6(address) if address.is_unique_local() || address.is_unicast_link_local() => {
            Some("private")
        }
        _ => None,
    }
}

async fn find(state: &AdminState, id: ResourceId) -> Result<ImageRow, AdminError> {
    let id = id.of_kind(ID_PREFIX)?;
    let id = id.strip_prefix(ID_PREFIX).filter(|id| is_id(id)).ok_or_else(not_found)?;
    state.images.show(id).await?.ok_or_else(not_found)
}

fn not_found() -> AdminError {
    AdminError::not_found("there is no such image")
}

fn path(row: &ImageRow) -> String {
    format!("/images/{}.{}", row.id, extension_of(row.media_type.as_deref()))
}

fn link(row: &ImageRow, base_url: &str) -> Option<String> {
    (!base_url.is_empty()).then(|| format!("{}{}", base_url.trim_end_matches('/'), path(row)))
}

impl ImageBody {
    fn of(row: ImageRow, base_url: &str) -> Self {
        Self {
            id: format!("{ID_PREFIX}{}", row.id),
            path: path(&row),
            url: link(&row, base_url),
            request_id: row.request_id,
            account_id: row.account_id,
            key_id: row.key_id,
            model: row.model,
            media_type: row.media_type,
            bytes: row.bytes,
            created_at: timestamp(row.created_at),
            hits: row.hits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(status: u16, content_type: &str, body: &'static [u8]) -> Result<LinkProbe, String> {
        Ok(LinkProbe {
            latency_ms: 1,
            status,
            content_type: Some(content_type.to_owned()),
            location: Some("https://login.example".to_owned()),
            body: bytes::Bytes::from_static(body),
        })
    }

    #[test]
    fn what_is_wrong_with_a_link_is_said_in_words() {
        let good = probe(200, "image/png", b"picture");
        assert_eq!(judge(&good, Ok(b"picture"), None), ("this_image", None));
        for (probe, warning, outcome, words) in [
            (good, Some("loopback"), "this_image", "nobody else"),
            (probe(200, "image/png", b"other"), None, "another_image", "Another picture"),
            (probe(200, "text/html", b"<html>"), None, "no_image", "text/html"),
            (probe(302, "text/html", b""), None, "redirected", "https://login.example"),
            (probe(401, "text/html", b""), None, "refused", "login"),
            (probe(404, "text/html", b""), None, "refused", "reverse proxy"),
            (probe(502, "text/html", b""), None, "refused", "502"),
            (Err("no connection".to_owned()), None, "unreachable", "no connection"),
        ] {
            let (told, message) = judge(&probe, Ok(b"picture"), warning);
            assert_eq!(told, outcome, "{message:?}");
            assert!(message.as_deref().unwrap_or_default().contains(words), "{message:?}");
        }
        let gone = judge(&probe(200, "image/png", b""), Err("gone".to_owned()), None);
        assert_eq!(gone.0, "refused");
    }

    #[test]
    fn addresses_that_not_everybody_reaches_are_told() {
        for (base_url, expected) in [
            ("http://127.0.0.1:8000", Some("loopback")),
            ("http://LOCALHOST", Some("loopback")),
            ("http://[::1]:8000", Some("loopback")),
            ("http://0.0.0.0:8000", Some("loopback")),
            ("http://192.168.1.2", Some("private")),
            ("http://[fd00::1]", Some("private")),
            ("https://grok.example", None),
            ("https://1.1.1.1", None),
        ] {
            assert_eq!(warning(base_url), expected, "{base_url}");
        }
    }
}
