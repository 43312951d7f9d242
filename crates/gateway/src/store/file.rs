//! The database as a file: whose it is, and whether the path still leads to it.

use std::fs::File;
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(any(target_os = "linux", target_os = "android"))]
use nix::{
    fcntl::{FcntlArg, fcntl},
    libc,
};

use super::StoreError;

/// The byte that a running gateway locks: far behind the ones that SQLite locks (from 1 GiB on) and any that it writes.
#[cfg(any(target_os = "linux", target_os = "android"))]
const LOCKED_BYTE: libc::off_t = 1 << 62;

/// Device and inode: what stays the same while a file only changes its content.
pub(super) type FileId = (u64, u64);

/// The files that SQLite keeps beside a database while it is open.
pub(super) type SideFiles = [Option<FileId>; 2];

/// The database file, held by this process until the last copy of this value is dropped.
///
/// The file stays open as long as that. POSIX drops all of a process's locks on a file when the process closes any descriptor of it,
/// and SQLite's own locks are of that kind: drop this only after the last connection is closed.
#[derive(Clone, Debug)]
pub(super) struct DatabaseFile {
    path: PathBuf,
    id: FileId,
    _held: Arc<File>,
}

impl DatabaseFile {
    /// Opens the file, makes it if need be (readable by its owner only; SQLite gives its side files the same mode), and takes
    /// hold of it. Two gateways on one database would undo each other's work, however the second one found it: another data
    /// directory, a link, a lock file that was deleted.
    pub(super) fn hold(path: &Path) -> Result<Self, StoreError> {
        let problem = |error: io::Error| StoreError::Unsupported(format!("{}: {error}", path.display()));
        let mut options = File::options();
        let file = options.create(true).read(true).append(true).mode(0o600).open(path).map_err(problem)?;
        let metadata = file.metadata().map_err(problem)?;
        match lock(&file) {
            Ok(()) => {}
            Err(nix::Error::EAGAIN | nix::Error::EACCES) => {
                return Err(StoreError::InUse { path: path.to_owned() });
            }
            // Some network file systems have no locks; then nothing stands between two gateways but their operator.
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the database cannot be locked; let no other gateway use it");
            }
        }
        Ok(Self { path: path.to_owned(), id: (metadata.dev(), metadata.ino()), _held: Arc::new(file) })
    }

    /// A new file beside it, readable by its owner only: the name with a suffix.
    pub(super) fn new_neighbour(&self, suffix: &str) -> Result<PathBuf, StoreError> {
        let mut path = self.path.clone().into_os_string();
        path.push(".");
        path.push(suffix);
        let path = PathBuf::from(path);
        let made = File::options().write(true).create_new(true).mode(0o600).open(&path);
        made.map_err(|error| StoreError::Unsupported(format!("{}: {error}", path.display())))?;
        Ok(path)
    }

    /// Whether the path still leads to the file that was opened. A deleted file goes on taking writes, which nobody will ever read.
    pub(super) fn is_in_place(&self) -> bool {
        identity(&self.path) == Some(self.id)
    }

    /// The write-ahead log beside it and the log's index, as they are now. Without the index, another program that opens the database
    /// makes a new one, and the two write over each other.
    pub(super) fn side_files(&self) -> SideFiles {
        ["-wal", "-shm"].map(|suffix| {
            let mut path = self.path.clone().into_os_string();
            path.push(suffix);
            identity(Path::new(&path))
        })
    }
}

fn identity(path: &Path) -> Option<FileId> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Whether a running gateway holds the file.
pub(super) fn is_held(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        let mut byte = locked_byte(libc::F_RDLCK);
        fcntl(&file, FcntlArg::F_OFD_GETLK(&mut byte)).is_ok() && byte.l_type != libc::F_UNLCK as libc::c_short
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        drop(file);
        false
    }
}

/// Locks one byte for this open file: such a lock ends with the file's last descriptor, also by `kill -9`, and not when another
/// descriptor of the file is closed.
fn lock(file: &File) -> nix::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return fcntl(file, FcntlArg::F_OFD_SETLK(&locked_byte(libc::F_WRLCK))).map(drop);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = file;
        Err(nix::Error::ENOTSUP)
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn locked_byte(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: LOCKED_BYTE,
        l_len: 1,
        l_pid: 0,
    }
}
