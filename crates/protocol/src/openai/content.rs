//! Message content: a string, nothing, or a list of parts.

use serde_json::value::RawValue;

use super::body::{Members, read_string};
use super::image::ImageSource;
use super::request::RequestError;

/// Joins the parts of a message. Clients that send parts mean paragraphs, so they are joined by newlines.
const PART_SEPARATOR: &str = "\n";

/// What a message holds.
#[derive(Default)]
pub(super) struct Content {
    pub(super) text: String,
    pub(super) images: Vec<ImageSource>,
}

enum Part {
    Text(String),
    Image(ImageSource),
}

/// Reads a content value that stands at `path`. Images are taken only where `may_show` says that the writer may send some.
pub(super) fn read_content(value: Option<&RawValue>, path: &str, may_show: bool) -> Result<Content, RequestError> {
    let mut content = Content::default();
    let Some(value) = value else { return Ok(content) };
    if let Some(text) = read_string(value) {
        return Ok(Content { text, ..content });
    }
    let Ok(parts) = serde_json::from_str::<Vec<&RawValue>>(value.get()) else {
        return Err(RequestError::wrong_type(path, "a string or a list of parts", value));
    };
    let mut has_text = false;
    for (index, part) in parts.into_iter().enumerate() {
        match read_part(part, format!("{path}[{index}]"), may_show)? {
            Part::Image(image) => content.images.push(image),
            Part::Text(text) => {
                if std::mem::replace(&mut has_text, true) {
                    content.text.push_str(PART_SEPARATOR);
                }
                content.text.push_str(&text);
            }
        }
    }
    Ok(content)
}

fn read_part(value: &RawValue, path: String, may_show: bool) -> Result<Part, RequestError> {
    if let Some(text) = read_string(value) {
        return Ok(Part::Text(text));
    }
    let mut part = Members::of_object(value, path.clone())?;
    let kind = part.string("type")?;
    let member = match kind.as_deref() {
        Some("text" | "input_text" | "output_text") | None => "text",
        Some("refusal") => "refusal",
        Some("image_url" | "input_image") if may_show => return read_image(&mut part).map(Part::Image),
        Some(kind) => return Err(unsupported(kind, path)),
    };
    part.string(member)?.map(Part::Text).ok_or_else(|| {
        let path = part.path_of(member);
        let message = format!("`{path}` is missing.");
        RequestError::new("missing_required_parameter", Some(path), message)
    })
}

/// `{"image_url": {"url"}}`, or the address itself.
fn read_image(part: &mut Members<'_>) -> Result<ImageSource, RequestError> {
    let member = part.path_of("image_url");
    let value = part.take("image_url").ok_or_else(|| RequestError::missing(&member))?;
    let (url, member) = match read_string(value) {
        Some(url) => (url, member),
        None => {
            let mut object = Members::of_object(value, member)?;
            let member = object.path_of("url");
            (object.string("url")?.ok_or_else(|| RequestError::missing(&member))?, member)
        }
    };
    ImageSource::of_url(url.trim(), &member)
        .map_err(|why| RequestError::new("unsupported_content", Some(member.clone()), format!("`{member}` {why}.")))
}

fn unsupported(kind: &str, path: String) -> RequestError {
    let kind: String = kind.chars().take(64).collect();
    let message = format!(
        "Content of type `{kind}` is not supported; a user's message takes parts of type `text` and `image_url`, others `text`."
    );
    RequestError::new("unsupported_content", Some(path), message)
}
