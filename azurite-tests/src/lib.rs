//! End to end on Azurite: the emulator for tests, and what tests need around it.
//!
//! ```no_run
//! # async fn test() {
//! let connection = azurite_tests::azurite::connection().await;
//! let hub = azurite_tests::unique_hub("hello");
//! # }
//! ```

pub mod azurite;
mod dice;
pub mod extension;
mod names;
mod owners;
mod skew;
mod verdict;
mod waiting;

pub use dice::Dice;
pub use durabletask_catalogue as catalogue;
pub use names::{unique_hub, unique_name};
pub use owners::{is_even, owners};
pub use skew::system_with_clock_off;
pub use verdict::Verdict;
pub use waiting::eventually;
