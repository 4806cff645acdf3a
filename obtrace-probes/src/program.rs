//! Loading and attaching one program, with errors that say who can mend them.

use std::io;

use aya::{
    Btf, Ebpf, EbpfError,
    maps::MapError,
    programs::{Program, ProgramError},
};

use crate::error::{Error, tail};

pub(crate) const KERNEL: &str =
    "use a kernel with BTF, the BPF ring buffer and BPF trampolines of Linux 5.12 or newer (or a back-port of them)";

/// What the kernel said, in terms of the crate's own errors.
pub(crate) fn program_error(program: &str, error: ProgramError) -> Error {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => {
            let log = verifier_log.to_string();
            match io_error.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) if log.trim().is_empty() => {
                    Error::permission(format!("loading program {program}"), io_error)
                }
                Some(libc::EAGAIN) => Error::system(format!("loading program {program}"), io_error),
                _ => Error::Verifier { program: program.to_owned(), source: io_error, log: tail(&log) },
            }
        }
        ProgramError::Btf(e) => {
            Error::Unsupported { what: format!("hook of program {program}"), said: e.to_string(), mend: KERNEL }
        }
        ProgramError::SyscallError(e) => Error::system(format!("{} for program {program}", e.call), e.io_error),
        e => Error::object(format_args!("program {program}: {e}")),
    }
}

/// The same for the object as a whole: its maps and its BTF.
pub(crate) fn object_error(error: EbpfError) -> Error {
    match error {
        EbpfError::MapError(MapError::CreateError { name, io_error }) => {
            Error::system(format!("creating map {name}"), io_error)
        }
        EbpfError::MapError(MapError::SyscallError(e)) => Error::system(e.call, e.io_error),
        EbpfError::BtfError(e) => {
            Error::Unsupported { what: "reading the kernel's BTF".to_owned(), said: e.to_string(), mend: KERNEL }
        }
        e => Error::object(e),
    }
}

/// How often a program is offered to the kernel, as by libbpf: the verifier gives up when a signal is pending, which
/// says nothing about the program.
const ATTEMPTS: usize = 5;

/// Loads one program at the hook that its kind implies and its name or `hook` names.
pub(crate) fn load(ebpf: &mut Ebpf, btf: &Btf, name: &str, hook: &str) -> Result<(), Error> {
    let program = ebpf.program_mut(name).ok_or_else(|| Error::object(format_args!("no program {name}")))?;
    let load = || match program {
        Program::BtfTracePoint(p) => Some(p.load(hook, btf)),
        Program::RawTracePoint(p) => Some(p.load()),
        Program::Iter(p) => Some(p.load(hook, btf)),
        Program::FEntry(p) => Some(p.load(hook, btf)),
        Program::FExit(p) => Some(p.load(hook, btf)),
        _ => None,
    };
    again(load, |result| matches!(result, Some(Err(error)) if is_interrupted(error)))
        .ok_or_else(|| Error::object(format_args!("program {name} is of another kind")))?
        .map_err(|e| program_error(name, e))
}

fn is_interrupted(error: &ProgramError) -> bool {
    matches!(error, ProgramError::LoadError { io_error, .. } if io_error.raw_os_error() == Some(libc::EAGAIN))
}

/// The first answer that is not to be tried again, or the last of all.
fn again<T>(mut attempt: impl FnMut() -> T, try_again: impl Fn(&T) -> bool) -> T {
    for _ in 1..ATTEMPTS {
        let answer = attempt();
        if !try_again(&answer) {
            return answer;
        }
    }
    attempt()
}

/// Attaches one loaded program; it stays until the object is dropped.
pub(crate) fn attach(ebpf: &mut Ebpf, name: &str) -> Result<(), Error> {
    let program = ebpf.program_mut(name).ok_or_else(|| Error::object(format_args!("no program {name}")))?;
    match program {
        Program::BtfTracePoint(p) => p.attach().map(drop),
        Program::FEntry(p) => p.attach().map(drop),
        Program::FExit(p) => p.attach().map(drop),
        _ => return Err(Error::object(format_args!("program {name} is of another kind"))),
    }
    .map_err(|e| program_error(name, e))
}

/// Reads an iterator to its end.
pub(crate) fn iterate(ebpf: &mut Ebpf, name: &str) -> Result<Vec<u8>, Error> {
    let Some(Program::Iter(program)) = ebpf.program_mut(name) else {
        return Err(Error::object(format_args!("no iterator {name}")));
    };
    let link = program.attach().map_err(|e| program_error(name, e))?;
    let link = program.take_link(link).map_err(|e| program_error(name, e))?;
    let mut file = link.into_file().map_err(|e| Error::object(format_args!("iterator {name}: {e}")))?;
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut file, &mut bytes).map_err(|e| Error::system(format!("reading iterator {name}"), e))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_tried_again_is_tried_five_times_at_most() {
        for (good_at, tried) in [(1, 1), (3, 3), (5, 5), (9, 5)] {
            let mut count = 0;
            let attempt = || {
                count += 1;
                count
            };
            assert_eq!(again(attempt, |number| *number < good_at), tried);
        }
    }
}
