//! Images in a message: the bytes of a data URI, typed by what they are and not by what they are called, or an address on the
//! web where they are to be found.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use crate::history::Hash;
use crate::scan;

/// The largest image that is taken.
pub const LARGEST_IMAGE: usize = 20 * 1024 * 1024;

/// Clients leave the padding out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Longest address of an image; real ones, signatures included, stay below two thousand characters.
const LONGEST_LINK: usize = 8_192;

/// An image as a message holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// The message has its bytes.
    Inline(Image),
    /// The message says where it is.
    Link(ImageLink),
}

/// Where an image is on the web.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageLink {
    /// Its http(s) address, as the client wrote it.
    pub url: String,
    /// Where the address stands in the request, for complaints.
    pub param: String,
    digest: Hash,
}

impl ImageSource {
    /// Reads an address that stands at `param`; says what is wrong with it.
    pub(super) fn of_url(url: &str, param: &str) -> Result<Self, String> {
        let has_scheme = |scheme: &str| url.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
        if has_scheme("https://") || has_scheme("http://") {
            if url.len() > LONGEST_LINK {
                return Err(format!("is longer than {LONGEST_LINK} characters"));
            }
            return Ok(Self::Link(ImageLink::new(url, param)));
        }
        if has_scheme("data:") {
            return Image::of_data_uri(url).map(Self::Inline);
        }
        Err("must be an http(s) address, or a `data:` URI with the image in base64".to_owned())
    }

    /// The same image told in the same way has the same digest.
    #[must_use]
    pub fn digest(&self) -> &Hash {
        match self {
            Self::Inline(image) => image.digest(),
            Self::Link(link) => &link.digest,
        }
    }
}

impl ImageLink {
    /// An address and where it stands in the request. Signatures in the query change from one request to the next, so an image
    /// is known by host and path.
    #[must_use]
    pub fn new(url: &str, param: &str) -> Self {
        let steady = &url[..scan::find_character(url, |character| matches!(character, '?' | '#')).unwrap_or(url.len())];
        Self { url: url.to_owned(), param: param.to_owned(), digest: Hash::of(&[b"image at", steady.as_bytes()]) }
    }
}

/// The bytes of an image. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    kind: ImageKind,
    bytes: Arc<Vec<u8>>,
    digest: Hash,
}

/// The formats that the upstream takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ImageKind {
    Png,
    Jpeg,
    Gif,
    Webp,
}

impl Image {
    /// Takes bytes for an image, if they are one.
    #[must_use]
    pub fn of_bytes(bytes: Vec<u8>) -> Option<Self> {
        let kind = ImageKind::of(&bytes)?;
        let mut bytes = bytes;
        // It is kept for as long as the request lasts.
        bytes.shrink_to_fit();
        Some(Self { kind, digest: Hash::of(&[b"image", &bytes]), bytes: bytes.into() })
    }

    /// The media type of bytes, if they are an image.
    #[must_use]
    pub fn media_type_of(bytes: &[u8]) -> Option<&'static str> {
        ImageKind::of(bytes).map(ImageKind::media_type)
    }

    /// Reads a `data:` URI; says what is wrong with it.
    pub(super) fn of_data_uri(uri: &str) -> Result<Self, String> {
        let content = uri.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:")).and(uri.get(5..));
        let Some((head, content)) = content.and_then(|uri| scan::split_once(uri, ",")) else {
            return Err("must be a `data:` URI with the image in base64".to_owned());
        };
        if !head.rsplit(';').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("base64")) {
            return Err("must hold the image in base64".to_owned());
        }
        if content.len() / 4 * 3 > LARGEST_IMAGE + 3 {
            return Err(too_large());
        }
        let bytes = if content.bytes().any(|byte| byte.is_ascii_whitespace()) {
            LENIENT.decode(content.split_ascii_whitespace().collect::<String>())
        } else {
            LENIENT.decode(content)
        };
        let bytes = bytes.map_err(|_| "does not hold valid base64".to_owned())?;
        if bytes.len() > LARGEST_IMAGE {
            return Err(too_large());
        }
        Self::of_bytes(bytes).ok_or_else(|| "is not a PNG, JPEG, GIF or WebP image".to_owned())
    }

    /// The media type of the bytes.
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        self.kind.media_type()
    }

    /// A file name that fits the bytes.
    #[must_use]
    pub fn file_name(&self) -> &'static str {
        match self.kind {
            ImageKind::Png => "image.png",
            ImageKind::Jpeg => "image.jpg",
            ImageKind::Gif => "image.gif",
            ImageKind::Webp => "image.webp",
        }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same image has the same digest, however it was written.
    #[must_use]
    pub fn digest(&self) -> &Hash {
        &self.digest
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Image({}, {} bytes, {})", self.media_type(), self.bytes.len(), self.digest)
    }
}

