//! How any lab is driven: one step after the other, each named before it runs, each result reported; and lab 1, which takes no
//! cluster.
//!
//! It is a crate of its own so that program `lab1` needs few others: a student does lab 1 while what the cluster takes compiles.
//!
//! Reading order: [`workshop`] is what steps and checks get, [`steps`], [`check`] and [`labs`] what labs are made of, [`run`] drives
//! them, [`report`] says what became of them. [`lab1`] is a lab; [`handover`] leads to the others.

pub mod caller;
pub mod check;
pub mod cmd;
pub mod diagnostics;
pub mod error;
pub mod finding;
pub mod handover;
pub mod lab1;
pub mod labs;
pub mod live;
pub mod lock;
pub mod outcome;
pub mod ownership;
pub mod probe;
pub mod program;
pub mod report;
pub mod run;
pub mod steps;
pub mod student;
pub mod wait;
pub mod workshop;
