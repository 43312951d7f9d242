//! Ids in paths and versions in `If-Match`.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, header};

use super::error::AdminError;

/// Longer than any id we make.
const LONGEST_ID: usize = 64;

/// The id in the path. Whatever cannot be an id names nothing that exists.
pub(super) struct ResourceId(String);

impl<S: Send + Sync> FromRequestParts<S> for ResourceId {
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, AdminError> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => Err(AdminError::not_found("there is nothing under this id")),
        }
    }
}

impl ResourceId {
    /// The id, whatever its kind.
    pub(super) fn any(&self) -> &str {
        &self.0
    }

    /// The id, if it is one of the kind that begins with `prefix`.
    pub(super) fn of_kind(self, prefix: &str) -> Result<String, AdminError> {
        let rest = self.0.strip_prefix(prefix).unwrap_or_default();
        let is_id =
            !rest.is_empty() && self.0.len() <= LONGEST_ID && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if is_id {
            Ok(self.0)
        } else {
            Err(AdminError::not_found(format!("there is nothing under this id; ids here begin with {prefix}")))
        }
    }
}

/// The version in `If-Match`; `None` without the header and for `*`, which every version matches.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<String>, AdminError> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().map(str::trim).unwrap_or_default();
    if text == "*" {
        return Ok(None);
    }
    let version =
        text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).filter(|version| !version.contains('"'));
    match version {
        Some(version) => Ok(Some(version.to_owned())),
        None => Err(AdminError::invalid_request("If-Match must hold one version in quotes, as ETag gave it")),
    }
}

/// The same where versions are numbers.
pub(super) fn if_match_number(headers: &HeaderMap) -> Result<Option<i64>, AdminError> {
    let Some(version) = if_match(headers)? else { return Ok(None) };
    match version.parse() {
        Ok(version) => Ok(Some(version)),
        Err(_) => Err(AdminError::invalid_request("If-Match must hold a version number in quotes, as ETag gave it")),
    }
}

/// A version as an `ETag`.
pub(super) fn etag(version: impl std::fmt::Display) -> (header::HeaderName, HeaderValue) {
    let value = HeaderValue::try_from(format!("\"{version}\"")).expect("versions are digits and letters");
    (header::ETAG, value)
}
