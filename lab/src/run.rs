//! Drives labs and checks, and reports.
