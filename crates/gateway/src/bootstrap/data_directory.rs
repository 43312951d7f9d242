//! The data directory: there, private, writable, and ours alone.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::BootstrapError;
use crate::secrets::random_token;
use crate::store::DATABASE_FILE;

/// Held by the running gateway. Much of its state is in memory, so two on one directory would undo each other's work.
const LOCK_FILE: &str = "lock";

/// A data directory that belongs to this process until this value is dropped.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    path: PathBuf,
    _lock: File,
}

impl DataDirectory {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The settings.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.path.join("config.json")
    }

    /// Where log files are.
    pub(crate) fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// Where images that the model made are kept.
    pub(crate) fn images(&self) -> PathBuf {
        self.path.join("images")
    }

    /// The hash of the claim code, while there is one.
    pub(crate) fn claim_file(&self) -> PathBuf {
        self.path.join("claim.hash")
    }
}

/// Makes the directory if need be (readable by its owner only), checks that it can be written to, and takes hold of it.
pub(crate) fn prepare_data_dir(path: &Path) -> Result<DataDirectory, BootstrapError> {
    let problem = |what: &str, error: io::Error| BootstrapError::DataDirectory {
        path: path.to_owned(),
        problem: format!("{what} ({error})"),
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => return Err(problem("the data directory is not a directory", io::ErrorKind::NotADirectory.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            create_private(path).map_err(|error| problem("the data directory cannot be made", error))?;
        }
        Err(error) => return Err(problem("the data directory cannot be read", error)),
    }
    check_writable(path).map_err(|error| problem("the data directory cannot be written to", error))?;
    let lock =
        create_lock(&path.join(LOCK_FILE)).map_err(|error| problem("the data directory cannot be locked", error))?;
    match patiently(|| lock.try_lock()) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(BootstrapError::DataDirectoryInUse { path: path.to_owned() }),
        // Some network file systems have no locks; then nothing stands between two gateways but their operator.
        Err(TryLockError::Error(error)) => {
            tracing::warn!(path = %path.display(), %error, "the data directory cannot be locked; let no other gateway use it");
        }
    }
    #[cfg(unix)]
    tighten(path);
    Ok(DataDirectory { path: path.to_owned(), _lock: lock })
}

/// Names that the gateway makes in its data directory; the database's side files begin with its name.
const OURS: [&str; 8] =
    [LOCK_FILE, "config.json", DATABASE_FILE, "secret.key", "secret.check", "claim.hash", "images", "logs"];

/// Takes a directory from other users of the machine: it holds conversations, and with the key beside it every token. Only where it
/// is ours and holds nothing else; a directory that is used for other things as well is reported, and of it our files alone are closed.
#[cfg(unix)]
fn tighten(path: &Path) {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let Ok(metadata) = fs::metadata(path) else { return };
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return;
    }
    let me = nix::unistd::geteuid().as_raw();
    let is_ours = |name: &str| OURS.iter().any(|ours| name == *ours || name.starts_with(DATABASE_FILE));
    let entries: Vec<_> = fs::read_dir(path).map(|entries| entries.flatten().collect()).unwrap_or_default();
    let (ours, others): (Vec<_>, Vec<_>) =
        entries.into_iter().partition(|entry| entry.file_name().to_str().is_some_and(is_ours));
    let close = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    if metadata.uid() == me && others.is_empty() && mode & 0o1000 == 0 {
        match close(path, 0o700) {
            Ok(()) => {
                tracing::warn!(path = %path.display(), was = format!("{mode:o}"), "other users could read the data directory; it is 700 now")
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "other users can read the data directory; chmod it to 700")
            }
        }
        return;
    }
    tracing::warn!(
        path = %path.display(), mode = format!("{mode:o}"),
        "other users can read the data directory, and it is not the gateway's alone; give it a directory of its own with mode 700"
    );
    for entry in ours {
        let Ok(metadata) = entry.metadata() else { continue };
        let mode = metadata.permissions().mode() & 0o7777;
        if metadata.uid() == me
            && mode & 0o077 != 0
            && !metadata.is_symlink()
            && let Err(error) = close(&entry.path(), mode & !0o077)
        {
            tracing::warn!(path = %entry.path().display(), %error, "other users can read a file of the data directory");
        }
    }
}

/// A gateway that was just killed takes a moment to let go.
fn patiently(mut attempt: impl FnMut() -> Result<(), TryLockError>) -> Result<(), TryLockError> {
    for _ in 0..20 {
        match attempt() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(std::time::Duration::from_millis(50)),
            answered => return answered,
        }
    }
    attempt()
}

fn create_lock(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn check_writable(path: &Path) -> io::Result<()> {
    let probe = path.join(format!(".{}.probe", random_token(6)));
    File::create_new(&probe)?;
    fs::remove_file(probe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_missing_directory_is_made_and_private() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/data");

        let data = prepare_data_dir(&path).unwrap();

        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(data.path(), path);
        let names: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [LOCK_FILE], "the probe is gone");
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_that_others_can_read_is_closed_to_them_where_it_is_ours_alone() {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        // What it holds, its mode, and its mode afterwards.
        for (names, before, after) in [
            (&["grok2api.db", "grok2api.db-wal", "config.json", "logs"][..], 0o755, 0o700),
            (&[], 0o750, 0o700),
            (&["grok2api.db", "somebody-elses"], 0o755, 0o755),
            (&["grok2api.db"], 0o1777, 0o1777),
            (&["grok2api.db"], 0o700, 0o700),
        ] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("data");
            fs::create_dir(&path).unwrap();
            for name in names {
                fs::write(path.join(name), "").unwrap();
                set(&path.join(name), 0o644);
            }
            set(&path, before);
            prepare_data_dir(&path).unwrap();
            assert_eq!(mode(&path), after, "{names:?} {before:o}");
            let database = path.join("grok2api.db");
            if after & 0o077 != 0 && database.exists() {
                assert_eq!(mode(&database), 0o600, "{names:?}: the directory stays open, our file does not");
            }
            if path.join("somebody-elses").exists() {
                assert_eq!(mode(&path.join("somebody-elses")), 0o644, "what is not ours stays as it is");
            }
        }
    }

    #[test]
    fn a_directory_that_cannot_be_used_is_an_error_that_names_it_and_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("below")] {
            let error = prepare_data_dir(&path).unwrap_err().to_string();
            assert!(error.contains(&path.display().to_string()) && error.contains("--data-dir"), "{error}");
        }
    }

    #[test]
    fn two_gateways_cannot_share_a_directory_and_the_second_may_follow_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let first = prepare_data_dir(directory.path()).unwrap();
        assert!(matches!(prepare_data_dir(directory.path()), Err(BootstrapError::DataDirectoryInUse { .. })));
        drop(first);
        assert!(prepare_data_dir(directory.path()).is_ok());
    }
}
