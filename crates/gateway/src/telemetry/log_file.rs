//! The log file: lines go through a bounded queue to a thread of their own, so that a slow or full disk holds nobody up. What does
//! not fit is dropped and counted.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tracing_subscriber::fmt::MakeWriter;

/// Lines that may wait: at a few hundred bytes each, about two megabytes.
const QUEUE: usize = 8_192;

/// Files kept beside the current one.
const OLD_FILES: u32 = 4;

/// Longest line kept whole; longer ones are cut.
const LINE: usize = 64 * 1024;

const MEGABYTE: u64 = 1024 * 1024;

const NAME: &str = "grok2api.log";

/// Where lines go; a clone is the writer of one layer. Until a file is opened they go nowhere.
#[derive(Clone, Default)]
pub(super) struct LogFile {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    open: Mutex<Option<Open>>,
    dropped: AtomicU64,
    /// Size at which a file is put aside.
    most_bytes: AtomicU64,
}

struct Open {
    queue: SyncSender<Box<[u8]>>,
    thread: JoinHandle<()>,
}

impl LogFile {
    /// Opens (or goes on with) the file in `directory`, which is made if need be.
    pub(super) fn open(&self, directory: &Path, most_mb: u64) -> io::Result<()> {
        self.limit(most_mb);
        create_private(directory)?;
        let path = directory.join(NAME);
        let file = append(&path)?;
        let (queue, lines) = sync_channel(QUEUE);
        let shared = Arc::clone(&self.shared);
        let writer = Rotating { size: file.metadata()?.len(), file: Some(file), path };
        let thread =
            std::thread::Builder::new().name("log-file".to_owned()).spawn(move || run(writer, &lines, &shared))?;
        self.close();
        *self.open_slot() = Some(Open { queue, thread });
        Ok(())
    }

    /// Sets the size at which a file is put aside.
    pub(super) fn limit(&self, most_mb: u64) {
        self.shared.most_bytes.store(most_mb.saturating_mul(MEGABYTE), Ordering::Relaxed);
    }

    /// Lines that could not be written.
    pub(super) fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Writes what waits and lets the file go.
    pub(super) fn close(&self) {
        let open = self.open_slot().take();
        if let Some(Open { queue, thread }) = open {
            drop(queue);
            // A panic there has been told already.
            let _ = thread.join();
        }
    }

    fn open_slot(&self) -> std::sync::MutexGuard<'_, Option<Open>> {
        self.shared.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes one line; the formatter hands it over in one piece.
impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(open) = &*self.open_slot()
            && open.queue.try_send(line[..line.len().min(LINE)].into()).is_err()
        {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Writes lines until nobody sends any more.
fn run(mut writer: Rotating, lines: &Receiver<Box<[u8]>>, shared: &Shared) {
    let mut batch = Vec::new();
    while let Ok(line) = lines.recv() {
        batch.extend_from_slice(&line);
        let mut count = 1;
        while batch.len() < LINE
            && let Ok(line) = lines.try_recv()
        {
            batch.extend_from_slice(&line);
            count += 1;
        }
        if writer.write(&batch, shared.most_bytes.load(Ordering::Relaxed)).is_err() {
            shared.dropped.fetch_add(count, Ordering::Relaxed);
        }
        batch.clear();
    }
}

/// The current file; when it is full it becomes number 1, number 1 becomes number 2, and the oldest goes.
struct Rotating {
    path: PathBuf,
    /// `None` after a failure: the next lines try again.
    file: Option<File>,
    size: u64,
}

impl Rotating {
    fn write(&mut self, lines: &[u8], most_bytes: u64) -> io::Result<()> {
        if self.size > 0 && self.size + lines.len() as u64 > most_bytes {
            self.rotate()?;
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let file = append(&self.path)?;
                self.size = file.metadata()?.len();
                self.file.insert(file)
            }
        };
        let written = file.write_all(lines);
        match written {
            Ok(()) => self.size += lines.len() as u64,
            Err(_) => self.file = None,
        }
        written
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        let numbered = |number: u32| self.path.with_file_name(format!("{NAME}.{number}"));
        for number in (1..OLD_FILES).rev() {
            let (from, to) = (numbered(number), numbered(number + 1));
            if from.exists() {
                fs::rename(from, to)?;
            }
        }
        fs::rename(&self.path, numbered(1))?;
        self.size = 0;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(directory: &Path) -> Vec<(String, u64)> {
        let mut files: Vec<(String, u64)> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), entry.metadata().unwrap().len()))
            .collect();
        files.sort();
        files
    }

    #[test]
    fn a_full_file_is_put_aside_and_the_oldest_goes() {
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path().join("logs");
        let file = LogFile::default();
        file.open(&logs, 1).unwrap();
        let queue = file.open_slot().as_ref().unwrap().queue.clone();
        let line: Box<[u8]> = [&[b'x'; 1_023][..], b"\n"].concat().into();
        // Ten files' worth, waiting for room in the queue.
        for _ in 0..10 * 1_024 {
            queue.send(line.clone()).unwrap();
        }
        drop(queue);
        file.close();
        assert_eq!(file.dropped(), 0);
        let files = sizes(&logs);
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["grok2api.log", "grok2api.log.1", "grok2api.log.2", "grok2api.log.3", "grok2api.log.4"]);
        for (name, size) in &files {
            assert!(*size <= MEGABYTE, "{name}: {size}");
            assert_eq!(size % 1_024, 0, "{name}: a line was torn");
        }
    }

    #[test]
    fn a_restart_goes_on_with_the_file_and_a_smaller_limit_counts_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = LogFile::default();
        file.write_all(b"before there is a file\n").unwrap();
        file.open(directory.path(), 10).unwrap();
        file.write_all(b"first\n").unwrap();
        file.close();
        file.write_all(b"after it was closed\n").unwrap();
        file.open(directory.path(), 10).unwrap();
        file.write_all(b"second\n").unwrap();
        file.close();
        assert_eq!(fs::read_to_string(directory.path().join(NAME)).unwrap(), "first\nsecond\n");

        file.open(directory.path(), 10).unwrap();
        file.limit(0);
        file.write_all(b"third\n").unwrap();
        file.close();
        assert_eq!(fs::read_to_string(directory.path().join(NAME)).unwrap(), "third\n");
        assert_eq!(fs::read_to_string(directory.path().join("grok2api.log.1")).unwrap(), "first\nsecond\n");
    }

    #[test]
    fn a_writer_that_does_not_keep_up_costs_lines_and_never_time() {
        // A queue that nobody empties stands for a disk that hangs.
        let mut file = LogFile::default();
        let (queue, _lines) = sync_channel(2);
        *file.open_slot() = Some(Open { queue, thread: std::thread::spawn(|| {}) });
        for _ in 0..5 {
            file.write_all(b"line\n").unwrap();
        }
        assert_eq!(file.dropped(), 3);
    }

    #[cfg(unix)]
    #[test]
    fn the_files_are_their_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let logs = directory.path().join("logs");
        let file = LogFile::default();
        file.open(&logs, 1).unwrap();
        file.close();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&logs), mode(&logs.join(NAME))), (0o700, 0o600));
    }
}
