//! What is asked of the upstream: paths and bodies (UPSTREAM.md 3, 4, 11, 13).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};

use crate::model::Mode;
use crate::openai::Image;
use crate::turn::TurnRequest;

/// How a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Without a body.
    Get,
    /// With a JSON body.
    Post,
    /// Without a body.
    Delete,
}

/// One call of the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// How it is made.
    pub method: Method,
    /// Path and query, beginning with `/`.
    pub path: String,
    /// JSON or a form, or empty where the method has none.
    pub body: Vec<u8>,
    /// The content type, where it is not JSON's.
    pub content_type: Option<String>,
}

impl Route {
    fn get(path: String) -> Self {
        Self { method: Method::Get, path, body: Vec::new(), content_type: None }
    }

    fn post(path: String, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("plain structures with string keys always serialise");
        Self { method: Method::Post, path, body, content_type: None }
    }
}

/// Asks one turn: begins a conversation, or goes on with one.
pub fn chat(turn: &TurnRequest<'_>) -> Route {
    let path = match &turn.parent {
        Some(parent) => conversation_path(parent.conversation_id, "responses"),
        None => "/rest/app-chat/conversations/new".to_owned(),
    };
    Route::post(path, &ChatBody::new(turn))
}

/// Makes a link by which another account can take over the conversation up to `response`. Search engines are kept out.
pub fn share(conversation: &str, response: &str) -> Route {
    let body = json!({"responseId": response, "allowIndexing": false});
    Route::post(conversation_path(conversation, "share"), &body)
}

/// Copies a shared conversation into the calling account.
pub fn clone_share(link: &str) -> Route {
    Route::post(format!("/rest/app-chat/share_links/{}/clone", path_segment(link)), &json!({}))
}

/// A call whose body is an image between a head and a tail. It is written while it is sent, for it is large and would otherwise be in memory
/// several times over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The call, without its body.
    pub route: Route,
    head: Vec<u8>,
    image: Image,
    is_base64: bool,
    tail: Vec<u8>,
}

/// Bytes of an image in one piece of a body; divisible by three, so that pieces in base64 can be joined.
const PIECE: usize = 48 * 1024;

impl Upload {
    /// Length of the body.
    #[must_use]
    pub fn length(&self) -> u64 {
        let image = self.image.bytes().len();
        let image = if self.is_base64 { image.div_ceil(3) * 4 } else { image };
        (self.head.len() + image + self.tail.len()) as u64
    }

    /// The piece of the body with this number; `None` behind the last.
    #[must_use]
    pub fn piece(&self, number: usize) -> Option<Vec<u8>> {
        if number == 0 {
            return Some(self.head.clone());
        }
        match self.image.bytes().chunks(PIECE).nth(number - 1) {
            Some(bytes) if self.is_base64 => Some(STANDARD.encode(bytes).into_bytes()),
            Some(bytes) => Some(bytes.to_vec()),
            None => (number == self.image.bytes().len().div_ceil(PIECE) + 1).then(|| self.tail.clone()),
        }
    }
}

/// Gives an image to the account, for [`TurnRequest::attachments`].
pub fn upload(image: &Image) -> Upload {
    let (name, media_type) = (image.file_name(), image.media_type());
    Upload {
        route: Route {
            method: Method::Post,
            path: "/rest/app-chat/upload-file".to_owned(),
            body: Vec::new(),
            content_type: None,
        },
        head: format!(r#"{{"fileName":"{name}","fileMimeType":"{media_type}","content":""#).into_bytes(),
        image: image.clone(),
        is_base64: true,
        tail: br#""}"#.to_vec(),
    }
}

/// The same by the newer route, as a form (UPSTREAM.md 10).
pub fn upload_direct(image: &Image) -> Upload {
    // Nothing that holds its own hash can be made, so this stands nowhere in the image.
    let boundary = format!("----image{}", image.digest());
    let (name, media_type) = (image.file_name(), image.media_type());
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: {media_type}\r\n\r\n"
    );
    Upload {
        route: Route {
            method: Method::Post,
            path: "/http/upload-file-v2/direct".to_owned(),
            body: Vec::new(),
            content_type: Some(format!("multipart/form-data; boundary={boundary}")),
        },
        head: head.into_bytes(),
        image: image.clone(),
        is_base64: false,
        tail: format!("\r\n--{boundary}--\r\n").into_bytes(),
    }
}

