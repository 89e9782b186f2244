//! Every kind of map: what its probe counts is what its metric says.

use std::{path::Path, process::Command};

use testkit::{
    connections::Pair,
    exhibits::MAPS,
    findings::Findings,
    probe::{Run, until},
};

const CONNECTIONS: usize = 25;

pub fn are_exported(findings: &mut Findings) {
    for (number, exhibit) in (100..).zip(MAPS) {
        let run = Run::start(Command::new("/bin/bee"), Path::new(&exhibit.object()), &[]);
        Pair::of(number).connect(1, CONNECTIONS);
        // An element's key and an event's only field have no names of their own.
        let counted = || run.value("counter_connections", &["key=\"1\""]);
        let all = until(|| counted() == CONNECTIONS as u64);
        let counted = counted();
        findings.add(all, format!("{}: {counted} of {CONNECTIONS} connections", exhibit.name));
    }
}
