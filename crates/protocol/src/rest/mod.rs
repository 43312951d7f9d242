//! The REST dialect of the upstream: requests as path and body, answers as events and values (UPSTREAM.md 3 to 13).

pub mod answer;
mod chunk;
pub mod decode;
mod payload;
pub mod request;

pub use answer::{
    Account, ClonedConversation, InFlightResponse, RateLimits, ReadError, ResponseNode, ResponseNodes, StoredResponse,
    Uploaded, read_account, read_clone, read_rate_limits, read_response_nodes, read_responses, read_share, read_tier,
    read_upload, read_upload_direct, stored_answer_frame,
};
pub use decode::decode;
pub use request::{
    Method, Route, Upload, account, chat, clone_share, delete_softly, load_responses, rate_limits, reconnect,
    response_node, share, subscriptions, upload, upload_direct,
};
