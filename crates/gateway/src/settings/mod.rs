//! The hot configuration: everything an operator may change while the service runs.
//!
//! The values live in `config.json` in the data directory and nowhere else. They change through the admin API or through an
//! editor; either way a change takes effect at once and as a whole: a request reads one snapshot at its start and keeps it. A
//! file that is not valid is refused with the path of what is wrong in it, and the last good snapshot stays in force. Keys that
//! this version does not know are kept when the file is written.

mod address;
mod document;
mod fields;
mod handle;
mod history;
mod masking;
mod models;
mod openapi;
mod schema;
mod table;
mod values;

#[cfg(feature = "fuzzing")]
pub(crate) use address::fuzz as fuzz_address;
pub(crate) use address::{Network, WebAddress};
#[cfg(feature = "fuzzing")]
pub(crate) use document::fuzz as fuzz_document;
pub(crate) use fields::FieldError;
pub(crate) use handle::{SettingsError, SettingsHandle};
pub(crate) use history::{FILE, HistoryError, SettingChange, SettingsHistory};
pub(crate) use models::NamedModel;
pub(crate) use openapi::{SettingsPatch, SettingsValues};
pub(crate) use schema::{Schema, SettingView, schema, search_settings};
pub(crate) use values::{ReasoningFormat, Settings, ShareMode, UpstreamTransport};