impl ImageKind {
    fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Self::Gif),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Self::Webp),
            _ => None,
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
        }
    }
}

fn too_large() -> String {
    format!("is larger than {} MiB", LARGEST_IMAGE / 1024 / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_say_what_an_image_is() {
        let image = Image::of_data_uri("data:image/jpeg;base64,iVBORw0KGgo=").unwrap();
        assert_eq!((image.media_type(), image.file_name()), ("image/png", "image.png"));
        assert_eq!(image.bytes(), b"\x89PNG\r\n\x1a\n");
        for same in ["DATA:image/png;charset=x;BASE64,iVBORw0K\nGgo=", "data:;base64,iVBORw0KGgo"] {
            assert_eq!(Image::of_data_uri(same).as_ref(), Ok(&image), "{same}");
        }
        let other = Image::of_data_uri("data:image/gif;base64,R0lGODlhAA==").unwrap();
        assert_eq!(other.media_type(), "image/gif");
        assert_ne!(other.digest(), image.digest());
    }

    #[test]
    fn an_address_is_kept_and_known_by_host_and_path() {
        let link = |url: &str| ImageSource::of_url(url, "messages[0]").unwrap();
        let signed = link("https://h.example/p/f.png?sig=1&expires=2#x");
        assert_eq!(signed.digest(), link("https://h.example/p/f.png?sig=3").digest());
        assert_ne!(signed.digest(), link("https://h.example/p/g.png?sig=1").digest());
        let ImageSource::Link(kept) = signed else { panic!("{signed:?}") };
        assert_eq!(kept.url, "https://h.example/p/f.png?sig=1&expires=2#x");
        assert_eq!(kept.param, "messages[0]");
        assert!(matches!(link("HTTP://h.example"), ImageSource::Link(_)));
        assert!(matches!(link("data:;base64,iVBORw0KGgo"), ImageSource::Inline(_)));
        let endless = format!("https://h.example/{}", "a".repeat(LONGEST_LINK));
        for url in ["ftp://h.example/a.png", "file:///etc/passwd", "//h.example", "h.example/a.png", "", &endless] {
            assert!(ImageSource::of_url(url, "x").is_err(), "{url}");
        }
    }

    #[test]
    fn what_is_no_image_is_said() {
        let large = format!("data:image/png;base64,{}", "iVBO".repeat(LARGEST_IMAGE / 3 + 2));
        for (uri, complaint) in [
            ("data:image/png,abc", "base64"),
            ("data:image/png;base64", "base64"),
            ("data:image/png;base64,*", "valid base64"),
            ("data:image/png;base64,AAAA", "is not a PNG"),
            ("dat\u{e4}:", "must be a `data:`"),
            (large.as_str(), "larger"),
        ] {
            let error = Image::of_data_uri(uri).unwrap_err();
            assert!(error.contains(complaint), "{}: {error}", &uri[..6.min(uri.len() - 1)]);
        }
    }
}
