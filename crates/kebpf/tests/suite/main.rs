//! kebpf's tests, one binary: the graph of Bookinfo as three nodes of one kernel count it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on fails")]

mod access;
mod authority;
mod bookinfo;
mod fakes;
mod graph;
mod identity;
mod program;
mod role;
mod running;
mod server;
