//! What the allocator of this process has given out: Rust's, SQLite's and all other memory.

/// Bytes of the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heap {
    /// Given out and not given back.
    pub live: usize,
    /// Kept by the allocator for later.
    pub spare: usize,
}

impl Heap {
    /// As it is now; `None` where the C library does not tell.
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[allow(unsafe_code, reason = "a call of the C library without arguments")]
    pub fn now() -> Option<Self> {
        // SAFETY: mallinfo2 takes no arguments, locks each arena that it looks at, and returns
        // numbers (mallinfo(3)).
        let seen = unsafe { libc::mallinfo2() };
        Some(Self {
            live: seen.uordblks + seen.hblkhd,
            spare: seen.fordblks,
        })
    }

    /// As it is now; `None` where the C library does not tell.
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    pub fn now() -> Option<Self> {
        None
    }
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_out_counts() {
        // Much more than what other tests take and give back meanwhile.
        let (before, bytes) = (Heap::now().unwrap(), 1 << 30);
        let memory = std::hint::black_box(vec![0_u8; bytes]);
        let during = Heap::now().unwrap();
        assert!(during.live > before.live + bytes / 2);
        drop(memory);
        assert!(Heap::now().unwrap().live + bytes / 2 < during.live);
    }
}
