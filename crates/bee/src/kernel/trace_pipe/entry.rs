//! Entries of a trace buffer as the kernel writes them in text:
//!
//! ```text
//!             curl-7759    [000] ...2. 31066.594289: bpf_trace_printk: hello 1
//!             curl-7759    [000] ...2. 31066.595337: <stack trace>
//!  => bpf_trace_printk <ffffffff814bd93d>
//!  => bpf_prog_35d3a5ea4a0e9ddc_watch <ffffffffc00220e8>
//! ```
//!
//! Another CPU's entry may stand between the two. What a program says may have several lines, and look like anything.

use std::collections::BTreeMap;
use std::mem;

/// The most of one text; the kernel's own limit is 1 kB.
const TEXT: usize = 8 << 10;
/// The most of a line that has not ended yet.
const PARTIAL: usize = 64 << 10;
/// The most CPUs that are told apart.
const CPUS: usize = 8192;

/// What somebody said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub comm: String,
    pub pid: u32,
    pub text: String,
    pub caller: Caller,
}

/// Who called `bpf_printk`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// The program that has this address.
    Program(u64),
    /// There is no stack, or no program on it.
    Unknown,
}

/// What has been read so far.
#[derive(Debug, Default)]
pub struct Entries {
    /// A line that has not ended yet.
    partial: Vec<u8>,
    /// By CPU: what was said, until its stack comes.
    pending: BTreeMap<u32, Said>,
    /// What the next lines belong to.
    reading: Reading,
    pub lost: u64,
}

/// What a line belongs to that begins no entry.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Reading {
    #[default]
    Nothing,
    /// The text of this CPU's entry.
    Text(u32),
    /// The stack of this CPU's entry.
    Stack(u32),
}

/// The first line of an entry.
struct Head<'a> {
    comm: &'a str,
    pid: u32,
    cpu: u32,
    event: &'a str,
}

impl Entries {
    /// Takes more of the buffer. Returns what is complete now.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Said> {
        let mut done = vec![];
        let mut all = mem::take(&mut self.partial);
        all.extend_from_slice(bytes);
        let mut begin = 0;
        while let Some(length) = all[begin..].iter().position(|byte| *byte == b'\n') {
            self.line(&String::from_utf8_lossy(&all[begin..begin + length]), &mut done);
            begin += length + 1;
        }
        all.drain(..begin);
        all.truncate(PARTIAL);
        self.partial = all;
        done
    }

    /// What is left when nothing more comes.
    pub fn rest(&mut self) -> Vec<Said> {
        mem::take(&mut self.pending).into_values().collect()
    }

    fn line(&mut self, line: &str, done: &mut Vec<Said>) {
        if let Some(lost) = lost(line) {
            self.lost = self.lost.saturating_add(lost);
            return;
        }
        let Some(Head { comm, pid, cpu, event }) = head(line) else {
            return self.more(line, done);
        };
        self.end_stack(done);
        if let Some(text) = event.strip_prefix("bpf_trace_printk: ") {
            let said = Said { comm: comm.to_owned(), pid, text: text.to_owned(), caller: Caller::Unknown };
            // The one before has no stack.
            done.extend(self.pending.insert(cpu, said));
            self.reading = Reading::Text(cpu);
        } else {
            self.reading = if event == "<stack trace>" { Reading::Stack(cpu) } else { Reading::Nothing };
        }
        if self.pending.len() > CPUS {
            done.extend(self.rest());
        }
    }

    /// A line that begins no entry.
    fn more(&mut self, line: &str, done: &mut Vec<Said>) {
        match self.reading {
            Reading::Nothing => {}
            Reading::Text(cpu) => {
                if let Some(said) = self.pending.get_mut(&cpu).filter(|said| said.text.len() + line.len() < TEXT) {
                    said.text.push('\n');
                    said.text.push_str(line);
                }
            }
            // The innermost program comes first.
            Reading::Stack(cpu) => {
                if let Some(address) = program(line)
                    && let Some(said) = self.pending.remove(&cpu)
                {
                    done.push(Said { caller: Caller::Program(address), ..said });
                    self.reading = Reading::Nothing;
                }
            }
        }
    }

    /// A stack without a program tells nothing.
    fn end_stack(&mut self, done: &mut Vec<Said>) {
        if let Reading::Stack(cpu) = self.reading {
            done.extend(self.pending.remove(&cpu));
        }
        self.reading = Reading::Nothing;
    }
}