/// Asks how much of a mode is left.
pub fn rate_limits(mode: &Mode) -> Route {
    let body = match mode {
        Mode::Id(id) => json!({"modelName": id}),
        Mode::Pair { model_name, .. } => json!({"requestKind": "DEFAULT", "modelName": model_name}),
    };
    Route::post("/rest/rate-limits".to_owned(), &body)
}

/// Asks which plans the account has.
pub fn subscriptions() -> Route {
    Route::get("/rest/subscriptions".to_owned())
}

/// Asks whose account the cookie is.
pub fn account() -> Route {
    Route::get("/api/auth/session".to_owned())
}

/// Asks for the conversation's tree and for answers that are still being written.
pub fn response_node(conversation: &str) -> Route {
    Route::get(conversation_path(conversation, "response-node?includeThreads=true"))
}

/// Streams an answer that is being written, from its beginning. This dialect's route names only the answer; callers know both,
/// and not every dialect can do without the conversation.
pub fn reconnect(_conversation: &str, response: &str) -> Route {
    Route::get(conversation_path("reconnect-response-v2", &path_segment(response)))
}

/// Loads stored messages in full.
pub fn load_responses(conversation: &str, responses: &[String]) -> Route {
    Route::post(conversation_path(conversation, "load-responses"), &json!({"responseIds": responses}))
}

/// Puts a conversation into the account's bin, as the web page does: its owner can still have it back.
pub fn delete_softly(conversation: &str) -> Route {
    let path = conversation_path("soft", &path_segment(conversation));
    Route { method: Method::Delete, path, body: Vec::new(), content_type: None }
}

/// `rest` is a path we wrote, `conversation` is not.
fn conversation_path(conversation: &str, rest: &str) -> String {
    format!("/rest/app-chat/conversations/{}/{rest}", path_segment(conversation))
}

/// Makes an id safe to stand in a path, whoever it came from.
pub(crate) fn path_segment(id: &str) -> String {
    // URL parsers resolve `..` and `%2e%2e` alike, so dots alone are escaped twice and name nothing.
    if !id.is_empty() && id.bytes().all(|byte| byte == b'.') {
        return "%252E".repeat(id.len());
    }
    let mut segment = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.') {
            segment.push(char::from(byte));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            segment.push('%');
            segment.push(char::from(DIGITS[usize::from(byte >> 4)]));
            segment.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    segment
}

/// The body of a chat call, in the form in use since March 2026; with a [`Mode::Pair`], in the form before that
/// (UPSTREAM.md 3.2). Members are those the web page sends, in its order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChatBody<'a> {
    /// Only at the beginning: a conversation keeps what it was begun as.
    #[serde(skip_serializing_if = "Option::is_none")]
    temporary: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_mode: Option<&'a str>,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_response_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    custom_personality: Option<&'a str>,
    file_attachments: &'a [String],
    image_attachments: [&'a str; 0],
    disable_search: bool,
    enable_image_generation: bool,
    return_image_bytes: bool,
    return_raw_grok_in_xai_request: bool,
    enable_image_streaming: bool,
    image_generation_count: u8,
    force_concise: bool,
    enable_side_by_side: bool,
    force_side_by_side: bool,
    send_final_metadata: bool,
    disable_text_follow_ups: bool,
    response_metadata: Value,
    disable_memory: bool,
    is_async_chat: bool,
    disable_self_harm_short_circuit: bool,
    #[serde(flatten)]
    generation: Generation<'a>,
}

