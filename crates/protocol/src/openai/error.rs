//! The error object that OpenAI clients know.

use serde::Serialize;

/// One error. It is written twice, as `error` and as `detail.error`: clients of the project's predecessor read the latter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ErrorObject<'a> {
    /// What happened and what to do.
    pub message: &'a str,
    /// The member `type`, for example `invalid_request_error`.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// The request member at fault.
    pub param: Option<&'a str>,
    /// A constant name of the cause.
    pub code: Option<&'a str>,
    /// The request's id.
    pub request_id: &'a str,
}

impl ErrorObject<'_> {
    /// The body of an error answer.
    pub fn body(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(512);
        self.write(&mut body);
        body
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'a ErrorObject<'a>,
            detail: Detail<'a>,
        }
        #[derive(Serialize)]
        struct Detail<'a> {
            error: &'a ErrorObject<'a>,
        }
        let body = Body { error: self, detail: Detail { error: self } };
        serde_json::to_writer(out, &body).expect("strings into a vector always serialise");
    }
}
