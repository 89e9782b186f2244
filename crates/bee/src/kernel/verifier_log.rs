//! What the kernel's verifier finds wrong with a program, out of all that libbpf says while it loads one: errors have only numbers,
//! and the number of a program at fault is that of a kernel or a user without the right.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Once, OnceLock};

use crate::atomic_file::Draft;
use crate::c_format;

/// The most that is kept of what libbpf says; the verifier's own words come last.
const KEPT: usize = 1 << 18;
/// The most warnings, and bytes of one. The last ones are kept.
const WARNINGS_KEPT: usize = 64;
const WARNING: usize = 4096;

thread_local! {
    /// libbpf calls back on the thread that called it.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
    /// Of that the warnings, which name what failed.
    static WARNINGS: RefCell<VecDeque<String>> = const { RefCell::new(VecDeque::new()) };
}

/// Keeps what libbpf says instead of printing it. It speaks of what bee tries on purpose: variants that do not load, ring buffers
/// without types. [`write_to`] lets somebody read it all the same.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| c_format::listen(keep));
}

/// The end of what is said: the verifier's walk through a large program has megabytes, and its reason comes last.
fn keep(message: &str, is_warning: bool) {
    if let Some(mut log) = LOG.get() {
        // A full disk is no reason not to run.
        let _ = log.write_all(message.as_bytes());
    }
    let end = &message[message.ceil_char_boundary(message.len().saturating_sub(KEPT))..];
    SAID.with_borrow_mut(|said| {
        if said.len() + end.len() > KEPT {
            said.clear();
        }
        said.push_str(end);
    });
    if is_warning {
        WARNINGS.with_borrow_mut(|warnings| {
            if warnings.len() == WARNINGS_KEPT {
                warnings.pop_front();
            }
            warnings.push_back(message[..message.floor_char_boundary(WARNING)].to_owned());
        });
    }
}

/// Writes what libbpf says from now on to a file, in place of what has its name.
pub fn write_to(file: &Path) -> io::Result<()> {
    // A process runs its probes once.
    let _ = LOG.set(Draft::new(file)?.publish()?);
    Ok(())
}

static LOG: OnceLock<File> = OnceLock::new();

/// What is wrong with the program that has just failed to load, if it was the verifier that refused it.
pub fn complaint() -> Option<String> {
    complaint_in(&SAID.take())
}

/// Whether the verifier's complaint is of something that newer kernels know.
pub fn is_unknown_to_the_kernel(complaint: &str) -> bool {
    ["unknown func ", "invalid func unknown", "unknown opcode"].iter().any(|words| complaint.contains(words))
}

/// What libbpf has warned of since it was forgotten.
pub fn warnings() -> Vec<String> {
    WARNINGS.take().into()
}

/// Lets go of what was said so far.
pub fn forget() {
    SAID.take();
    WARNINGS.take();
}

/// The log is the verifier's walk through the program: instructions, the source lines they come from after a `;`, and at the place
/// where it stops the reason.
fn complaint_in(said: &str) -> Option<String> {
    // A long one has lost its beginning.
    let log = said.rsplit_once("-- BEGIN PROG LOAD LOG --").map_or(said, |(_, log)| log);
    let (walk, summary) = log.split_once("\nprocessed ")?;
    // Without an instruction looked at, it was not the program.
    if summary.starts_with("0 ") {
        return None;
    }
    let reason = walk.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    let source = walk.lines().rev().find_map(|line| line.strip_prefix("; "));
    let source = source.map(|source| format!(", at `{}`", source.trim())).unwrap_or_default();
    Some(format!("the verifier refuses the program: {reason}{source}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifiers_reason_stands_before_its_summary_and_names_the_source() {
        let said = "libbpf: prog 'watch': BPF program load failed: Permission denied\nlibbpf: prog 'watch': -- BEGIN PROG LOAD LOG --\n\
                    0: R1=ctx() R10=fp0\n; __u64 *calls = bpf_map_lookup_elem(&counter_calls, &first); @ probe.c:9\n\
                    7: (85) call bpf_map_lookup_elem#1\n; *calls += 1; @ probe.c:11\n8: (79) r1 = *(u64 *)(r0 +0)\n\
                    R0 invalid mem access 'map_value_or_null'\nprocessed 9 insns (limit 1000000) max_states_per_insn 0\n-- END PROG LOAD LOG --\n";
        assert_eq!(
            complaint_in(said).as_deref(),
            Some(
                "the verifier refuses the program: R0 invalid mem access 'map_value_or_null', at `*calls += 1; @ probe.c:11`"
            )
        );
    }

    #[test]
    fn of_a_walk_that_is_longer_than_what_is_kept_the_end_is() {
        keep(
            &format!("-- BEGIN PROG LOAD LOG --\n{}\nR0 is too big\nprocessed 9 insns\n", "é; step\n".repeat(KEPT)),
            true,
        );
        assert!((KEPT - 1..=KEPT).contains(&SAID.with_borrow(String::len)));
        assert!(complaint().is_some_and(|why| why.contains("the program: R0 is too big")));
    }

    #[test]
    fn a_kernel_that_does_not_get_to_look_has_no_complaint() {
        let unsupported = "-- BEGIN PROG LOAD LOG --\nFENTRY is not supported\nprocessed 0 insns (limit 1000000)\n-- END PROG LOAD LOG --\n";
        assert_eq!(complaint_in(unsupported), None);
        assert_eq!(complaint_in("libbpf: failed to find kernel BTF type ID of 'x': -3\n"), None);
    }
}
