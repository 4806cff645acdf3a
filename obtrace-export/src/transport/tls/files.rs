//! A value made of files, which is made again when they have changed.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tracing::{info, warn};

/// The largest file that is read. All that a system trusts is a quarter of a megabyte.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// Makes the value of the files' contents, in their order; or says in which of them is what wrong.
type Make<T> = Box<dyn Fn(&[Vec<u8>]) -> Result<T, (usize, String)> + Send + Sync>;

pub(super) struct Files<T> {
    paths: Vec<PathBuf>,
    make: Make<T>,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: T,
    /// What the value was made of.
    contents: Vec<Vec<u8>>,
    /// What the last attempt failed with, to tell it once.
    failed: Option<String>,
}

impl<T: Clone> Files<T> {
    /// Reads the files; an error is the one of them that is at fault, and why.
    pub(super) fn open(paths: Vec<PathBuf>, make: Make<T>) -> Result<Self, (String, String)> {
        let contents = read(&paths)?;
        let value = make(&contents).map_err(|(at, reason)| (name(&paths, at), reason))?;
        Ok(Self { paths, make, state: Mutex::new(State { value, contents, failed: None }) })
    }

    pub(super) fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// The value as it was last.
    pub(super) fn last(&self) -> T {
        self.lock().value.clone()
    }

    /// The value of what the files hold now; if that cannot be used, of what they held before. Contents are compared and not
    /// times: files are replaced within the grain of a clock.
    pub(super) fn read_again(&self) -> T {
        let mut state = self.lock();
        match self.made(&state.contents) {
            Ok(None) => state.failed = None,
            Ok(Some((value, contents))) => {
                (state.value, state.contents, state.failed) = (value, contents, None);
                info!(files = ?self.paths, "certificates have changed and were read again");
            }
            Err((file, reason)) => {
                if state.failed.as_ref() != Some(&reason) {
                    warn!(file, reason, "a certificate file cannot be used any more, what it held before is");
                    state.failed = Some(reason);
                }
            }
        }
        state.value.clone()
    }

    /// `None` if nothing has changed.
    #[expect(clippy::type_complexity, reason = "what read_again needs, once")]
    fn made(&self, before: &[Vec<u8>]) -> Result<Option<(T, Vec<Vec<u8>>)>, (String, String)> {
        let contents = read(&self.paths)?;
        if contents == before {
            return Ok(None);
        }
        let value = (self.make)(&contents).map_err(|(at, reason)| (name(&self.paths, at), reason))?;
        Ok(Some((value, contents)))
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn name(paths: &[PathBuf], at: usize) -> String {
    paths.get(at).map(|path| super::shown(path)).unwrap_or_default()
}

fn read(paths: &[PathBuf]) -> Result<Vec<Vec<u8>>, (String, String)> {
    paths.iter().map(|path| read_one(path).map_err(|error| (super::shown(path), error.to_string()))).collect()
}

fn read_one(path: &Path) -> io::Result<Vec<u8>> {
    // To open a pipe waits for someone who writes to it.
    let kind = fs::metadata(path)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        return Err(io::Error::other(
            "it is a pipe, a socket or a device; it must be a regular file, to be read again",
        ));
    }
    let mut contents = Vec::new();
    let read = File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut contents)?;
    if u64::try_from(read).is_ok_and(|read| read > MAX_FILE) {
        return Err(io::Error::other("it is larger than 4 MiB"));
    }
    Ok(contents)
}
