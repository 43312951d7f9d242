//! Uploads and the assets host (UPSTREAM.md 10).

use std::time::SystemTime;

use axum::{
    extract::{DefaultBodyLimit, FromRequest, Multipart, Request, State},
    http::Uri,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    App,
    answer::{self, Answered},
    entry::{Entry, Route, enter, enter_form},
};
use crate::{
    ids, image,
    state::{Asset, AssetContent, FileFaults, State as Store, UploadedFile},
};

const UPLOAD: Route = Route::unary("upload");
const UPLOAD_DIRECT: Route = Route::unary("upload_direct");
const ASSET: Route = Route::page("asset");

/// A file as it was sent.
struct Sent {
    name: String,
    content_type: String,
    content: Vec<u8>,
}

/// A JSON body with the content in base64.
pub(super) async fn upload(State(shared): State<App>, request: Request) -> Answered {
    let Entry { sso, body } = enter(&shared, UPLOAD, None, request).await?;
    if let Some(fault) = fault(&mut shared.state(), |faults| faults.no_upload) {
        return fault;
    }
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let (Ok(content), false) = (STANDARD.decode(text("content")), text("fileName").is_empty()) else {
        return Err(answer::bad_request(UPLOAD.errors, "Invalid file"));
    };
    let sent = Sent { name: text("fileName"), content_type: text("fileMimeType"), content };
    Ok(answer::ok(&store(&mut shared.state(), &sso, sent)))
}

/// A form with the part `file`.
pub(super) async fn upload_direct(State(shared): State<App>, request: Request) -> Answered {
    let (parts, body) = request.into_parts();
    let sso = enter_form(&shared, UPLOAD_DIRECT, &parts)?;
    let Some(sent) = sent_part(Request::from_parts(parts, body)).await else {
        return Err(answer::bad_request(UPLOAD_DIRECT.errors, "Invalid form"));
    };
    if let Some(fault) = fault(&mut shared.state(), |faults| faults.no_direct_upload) {
        return fault;
    }
    let metadata = store(&mut shared.state(), &sso, sent);
    Ok(answer::ok(&json!({"uploadId": ids::fresh(), "fileMetadata": metadata, "terminalError": {}})))
}

/// What an upload is answered instead of being taken.
fn fault(state: &mut Store, is_missing: impl FnOnce(&FileFaults) -> bool) -> Option<Answered> {
    if is_missing(&state.file_faults) {
        return Some(Err(answer::no_route()));
    }
    let (status, body) = state.file_faults.refusals.pop_front()?;
    Some(Ok(answer::raw(status, "application/json", body.into_bytes())))
}

async fn sent_part(mut request: Request) -> Option<Sent> {
    DefaultBodyLimit::disable().apply(&mut request);
    let mut form = Multipart::from_request(request, &()).await.ok()?;
    while let Some(part) = form.next_field().await.ok()? {
        if part.name() != Some("file") {
            continue;
        }
        let name = part.file_name()?.to_owned();
        let content_type = part.content_type().unwrap_or("application/octet-stream").to_owned();
        return Some(Sent { name, content_type, content: part.bytes().await.ok()?.to_vec() });
    }
    None
}

fn store(state: &mut Store, sso: &str, sent: Sent) -> Value {
    let id = ids::fresh();
    let user_id = state.accounts.get(sso).map(|account| account.user_id.to_string()).unwrap_or_default();
    let path = format!("users/{user_id}/{id}/content");
    let metadata = json!({
        "fileMetadataId": id,
        "fileMimeType": &sent.content_type,
        "fileName": &sent.name,
        "fileUri": path,
        "parsedFileUri": "",
        "createTime": ids::timestamp(SystemTime::now()),
        "fileSource": "SELF_UPLOAD_FILE_SOURCE",
    });
    state.uploads.push(UploadedFile {
        id: id.clone(),
        account: sso.to_owned(),
        name: sent.name,
        content_type: sent.content_type.clone(),
        content: sent.content.clone(),
    });
    let content = AssetContent::Uploaded(sent.content);
    state.assets.insert(path, Asset { owner: user_id, content_type: sent.content_type, content });
    state.file_owners.insert(id, sso.to_owned());
    metadata
}

/// A file of the account; without the account's cookie 403.
pub(super) async fn asset(State(shared): State<App>, uri: Uri, request: Request) -> Answered {
    let path = uri.path().trim_start_matches("/assets").trim_start_matches('/').to_owned();
    let Ok(Entry { sso, .. }) = enter(&shared, ASSET, None, request).await else {
        return Ok(answer::raw(403, "text/plain", b"Forbidden".to_vec()));
    };
    let wait = shared.state().file_faults.assets_wait;
    tokio::time::sleep(wait).await;
    let mut state = shared.state();
    if let Some(status) = state.file_faults.assets_status {
        return Ok(answer::raw(status, "text/plain", b"Out of order".to_vec()));
    }
    Ok(match state.assets.get(&path) {
        None => answer::raw(404, "text/plain", b"Not Found".to_vec()),
        Some(asset) if state.accounts.get(&sso).is_some_and(|account| *account.user_id == *asset.owner) => {
            answer::raw(200, &asset.content_type, asset.bytes())
        }
        Some(_) => {
            state.violate("foreign_asset", format!("{sso} fetches {path}"));
            answer::raw(403, "text/plain", b"Forbidden".to_vec())
        }
    })
}

impl Asset {
    fn bytes(&self) -> Vec<u8> {
        match &self.content {
            AssetContent::Uploaded(bytes) => bytes.clone(),
            AssetContent::Generated(path) => image::jpeg(path),
        }
    }
}
