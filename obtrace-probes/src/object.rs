//! The compiled BPF objects: shipped with the crate, or built from C by `build.rs`.

/// Gives bytes the alignment that ELF structures need.
#[repr(C, align(8))]
struct Aligned<B: ?Sized>(B);

macro_rules! object {
    ($name:literal) => {{
        static OBJECT: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(env!("OBTRACE_BPF_OBJECTS"), "/", $name)));
        &OBJECT.0
    }};
}

/// The back end by system calls.
pub(crate) fn syscall() -> &'static [u8] {
    object!("syscall.bpf.o")
}

/// The back end at the socket layer.
pub(crate) fn fentry() -> &'static [u8] {
    object!("fentry.bpf.o")
}