/// `COMM-PID [CPU] FLAGS TIME: EVENT`; a process may be called anything, also with these signs in its name.
fn head(line: &str) -> Option<Head<'_>> {
    let (process, cpu, rest) = line.match_indices(" [").find_map(|(at, _)| {
        let (cpu, rest) = line[at + 2..].split_once("] ")?;
        Some((&line[..at], cpu.parse().ok()?, rest))
    })?;
    let (comm, pid) = process.trim().rsplit_once('-')?;
    let (_flags_and_time, event) = rest.split_once(": ")?;
    Some(Head { comm, pid: pid.trim().parse().ok()?, cpu, event })
}

/// `CPU:0 [LOST 12 EVENTS]`
fn lost(line: &str) -> Option<u64> {
    let (_, count) = line.strip_prefix("CPU:")?.split_once(" [LOST ")?;
    count.strip_suffix(" EVENTS]")?.parse().ok()
}

/// The address of a frame in a BPF program: ` => bpf_prog_35d3a5ea4a0e9ddc_watch <ffffffffc00220e8>`.
fn program(line: &str) -> Option<u64> {
    let (name, address) = line.trim_start().strip_prefix("=> ")?.rsplit_once(" <")?;
    let tag = name.strip_prefix("bpf_prog_")?.get(..16)?;
    // The kernel has functions whose names begin so as well.
    if !tag.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(address.strip_suffix('>')?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printk(process: &str, cpu: u32, text: &str) -> String {
        format!("{process:>16}    [{cpu:03}] ...2. 31066.594289: bpf_trace_printk: {text}\n")
    }

    fn stack(cpu: u32, frames: &[&str]) -> String {
        let head = format!("            trig-7    [{cpu:03}] ...2. 31066.595337: <stack trace>\n");
        frames.iter().fold(head, |lines, frame| format!("{lines} => {frame}\n"))
    }

    fn said(text: &str, caller: Caller) -> Said {
        Said { comm: "trig".into(), pid: 7, text: text.into(), caller }
    }

    const OURS: &str = "bpf_prog_35d3a5ea4a0e9ddc_p <ffffffffc00220e8>";

    #[test]
    fn the_innermost_program_is_the_one_that_spoke() {
        let frames = ["bpf_trace_printk <ffffffff814bd93d>", OURS, "bpf_prog_0000000000000001_q <ffffffffc0000001>"];
        let text = printk("trig-7", 0, "hello 1") + &stack(0, &frames);
        let caller = Caller::Program(0xffff_ffff_c002_20e8);
        for step in [1, 7, text.len()] {
            let mut entries = Entries::default();
            let mut all = vec![];
            for bytes in text.as_bytes().chunks(step) {
                all.extend(entries.take(bytes));
            }
            assert_eq!((all, entries.rest()), (vec![said("hello 1", caller)], vec![]), "{step}");
        }
    }

    #[test]
    fn entries_of_several_cpus_may_be_mixed() {
        let text = printk("trig-7", 0, "a") + &printk("trig-7", 1, "b") + &stack(0, &[OURS]) + &stack(1, &["f <1>"]);
        let mut entries = Entries::default();
        let mut all = entries.take(text.as_bytes());
        all.extend(entries.take(printk("trig-7", 0, "c").as_bytes()));
        let caller = Caller::Program(0xffff_ffff_c002_20e8);
        assert_eq!(all, [said("a", caller), said("b", Caller::Unknown)]);
        assert_eq!(entries.rest(), [said("c", Caller::Unknown)]);
    }

    #[test]
    fn a_text_may_have_several_lines_and_a_process_any_name() {
        let text = printk("a b-[1] c-7", 0, "one\ntwo") + &stack(0, &[OURS]);
        let all = Entries::default().take(text.as_bytes());
        assert_eq!((all[0].comm.as_str(), all[0].pid, all[0].text.as_str()), ("a b-[1] c", 7, "one\ntwo"));
        let idle = Entries::default().take((printk("<idle>-0", 3, "") + &stack(3, &[OURS])).as_bytes());
        assert_eq!((idle[0].comm.as_str(), idle[0].pid), ("<idle>", 0));
    }

    #[test]
    fn functions_of_the_kernel_are_no_programs_and_losses_are_counted() {
        assert_eq!(program(" => bpf_prog_run_array_cg+0x1 <ffffffff814bd93d>"), None);
        assert_eq!(program(&format!(" => {OURS}")), Some(0xffff_ffff_c002_20e8));
        let mut entries = Entries::default();
        assert_eq!(entries.take(b"CPU:0 [LOST 12 EVENTS]\nnonsense\n\xff\xfe\n"), []);
        assert_eq!(entries.lost, 12);
    }
}
