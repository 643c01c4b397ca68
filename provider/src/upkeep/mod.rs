//! What keeps a hub tidy without anybody asking: retention and the sweeper (design.md §8).

pub(crate) mod pace;
