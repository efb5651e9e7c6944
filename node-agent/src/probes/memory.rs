//! Memory that loading took and that nobody needs afterwards.

/// Gives memory that is free inside of the process back to the system: loading reads some 20 MiB of BTF and verifier buffers once.
///
/// Only glibc keeps it by itself; other C libraries give it back when it is freed.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) takes no pointer, and is safe to call from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
