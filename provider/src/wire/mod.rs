//! What travels and what is stored, as text, rows and blobs: pure functions both ways.
//!
//! Readers are tolerant, writers exact (design §8): what is written here equals, byte for byte or
//! column for column, what .NET's provider 2.9.1 writes.

mod columns;
mod error;
mod event;
pub mod filter;
pub mod fuzz;
pub mod history_row;
pub mod instance_row;
mod json;
pub mod large;
pub mod message;
pub mod names;
mod objects;
pub mod rewound;

pub use error::WireError;
pub use event::{history_json, read_history_json};
