//! Whether the runtime of a program keeps a request on one thread.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// Most bytes read of the table of section names.
const MAX_NAMES: u64 = 60 * 1024;

/// Whether a process may go on with a request on another thread than the one it began on, so that its threads say
/// nothing about what belongs together: Go (goroutines), .NET run by `dotnet` (tasks), Erlang and Elixir. A program
/// that cannot be read might.
pub(super) fn moves_work(proc: &Path, pid: u32) -> bool {
    let exe: PathBuf = proc.join(pid.to_string()).join("exe");
    let path = exe.read_link().unwrap_or_default();
    let name = path.file_name().unwrap_or_default();
    name == "dotnet" || name == "beam.smp" || File::open(exe).and_then(|file| is_go(&file)).unwrap_or(true)
}

/// Whether an ELF file was made by Go's linker: it has the table of Go's functions, which no flag leaves out, or the
/// section that `go version` looks for. The names of sections are read and no more.
///
/// Sources: [ELF header](https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html),
/// [debug/gosym](https://pkg.go.dev/debug/gosym), [debug/buildinfo](https://pkg.go.dev/debug/buildinfo).
fn is_go(file: &File) -> io::Result<bool> {
    let names = section_names(file)?;
    let has = |name: &[u8]| names.windows(name.len()).any(|part| part == name);
    Ok(has(b".gopclntab\0") || has(b".go.buildinfo\0"))
}

/// The table of section names of a little-endian ELF file.
fn section_names(file: &File) -> io::Result<Vec<u8>> {
    let mut header = [0; 64];
    file.read_exact_at(&mut header, 0)?;
    let wide = match header {
        [0x7f, b'E', b'L', b'F', class @ (1 | 2), 1, ..] => class == 2,
        _ => return Err(io::ErrorKind::InvalidData.into()),
    };
    // Offset of the section headers, size of one, number of the one that describes the names.
    let (table, size, index) = if wide { (word(&header, 40, 8), 58, 62) } else { (word(&header, 32, 4), 46, 50) };
    let at = word(&header, size, 2).checked_mul(word(&header, index, 2)).and_then(|at| at.checked_add(table));
    let mut section = [0; 40];
    file.read_exact_at(&mut section, at.filter(|_| table != 0).ok_or(io::ErrorKind::InvalidData)?)?;
    let (offset, length) = if wide {
        (word(&section, 24, 8), word(&section, 32, 8))
    } else {
        (word(&section, 16, 4), word(&section, 20, 4))
    };
    let length = usize::try_from(length.min(MAX_NAMES)).unwrap_or_default();
    let mut names = vec![0; length];
    file.read_exact_at(&mut names, offset)?;
    Ok(names)
}

/// A little-endian number of this many bytes; 0 beyond the end.
fn word(bytes: &[u8], at: usize, size: usize) -> u64 {
    let bytes = bytes.get(at..at + size).unwrap_or_default();
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
pub(super) mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    /// An ELF file with nothing but the names of sections.
    pub(in super::super) fn elf(wide: bool, names: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 64];
        file[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', 1 + u8::from(wide), 1, 1]);
        let mut put = |at: usize, value: u8| file[at] = value;
        // Two section headers behind the header, the second one describes the names behind them.
        let size = if wide { 64 } else { 40 };
        for (at, value) in if wide { [(40, 64), (58, size), (62, 1)] } else { [(32, 64), (46, size), (50, 1)] } {
            put(at, value);
        }
        let mut sections = vec![0; 2 * usize::from(size)];
        let second = &mut sections[usize::from(size)..];
        let (offset, length) = if wide { (24, 32) } else { (16, 20) };
        second[offset] = 64 + 2 * size;
        second[length] = u8::try_from(names.len()).unwrap();
        [file, sections, names.to_vec()].concat()
    }

    fn moves(content: &[u8], name: &str) -> bool {
        let root = std::env::temp_dir().join(format!("obtrace-runtime-{}-{name}", std::process::id()));
        fs::create_dir_all(root.join("7")).unwrap();
        fs::write(root.join(name), content).unwrap();
        symlink(root.join(name), root.join("7/exe")).unwrap();
        let moves = moves_work(&root, 7);
        fs::remove_dir_all(root).unwrap();
        moves
    }

    #[test]
    fn go_is_told_by_its_sections() {
        for wide in [true, false] {
            assert!(moves(&elf(wide, b"\0.text\0.gopclntab\0.go.buildinfo\0"), "go"));
            assert!(moves(&elf(wide, b"\0.text\0.data.rel.ro.gopclntab\0"), "pie"));
            assert!(!moves(&elf(wide, b"\0.text\0.rodata\0"), "c"));
        }
    }

    #[test]
    fn some_runtimes_are_told_by_their_name() {
        assert!(moves(&elf(true, b"\0.text\0"), "dotnet") && moves(&elf(true, b"\0.text\0"), "beam.smp"));
    }

    #[test]
    fn this_test_is_no_go_program() {
        assert!(!moves_work(Path::new("/proc"), std::process::id()));
    }

    #[test]
    fn what_cannot_be_read_might() {
        assert!(moves_work(Path::new("/nonexistent"), 7));
        let whole = elf(true, b"\0.text\0.rodata\0");
        for cut in 0..whole.len() {
            assert!(moves(&whole[..cut], "cut"), "{cut} bytes");
        }
        let mut absurd = whole;
        absurd[40..48].fill(0xff);
        assert!(moves(&absurd, "absurd"));
    }
}
