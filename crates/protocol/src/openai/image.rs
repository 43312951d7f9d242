//! Images in a message: the bytes of a data URI, typed by what they are and not by what they are called.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::STANDARD};

use crate::history::Hash;

/// The largest image that is taken.
pub const LARGEST_IMAGE: usize = 20 * 1024 * 1024;

/// Clients leave the padding out.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An image that came with a message. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    kind: ImageKind,
    bytes: Arc<[u8]>,
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
        Some(Self { kind, digest: Hash::of(&[b"image", &bytes]), bytes: bytes.into() })
    }

    /// Reads a `data:` URI; says what is wrong with it.
    pub(super) fn of_data_uri(uri: &str) -> Result<Self, String> {
        let content = uri.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:")).and(uri.get(5..));
        let Some((head, content)) = content.and_then(|uri| uri.split_once(',')) else {
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
        match self.kind {
            ImageKind::Png => "image/png",
            ImageKind::Jpeg => "image/jpeg",
            ImageKind::Gif => "image/gif",
            ImageKind::Webp => "image/webp",
        }
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

    /// The bytes in base64.
    #[must_use]
    pub fn base64(&self) -> String {
        STANDARD.encode(&self.bytes)
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
        assert_eq!(image.base64(), "iVBORw0KGgo=");
        for same in ["DATA:image/png;charset=x;BASE64,iVBORw0K\nGgo=", "data:;base64,iVBORw0KGgo"] {
            assert_eq!(Image::of_data_uri(same).as_ref(), Ok(&image), "{same}");
        }
        let other = Image::of_data_uri("data:image/gif;base64,R0lGODlhAA==").unwrap();
        assert_eq!(other.media_type(), "image/gif");
        assert_ne!(other.digest(), image.digest());
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
