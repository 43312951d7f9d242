//! The two ways of speaking to the upstream.

use serde::Serialize;
use utoipa::ToSchema;

/// What a turn goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Transport {
    Websocket,
    Rest,
}

impl Transport {
    /// The name in logs, metrics, tables and answers.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Websocket => "websocket",
            Self::Rest => "rest",
        }
    }

    /// The transport of a label.
    pub(crate) fn of_label(label: &str) -> Option<Self> {
        [Self::Websocket, Self::Rest].into_iter().find(|transport| transport.label() == label)
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Websocket => Self::Rest,
            Self::Rest => Self::Websocket,
        }
    }
}
