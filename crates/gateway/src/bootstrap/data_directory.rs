//! The data directory: there, private, writable, and ours alone.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::BootstrapError;
use crate::secrets::random_token;

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
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(BootstrapError::DataDirectoryInUse { path: path.to_owned() }),
        // Some network file systems have no locks; then nothing stands between two gateways but their operator.
        Err(TryLockError::Error(error)) => {
            tracing::warn!(path = %path.display(), %error, "the data directory cannot be locked; let no other gateway use it");
        }
    }
    Ok(DataDirectory { path: path.to_owned(), _lock: lock })
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
