//! The one place that knows which settings are in force, reads the file and writes it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Settings;
use super::document::{self, Document, DocumentError};
use super::fields::{Field, FieldError};
use super::masking;
use crate::clock::Clock;
use crate::secrets::{hash_secret, random_token, write_private};

/// A file changed this recently may change again within one tick of a coarse file clock, so its time proves nothing yet.
const FRESH_MS: i64 = 3_000;

/// Hexadecimal digits of a version.
const VERSION_LENGTH: usize = 16;

/// Why settings could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The change asked for is not valid.
    #[error("{}", document::sentence(fields))]
    Invalid { fields: Vec<FieldError> },
    /// The caller's version is not the present one.
    #[error("the settings have changed in the meantime; the present version is {current}")]
    VersionMismatch { current: String },
    /// The file holds something that cannot be used, so nothing may be written over it either.
    #[error("{} cannot be used: {problem}. Correct the file, or delete it to start from the defaults", path.display())]
    File { path: PathBuf, problem: String },
    /// The file could not be written; nothing has changed.
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// A cheap handle to the settings.
#[derive(Clone, Debug)]
pub(crate) struct SettingsHandle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    clock: Clock,
    /// Mixed into versions: without it, a version would let its reader test guesses at a short secret.
    salt: String,
    snapshot: ArcSwap<Snapshot>,
    file: Mutex<FileState>,
    version: watch::Sender<String>,
}

#[derive(Debug)]
struct Snapshot {
    settings: Arc<Settings>,
    document: Document,
    version: String,
}

/// What was last seen of the file. Its lock is also what puts changes in a row.
#[derive(Debug, Default)]
struct FileState {
    stamp: Option<Stamp>,
    bytes_hash: String,
    /// What is wrong with the file as it is now.
    refusal: Option<String>,
    /// Unknown names already warned about.
    warned: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified_ms: i64,
}

