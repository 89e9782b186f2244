//! The names of functions of programs and libraries, by process and address. Looking them up reads files that may be anybody's and may
//! take long: a thread of its own does it, for which nobody waits longer than a second.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::decode::host;

/// The most names that are remembered, and processes.
const NAMES: usize = 1 << 16;
const PROCESSES: usize = 4096;
/// The longest name; C++ has some of many kilobytes.
pub const NAME: usize = 256;

/// What is known of processes' functions, or what a recording says of them.
static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Known {
    names: HashMap<(u32, u64), Option<String>>,
    /// What each process was when its functions were looked up: numbers of processes are used again.
    processes: HashMap<u32, String>,
}

/// The function at each address of a process, as in `main+0x1f`.
pub fn names(pid: u32, addresses: &[u64]) -> Vec<Option<String>> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if !host::is_recorded() && !addresses.is_empty() {
        known.look_up(pid, addresses);
    }
    addresses.iter().map(|address| known.names.get(&(pid, *address)).cloned().flatten()).collect()
}

/// Takes what a recording says.
pub fn learn(named: impl IntoIterator<Item = (u32, u64, String)>) {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    for (pid, address, name) in named {
        if known.names.len() < NAMES {
            known.names.insert((pid, address), Some(name));
        }
    }
}

impl Known {
    fn look_up(&mut self, pid: u32, addresses: &[u64]) {
        // One that has ended keeps its names.
        let Some(process) = process::identity(pid) else { return };
        if self.processes.get(&pid) != Some(&process) {
            self.names.retain(|(of, _), _| *of != pid);
            if self.processes.len() >= PROCESSES {
                self.processes.clear();
            }
            self.processes.insert(pid, process);
        }
        let unknown: Vec<_> =
            addresses.iter().copied().filter(|address| !self.names.contains_key(&(pid, *address))).collect();
        if unknown.is_empty() {
            return;
        }
        if self.names.len() + unknown.len() > NAMES {
            self.names.clear();
        }
        let found = finder::find(pid, &unknown);
        for (index, address) in unknown.into_iter().enumerate() {
            self.names.insert((pid, address), found.get(index).cloned().flatten());
        }
    }
}

/// What a process is.
mod process {
    use std::fs;

    /// The namespace of processes that the kernel begins with (`PROC_PID_INIT_INO`), in which BPF programs number them.
    const FIRST: &str = "pid:[4026531836]";

    /// Its program and when it began; `None` where its number means another one here, or none.
    pub fn identity(pid: u32) -> Option<String> {
        if fs::read_link("/proc/self/ns/pid").ok()?.to_str() != Some(FIRST) {
            return None;
        }
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Behind the name, which may have any signs, the twentieth is the time.
        let began = status.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.to_owned();
        let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        Some(format!("{began} {}", program.display()))
    }
}

#[cfg(not(feature = "whole"))]
mod finder {
    /// The bee for lab 1 is compiled in half the time.
    pub fn find(_: u32, _: &[u64]) -> Vec<Option<String>> {
        vec![]
    }
}

#[cfg(feature = "whole")]
mod finder {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{LazyLock, Mutex, PoisonError};
    use std::thread;
    use std::time::Duration;

    use blazesym::Pid;
    use blazesym::symbolize::source::{Process, Source};
    use blazesym::symbolize::{Input, Sym, Symbolizer};

    use crate::decode::user_symbols::NAME;

    const WAIT: Duration = Duration::from_secs(1);
    /// After so many questions everything that it has read is forgotten.
    const QUESTIONS: usize = 1024;

    struct Question {
        pid: u32,
        addresses: Vec<u64>,
        reply: Sender<Vec<Option<String>>>,
    }

    /// Where questions go; nowhere if there can be no thread.
    static THREAD: LazyLock<Mutex<Option<Sender<Question>>>> = LazyLock::new(|| Mutex::new(start()));

    /// The names at these addresses, none if it takes too long.
    pub fn find(pid: u32, addresses: &[u64]) -> Vec<Option<String>> {
        let (reply, replies) = channel();
        let question = Question { pid, addresses: addresses.to_vec(), reply };
        let thread = THREAD.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Ok(())) = thread.as_ref().map(|thread| thread.send(question)) else { return vec![] };
        replies.recv_timeout(WAIT).unwrap_or_default()
    }

    fn start() -> Option<Sender<Question>> {
        let (send, questions) = channel();
        thread::Builder::new().name("symbols".to_owned()).spawn(move || reply_all(&questions)).ok()?;
        Some(send)
    }

    fn reply_all(questions: &Receiver<Question>) {
        loop {
            let symbolizer = Symbolizer::builder().enable_code_info(false).enable_inlined_fns(false).build();
            for _ in 0..QUESTIONS {
                let Ok(Question { pid, addresses, reply }) = questions.recv() else { return };
                // Who asked may not wait any more.
                let _ = reply.send(symbolize(&symbolizer, pid, &addresses));
            }
        }
    }

    fn symbolize(symbolizer: &Symbolizer, pid: u32, addresses: &[u64]) -> Vec<Option<String>> {
        let source = Source::Process(Process::new(Pid::from(pid)));
        let Ok(found) = symbolizer.symbolize(&source, Input::AbsAddr(addresses)) else { return vec![] };
        found.iter().map(|found| found.as_sym().map(name)).collect()
    }

    fn name(symbol: &Sym) -> String {
        let name: String = symbol.name.chars().take(NAME).collect();
        if symbol.offset == 0 { name } else { format!("{name}+{:#x}", symbol.offset) }
    }
}

#[cfg(all(test, feature = "whole"))]
mod tests {
    use super::*;

    #[test]
    fn functions_of_a_library_have_names_and_those_of_nobody_none() {
        let found = names(std::process::id(), &[libc::getppid as *const () as u64, 1]);
        assert!(found[0].as_ref().is_some_and(|name| name.contains("getppid")), "{found:?}");
        assert_eq!(found[1], None);
        assert_eq!(names(u32::MAX, &[1]), [None]);
    }
}
