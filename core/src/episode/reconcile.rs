//! Messages become events (chapter 04 §1.5, §1.6).