impl SettingsHandle {
    /// Reads the file, or writes one with the defaults if there is none. A file that cannot be used is an error that says what
    /// is wrong in it; it is left as it is.
    pub(crate) fn open(path: &Path, clock: Clock) -> Result<Self, SettingsError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let bytes = document::text_of(&document::first_document()).into_bytes();
                write_file(path, &bytes)?;
                bytes
            }
            Err(error) => return Err(file_error(path, error.to_string())),
        };
        let (document, settings) = read(&bytes).map_err(|error| file_error(path, error.to_string()))?;
        keep_private(path);
        let salt = random_token(16);
        let version = version_of(&salt, &document);
        let mut file =
            FileState { stamp: Stamp::of(path).ok(), bytes_hash: hash_secret(&bytes), ..FileState::default() };
        file.warn_about_unknown(path, &document);
        let snapshot = Snapshot { settings: Arc::new(settings), document, version: version.clone() };
        let shared = Shared {
            path: path.to_owned(),
            clock,
            salt,
            snapshot: ArcSwap::from_pointee(snapshot),
            file: Mutex::new(file),
            version: watch::Sender::new(version),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The settings in force. Take them once per request and keep them.
    pub(crate) fn current(&self) -> Arc<Settings> {
        Arc::clone(&self.shared.snapshot.load().settings)
    }

    /// Names the state of the document; another document has another version. Outside of tests it is told with the values.
    #[cfg(test)]
    pub(crate) fn version(&self) -> String {
        self.shared.snapshot.load().version.clone()
    }

    /// Tells of every change, by its version.
    pub(crate) fn subscribe(&self) -> watch::Receiver<String> {
        self.shared.version.subscribe()
    }

    /// The values in force with their version, secrets masked: what may be shown.
    pub(crate) fn shown(&self) -> (Document, String) {
        let snapshot = self.shared.snapshot.load();
        (masking::masked(&document::values_of(&snapshot.settings)), snapshot.version.clone())
    }

    /// The values of a fresh installation.
    pub(crate) fn defaults() -> Document {
        document::values_of(&Settings::default())
    }

    /// Lays a JSON merge patch over the settings, checks the whole, writes the file and puts it in force. `if_match` is the
    /// version that the caller saw. Waits for the disk: call it where blocking is allowed.
    pub(crate) fn patch(&self, merge_patch: &Value, if_match: Option<&str>) -> Result<Arc<Settings>, SettingsError> {
        self.change(if_match, patched_by(merge_patch))
    }

    /// Gives the named settings their defaults. Waits for the disk, as [`SettingsHandle::patch`] does.
    pub(crate) fn reset(&self, names: &[String], if_match: Option<&str>) -> Result<Arc<Settings>, SettingsError> {
        self.change(if_match, |snapshot| {
            let unknown = names.iter().enumerate().filter(|(_, name)| Field::named(name).is_none());
            let errors: Vec<FieldError> = unknown
                .map(|(index, _)| FieldError::new(format!("/keys/{index}"), "unknown", json!({}), "is not a setting"))
                .collect();
            if !errors.is_empty() {
                return Err(errors);
            }
            let mut document = snapshot.document.clone();
            document.retain(|name, _| !names.contains(name));
            Ok(document)
        })
    }

    /// What stands in the file, secrets included: for keeping it, never for showing it.
    pub(super) fn document(&self) -> Document {
        self.shared.snapshot.load().document.clone()
    }

    /// Puts a whole document in the place of the present one.
    pub(super) fn replace(&self, document: Document, if_match: Option<&str>) -> Result<Arc<Settings>, SettingsError> {
        self.change(if_match, |_| Ok(document))
    }

    /// The settings as they would be with a merge patch over them, for trying something out before it is saved. Changes nothing.
    pub(crate) fn with(&self, merge_patch: &Value) -> Result<Settings, SettingsError> {
        let invalid = |fields| SettingsError::Invalid { fields };
        let document = patched_by(merge_patch)(&self.shared.snapshot.load()).map_err(invalid)?;
        document::settings_of(&document).map_err(invalid)
    }

    /// What is wrong with the file as it is now, if something is; then it waits for a person.
    pub(crate) fn refusal(&self) -> Option<String> {
        self.lock_file().refusal.clone()
    }

    /// Looks at the file once and takes a change made by hand. A file that is not valid is refused with a log line, once, and
    /// the settings in force stay. Cheap when nothing changed; meant to be called every few seconds.
    pub(crate) fn poll(&self) {
        self.look(&mut self.lock_file());
    }

    fn change(
        &self,
        if_match: Option<&str>,
        make: impl FnOnce(&Snapshot) -> Result<Document, Vec<FieldError>>,
    ) -> Result<Arc<Settings>, SettingsError> {
        let mut file = self.lock_file();
        // A hand edit that nobody looked at yet must not be lost under what is written now.
        self.look(&mut file);
        if let Some(problem) = &file.refusal {
            return Err(file_error(&self.shared.path, problem.clone()));
        }
        let snapshot = self.shared.snapshot.load_full();
        if if_match.is_some_and(|version| version != snapshot.version) {
            return Err(SettingsError::VersionMismatch { current: snapshot.version.clone() });
        }
        let invalid = |fields| SettingsError::Invalid { fields };
        let document = make(&snapshot).map_err(invalid)?;
        let settings = document::settings_of(&document).map_err(invalid)?;
        if document == snapshot.document {
            return Ok(Arc::clone(&snapshot.settings));
        }
        let bytes = document::text_of(&document).into_bytes();
        write_file(&self.shared.path, &bytes)?;
        file.stamp = Stamp::of(&self.shared.path).ok();
        file.bytes_hash = hash_secret(&bytes);
        Ok(self.publish(document, settings))
    }

    fn look(&self, file: &mut FileState) {
        let path = &self.shared.path;
        match self.read_if_changed(file) {
            Ok(None) => {}
            Ok(Some(bytes)) => match read(&bytes) {
                Ok((document, settings)) => {
                    keep_private(path);
                    file.warn_about_unknown(path, &document);
                    if file.refusal.take().is_some() {
                        tracing::info!(path = %path.display(), "the settings file can be used again");
                    }
                    self.publish(document, settings);
                }
                Err(error) => file.refuse(path, error.to_string()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                // A deleted file is no edit: the settings stay, and the next change writes the file anew.
                if file.stamp.take().is_some() {
                    tracing::warn!(path = %path.display(), "the settings file is gone; the settings in force stay");
                }
                file.refusal = None;
                file.bytes_hash.clear();
            }
            Err(error) => file.refuse(path, error.to_string()),
        }
    }

    fn read_if_changed(&self, file: &mut FileState) -> io::Result<Option<Vec<u8>>> {
        let stamp = Stamp::of(&self.shared.path)?;
        if file.stamp == Some(stamp) && self.shared.clock.now_ms() - stamp.modified_ms > FRESH_MS {
            return Ok(None);
        }
        let bytes = fs::read(&self.shared.path)?;
        let hash = hash_secret(&bytes);
        file.stamp = Some(stamp);
        if file.bytes_hash == hash {
            return Ok(None);
        }
        file.bytes_hash = hash;
        Ok(Some(bytes))
    }

    /// Puts a checked document in force.
    fn publish(&self, document: Document, settings: Settings) -> Arc<Settings> {
        let before = self.shared.snapshot.load_full();
        let settings = Arc::new(settings);
        let version = version_of(&self.shared.salt, &document);
        if version == before.version {
            return Arc::clone(&before.settings);
        }
        let (old, new) = (document::values_of(&before.settings), document::values_of(&settings));
        let changed: Vec<&str> =
            new.iter().filter(|(name, value)| old.get(*name) != Some(*value)).map(|(name, _)| name.as_str()).collect();
        let snapshot = Snapshot { settings: Arc::clone(&settings), document, version: version.clone() };
        self.shared.snapshot.store(Arc::new(snapshot));
        self.shared.version.send_replace(version);
        tracing::info!(changed = changed.join(","), "settings changed");
        settings
    }

    fn lock_file(&self) -> MutexGuard<'_, FileState> {
        // What the lock guards is only what was seen of the file; a panic elsewhere cannot leave it half changed.
        self.shared.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lays a merge patch over what is in force.
fn patched_by(merge_patch: &Value) -> impl FnOnce(&Snapshot) -> Result<Document, Vec<FieldError>> {
    |snapshot| {
        let Value::Object(patch) = merge_patch else {
            let params = json!({ "expected": "object" });
            return Err(vec![FieldError::new("", "type", params, "must be an object of settings")]);
        };
        let patch = masking::without_repetition(patch, &document::values_of(&snapshot.settings))?;
        document::patched(&snapshot.document, &patch)
    }
}

impl FileState {
    fn refuse(&mut self, path: &Path, problem: String) {
        if self.refusal.as_ref() != Some(&problem) {
            tracing::error!(path = %path.display(), %problem, "the settings file cannot be used; the settings in force stay");
        }
        self.refusal = Some(problem);
    }

    fn warn_about_unknown(&mut self, path: &Path, document: &Document) {
        for name in document::unknown_names(document) {
            if self.warned.insert(name.to_owned()) {
                tracing::warn!(path = %path.display(), name, "the settings file holds a name that is not a setting; it is kept");
            }
        }
    }
}

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        let since =
            metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH).duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Self { length: metadata.len(), modified_ms: i64::try_from(since.as_millis()).unwrap_or(i64::MAX) })
    }
}

fn read(bytes: &[u8]) -> Result<(Document, Settings), DocumentError> {
    let document = document::parse(bytes)?;
    let settings = document::settings_of(&document).map_err(DocumentError::Fields)?;
    Ok((document, settings))
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), SettingsError> {
    write_private(path, bytes).map_err(|source| SettingsError::Write { path: path.to_owned(), source })
}

fn file_error(path: &Path, problem: String) -> SettingsError {
    SettingsError::File { path: path.to_owned(), problem }
}

fn version_of(salt: &str, document: &Document) -> String {
    let mut version = hash_secret(format!("{salt}{}", document::text_of(document)));
    version.truncate(VERSION_LENGTH);
    version
}

/// The file may hold a proxy's password; an editor or a deployment may have left it open to everybody.
fn keep_private(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let private = |mode: u32| mode & 0o077 == 0;
        let result = fs::metadata(path).and_then(|metadata| {
            if private(metadata.permissions().mode()) {
                return Ok(());
            }
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        });
        if let Err(error) = result {
            tracing::warn!(path = %path.display(), %error, "the settings file can be read by others, and that cannot be changed");
        }
    }
}

#[cfg(test)]
#[path = "handle_tests.rs"]
mod tests;
