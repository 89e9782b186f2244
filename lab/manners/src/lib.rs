//! What every program here owes whoever uses it: words of strangers are shown and not obeyed, and a reader who has seen enough is no
//! error. `bee`, `lab` and `xtask` have it from here.

mod escape;
pub mod print;

pub use escape::{escaped, escaped_json, escaped_lines};
