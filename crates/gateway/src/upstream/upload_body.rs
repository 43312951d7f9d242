//! The body of an upload, written piece by piece while it is sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use protocol::rest::Upload;

/// What is left of an upload.
pub(super) struct UploadBody {
    upload: Arc<Upload>,
    next: usize,
    left: u64,
}

impl UploadBody {
    pub(super) fn new(upload: Arc<Upload>) -> Self {
        Self { next: 0, left: upload.length(), upload }
    }
}

impl From<UploadBody> for reqwest::Body {
    fn from(body: UploadBody) -> Self {
        Self::wrap(body)
    }
}

impl Body for UploadBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.upload.piece(self.next);
        self.next += 1;
        Poll::Ready(piece.map(|piece| {
            self.left = self.left.saturating_sub(piece.len() as u64);
            Ok(Frame::data(piece.into()))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
