//! What every program here owes whoever uses it: words of strangers are shown and not obeyed, a reader who has seen enough is no
//! error, and what root does in somebody's folders it does with that user's rights. `bee`, `lab` and `xtask` have it from here.

mod escape;
pub mod print;
pub mod rights;
pub mod verbose;

pub use escape::{escaped, escaped_json, escaped_lines};
