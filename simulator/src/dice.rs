//! Random numbers by key, so that leaving out one fault changes no other draw.

/// A stream of random numbers (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The stream of `seed` for the `n`-th thing of that kind.
    pub(crate) fn of(seed: u64, kind: &str, n: u64) -> Self {
        let mut hash = fnv::FnvHasher::with_key(seed ^ 0xcbf2_9ce4_8422_2325);
        std::hash::Hasher::write(&mut hash, kind.as_bytes());
        std::hash::Hasher::write(&mut hash, &n.to_le_bytes());
        Self(std::hash::Hasher::finish(&hash))
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
