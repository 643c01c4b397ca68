//! Trace contexts of what an execution calls (chapter 04 §7.3).
