//! Every kind of hook: its program is called, or bee says by name why this kernel has no such hook.

use std::{net::TcpListener, path::Path, process::Command};

use testkit::{
    exhibits::{Exhibit, HOOKS, MISSPELT},
    findings::Findings,
    probe::{Run, until},
};

/// Those that one of the kernels lacks: several functions at once (Linux 5.18), static probes of a position-independent program
/// (5.15), BPF as a security module (a choice of whoever built it).
const MAY_LACK: [&str; 3] = ["kprobe-multi", "usdt", "lsm"];

pub fn are_called_or_refused_by_name(findings: &mut Findings) {
    for (exhibit, section) in HOOKS {
        let name = exhibit.name;
        match start(exhibit) {
            Ok(run) => {
                let called = until(|| {
                    provoke();
                    run.value("counter_calls", &["key=\"0\""]) > 0
                });
                findings.add(called, format!("{name}: SEC(\"{section}\") is called"));
            }
            Err(said) => {
                let reason = said.lines().find_map(|line| line.trim_start().strip_prefix(section)?.strip_prefix(": "));
                let in_words = reason.is_some_and(|reason| !reason.contains("os error"));
                let may = MAY_LACK.contains(&name);
                findings.add(in_words && may, format!("{name}: is refused: {}", reason.unwrap_or(&said)));
            }
        }
    }
}

/// What there is not is refused with what there is.
pub fn are_suggested(findings: &mut Findings) {
    for (exhibit, section) in MISSPELT {
        let said = start(exhibit).map_or_else(|said| said, |_| "it runs".to_owned());
        let meant = ["tcp_v4_connect", "sock/inet_sock_set_state", "inet_sock_set_state", "getppid", "task"];
        let suggested = meant.iter().any(|meant| said.contains(&format!("did you mean {meant}?")));
        let reason = said.lines().last().unwrap_or_default().trim_start();
        findings.add(suggested && said.contains(section), format!("{}: {reason}", exhibit.name));
    }
}

fn start(exhibit: Exhibit) -> Result<Run, String> {
    Run::try_start(Command::new("/bin/bee"), Path::new(&exhibit.object()), &[])
}

/// Does what each of the hooks is called for.
fn provoke() {
    probe::probe!(guest, look, 1);
    nix::unistd::getppid();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
}
