//! The bytes of images, by name. Behind this one type they may lie elsewhere one day; here they are files of a directory.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

/// Files that are being written end in this.
const UNFINISHED: &str = ".new";

/// A cheap handle to the place where images are kept.
#[derive(Clone, Debug)]
pub(crate) struct ImageFiles {
    directory: Arc<PathBuf>,
}

impl ImageFiles {
    /// Keeps images in `directory`, which is made with the first of them.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory: Arc::new(directory) }
    }

    /// Keeps `bytes` under `name`. They are there whole or not at all.
    pub(super) async fn put(&self, name: &str, bytes: Bytes) -> io::Result<()> {
        let (path, directory) = (self.path(name), Arc::clone(&self.directory));
        blocking(move || {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&*directory)?;
            let unfinished = path.with_extension(&UNFINISHED[1..]);
            let written = (|| {
                let mut file =
                    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
                file.write_all(&bytes)?;
                file.sync_all()?;
                fs::rename(&unfinished, &path)
            })();
            if written.is_err() {
                // The room is needed; if it cannot be removed, it is at the next start.
                let _ = fs::remove_file(&unfinished);
            }
            written
        })
        .await
    }

    /// The bytes under `name`; `None` when there are none.
    pub(super) async fn get(&self, name: &str) -> io::Result<Option<Bytes>> {
        let path = self.path(name);
        blocking(move || match fs::read(path) {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    /// Removes what is under these names; what is not there is no mistake.
    pub(super) async fn remove(&self, names: Vec<String>) -> io::Result<()> {
        let paths: Vec<PathBuf> = names.iter().map(|name| self.path(name)).collect();
        blocking(move || {
            let mut outcome = Ok(());
            for path in paths {
                match fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => outcome = Err(error),
                    _ => {}
                }
            }
            outcome
        })
        .await
    }

    /// The names of all that is kept. What was not written to its end before a crash is removed.
    pub(super) async fn names(&self) -> io::Result<Vec<String>> {
        let directory = Arc::clone(&self.directory);
        blocking(move || {
            let entries = match fs::read_dir(&*directory) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
                Err(error) => return Err(error),
            };
            let mut names = Vec::new();
            for entry in entries {
                let entry = entry?;
                match entry.file_name().into_string() {
                    Ok(name) if name.ends_with(UNFINISHED) => fs::remove_file(entry.path())?,
                    Ok(name) => names.push(name),
                    // Not ours.
                    Err(_) => {}
                }
            }
            Ok(names)
        })
        .await
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_are_kept_whole_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let files = ImageFiles::new(directory.path().join("images"));
        assert_eq!(files.names().await.unwrap(), Vec::<String>::new());
        assert_eq!(files.get("a").await.unwrap(), None);
        files.put("a", Bytes::from_static(b"one")).await.unwrap();
        files.put("a", Bytes::from_static(b"two")).await.unwrap();
        assert_eq!(files.get("a").await.unwrap().as_deref(), Some(&b"two"[..]));
        fs::write(directory.path().join("images/b.new"), b"half").unwrap();
        assert_eq!(files.names().await.unwrap(), ["a"]);
        assert!(!directory.path().join("images/b.new").exists(), "what was not finished goes");
        files.remove(vec!["a".to_owned(), "none".to_owned()]).await.unwrap();
        assert_eq!(files.names().await.unwrap(), Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_written_to_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let in_the_way = directory.path().join("images");
        fs::write(&in_the_way, b"a file").unwrap();
        let files = ImageFiles::new(in_the_way);
        assert!(files.put("a", Bytes::from_static(b"one")).await.is_err());
    }
}