/// Members that only one generation of the web page sends.
#[derive(Serialize)]
#[serde(untagged)]
enum Generation<'a> {
    #[serde(rename_all = "camelCase")]
    Modes { collection_ids: [&'a str; 0], disabled_connector_ids: [&'a str; 0], device_env_info: DeviceEnvInfo },
    #[serde(rename_all = "camelCase")]
    Pairs { tool_overrides: EmptyObject, is_reasoning: bool, webpage_urls: [&'a str; 0] },
}

#[derive(Serialize)]
struct EmptyObject {}

/// A common screen.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeviceEnvInfo {
    dark_mode_enabled: bool,
    device_pixel_ratio: u8,
    screen_width: u16,
    screen_height: u16,
    viewport_width: u16,
    viewport_height: u16,
}

const DEVICE: DeviceEnvInfo = DeviceEnvInfo {
    dark_mode_enabled: false,
    device_pixel_ratio: 2,
    screen_width: 1920,
    screen_height: 1080,
    viewport_width: 1280,
    viewport_height: 900,
};

impl<'a> ChatBody<'a> {
    fn new(turn: &TurnRequest<'a>) -> Self {
        let (mode_id, model_name, model_mode) = match turn.mode {
            Mode::Id(id) => (Some(id.as_ref()), None, None),
            Mode::Pair { model_name, model_mode } => (None, Some(model_name.as_str()), Some(model_mode.as_str())),
        };
        let (response_metadata, generation) = match model_name {
            None => (
                json!({}),
                Generation::Modes { collection_ids: [], disabled_connector_ids: [], device_env_info: DEVICE },
            ),
            Some(name) => (
                json!({"requestModelDetails": {"modelId": name}}),
                Generation::Pairs { tool_overrides: EmptyObject {}, is_reasoning: false, webpage_urls: [] },
            ),
        };
        Self {
            temporary: turn.parent.is_none().then_some(turn.temporary),
            mode_id,
            model_name,
            model_mode,
            message: turn.message,
            parent_response_id: turn.parent.and_then(|parent| parent.response_id),
            custom_personality: turn.instructions.filter(|text| !text.is_empty()),
            file_attachments: turn.attachments,
            image_attachments: [],
            disable_search: !turn.search,
            enable_image_generation: true,
            return_image_bytes: false,
            return_raw_grok_in_xai_request: false,
            enable_image_streaming: true,
            image_generation_count: 2,
            force_concise: false,
            // A second alternative is never shown.
            enable_side_by_side: false,
            force_side_by_side: false,
            send_final_metadata: true,
            // Suggestions for the next question are for the web page; nobody here would show them.
            disable_text_follow_ups: true,
            response_metadata,
            // What the account's owner said in other chats must not reach a client's answer.
            disable_memory: true,
            is_async_chat: false,
            disable_self_harm_short_circuit: false,
            generation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::find;
    use crate::turn::Parent;

    fn body(route: &Route) -> Value {
        serde_json::from_slice(&route.body).expect("bodies are JSON")
    }

    #[test]
    fn a_new_conversation_is_begun_with_a_mode() {
        let mode = find("grok-expert").mode;
        let attachments = ["file-1".to_owned()];
        let turn = TurnRequest {
            message: "hi \"there\"\n",
            mode: &mode,
            parent: None,
            attachments: &attachments,
            search: false,
            temporary: true,
            instructions: Some("be kind"),
        };
        let route = chat(&turn);
        assert_eq!((route.method, route.path.as_str()), (Method::Post, "/rest/app-chat/conversations/new"));
        let body = body(&route);
        assert_eq!(body["modeId"], "expert");
        assert_eq!(body["message"], "hi \"there\"\n");
        assert_eq!(body["temporary"], true);
        assert_eq!(body["disableSearch"], true);
        assert_eq!(body["fileAttachments"], json!(["file-1"]));
        assert_eq!(body["customPersonality"], "be kind");
        assert_eq!(body["disableMemory"], true);
        assert_eq!(body["deviceEnvInfo"]["screenWidth"], 1920);
        for absent in ["modelName", "modelMode", "parentResponseId", "toolOverrides"] {
            assert!(body.get(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn a_conversation_is_continued_below_an_answer_and_with_an_older_pair() {
        let mode = find("grok-4/MODEL_MODE_EXPERT").mode;
        let turn = TurnRequest {
            message: "more",
            mode: &mode,
            parent: Some(Parent { conversation_id: "c/1", response_id: Some("r") }),
            attachments: &[],
            search: true,
            temporary: true,
            instructions: None,
        };
        let route = chat(&turn);
        assert_eq!(route.path, "/rest/app-chat/conversations/c%2F1/responses");
        let body = body(&route);
        assert_eq!(body["parentResponseId"], "r");
        assert_eq!(body["modelName"], "grok-4");
        assert_eq!(body["modelMode"], "MODEL_MODE_EXPERT");
        assert_eq!(body["responseMetadata"]["requestModelDetails"]["modelId"], "grok-4");
        assert_eq!(body["disableSearch"], false);
        for absent in ["modeId", "temporary", "deviceEnvInfo", "customPersonality"] {
            assert!(body.get(absent).is_none(), "{absent}");
        }
    }

    #[test]
    fn shares_are_kept_out_of_search_engines() {
        let route = share("c", "r");
        assert_eq!(route.path, "/rest/app-chat/conversations/c/share");
        assert_eq!(body(&route), json!({"responseId": "r", "allowIndexing": false}));
    }

    #[test]
    fn other_calls_have_their_paths() {
        assert_eq!(clone_share("bGVn_x").path, "/rest/app-chat/share_links/bGVn_x/clone");
        assert_eq!(body(&rate_limits(&find("grok-3").mode)), json!({"modelName": "fast"}));
        let older = find("grok-4/MODEL_MODE_AUTO").mode;
        assert_eq!(body(&rate_limits(&older)), json!({"requestKind": "DEFAULT", "modelName": "grok-4"}));
        let tree = response_node("c");
        assert_eq!(tree.path, "/rest/app-chat/conversations/c/response-node?includeThreads=true");
        assert_eq!((tree.method, tree.body.len()), (Method::Get, 0));
        assert_eq!(reconnect("c", "r").path, "/rest/app-chat/conversations/reconnect-response-v2/r");
        let delete = delete_softly("c/d");
        assert_eq!((delete.method, delete.path.as_str()), (Method::Delete, "/rest/app-chat/conversations/soft/c%2Fd"));
        assert_eq!(body(&load_responses("c", &["a".to_owned()])), json!({"responseIds": ["a"]}));
    }

    #[test]
    fn no_id_can_leave_its_place_in_a_path() {
        for (id, segment) in [
            ("3b0c6a5e-18b7.x_Y", "3b0c6a5e-18b7.x_Y"),
            ("a/b?c#d e%\r\n", "a%2Fb%3Fc%23d%20e%25%0D%0A"),
            ("é", "%C3%A9"),
            (".", "%252E"),
            ("..", "%252E%252E"),
            ("...a", "...a"),
        ] {
            assert_eq!(path_segment(id), segment);
        }
    }

    #[test]
    fn the_pieces_of_an_upload_are_its_body() {
        for size in [0, 1, 2, 3, PIECE - 9, PIECE - 8, PIECE - 7, 2 * PIECE - 8, 100_000] {
            let bytes = [b"\x89PNG\r\n\x1a\n".as_slice(), &vec![7; size]].concat();
            let image = Image::of_bytes(bytes.clone()).unwrap();
            let whole = |upload: &Upload| {
                let body: Vec<u8> = (0..).map_while(|number| upload.piece(number)).flatten().collect();
                assert_eq!(body.len() as u64, upload.length(), "{size}");
                body
            };
            let body: Value = serde_json::from_slice(&whole(&upload(&image))).unwrap();
            let expected =
                json!({"fileName": "image.png", "fileMimeType": "image/png", "content": STANDARD.encode(&bytes)});
            assert_eq!(body, expected, "{size}");
            let form = whole(&upload_direct(&image));
            let start = form.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            assert_eq!(&form[start..start + bytes.len()], bytes, "{size}");
            assert!(form.ends_with(b"--\r\n"), "{size}");
        }
    }
}
