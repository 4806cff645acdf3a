//! What a running process shows.
//!
//! [`Process`] holds the evidence, [`inspect`] judges it, without any IO. With the feature `proc`, on Linux, `Reader` and
//! `read` fill a [`Process`] from `/proc`.
//!
//! What counts, and in this order:
//!
//! 1. Programs that are known to run applications of a runtime which they embed: uWSGI, Apache with PHP, FrankenPHP.
//! 2. What compilers leave in the executable: Go's build information, the heap of a GraalVM native image, .NET compiled
//!    ahead of time, `rustc` in `.comment`. A Go program may be called `node`.
//! 3. The executable's name, if its content or a mapped library of the runtime does not speak against it.
//! 4. A runtime's own code in an executable of another name: a renamed `node`, a .NET program in one file.
//! 5. A launcher of the runtime: `libjli.so` beside `libjvm.so`, `libhostpolicy.so` beside `libcoreclr.so`.
//! 6. The title that a process gives itself.
//!
//! A runtime's library in any other program is somebody else's: a debugger with Python inside is no Python program. Where two
//! runtimes are in one process, and neither is known to be the host of the other, the answer is
//! [`Runtime::Unknown`](crate::Runtime::Unknown): a wrong SDK hook costs an outage, an abstention costs nothing.
//!
//! Frameworks are told from the command line, the imports of the script, open archives, mapped assemblies, the modules of a
//! Go program, the crates of a Rust program, and a few variables.

mod agents;
#[cfg(all(feature = "proc", target_os = "linux"))]
mod elf;
#[cfg(all(feature = "proc", target_os = "linux"))]
mod entry;
#[cfg(all(feature = "proc", target_os = "linux"))]
mod error;
mod evidence;
mod framework;
#[cfg(all(feature = "proc", target_os = "linux"))]
mod procfs;
#[cfg(all(feature = "proc", target_os = "linux"))]
mod read;
mod signs;
mod verdict;
mod versions;

pub use self::{
    agents::Agent,
    evidence::{GoBuildInfo, Process, Script},
    verdict::{Inspection, inspect, verdict},
    versions::Libc,
};
#[cfg(all(feature = "proc", target_os = "linux"))]
pub use self::{
    elf::Executable,
    error::{ProcessError, ProcessErrorKind},
    read::{Reader, read},
};

#[cfg(test)]
mod tests;
