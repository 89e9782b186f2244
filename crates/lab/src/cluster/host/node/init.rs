//! Process 1 of a node: starts its components, starts again what ends, reaps what is orphaned.

use std::{
    collections::HashMap,
    fs::{self, File},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clikit::print;
use nix::{
    errno::Errno,
    sys::wait::{WaitPidFlag, WaitStatus, waitpid},
    unistd::{Pid, sethostname},
};

use super::{Place, enter, mounts};
use crate::{
    cluster::host::{
        addresses::Addresses,
        components::{self, Component},
        endings::{self, Ending},
    },
    cmd::Cmd,
};

/// Process 1 must reap any child and start others again at set times; it looks this often.
const LOOK: Duration = Duration::from_millis(100);
/// The rest before a component is started again, and how far it grows while the component keeps ending.
const REST: Duration = Duration::from_millis(300);
const LONGEST_REST: Duration = Duration::from_secs(5);
/// A component that ran this long was well.
const WELL: Duration = Duration::from_secs(20);
/// A log is emptied beyond this size.
const LOG_LIMIT: u64 = 20 << 20;

pub fn run(place: &Place) -> Result<()> {
    enter::end_with_parent()?;
    enter::own_cgroups(place)?;
    sethostname(place.name()).context("failed to name the node")?;
    // While it can be read: of the proxy's login the node sees nothing later.
    let components = components::of_node(&place.folders, Addresses::of(&place.folders)?, place.index)?;
    mounts::make(place)?;
    Supervisor::new(place, components).run()
}

struct Supervisor<'a> {
    place: &'a Place,
    components: Vec<Component>,
    /// The component behind a process id.
    running: HashMap<Pid, usize>,
    /// When a component is to be started (again).
    due: Vec<Option<Instant>>,
    started: Vec<Instant>,
    rest: Vec<Duration>,
    /// How often each ended since it was well, and how.
    endings: Vec<Ending>,
}

impl<'a> Supervisor<'a> {
    fn new(place: &'a Place, components: Vec<Component>) -> Self {
        let count = components.len();
        let now = Instant::now();
        let never =
            |component: &Component| Ending { component: component.name.to_owned(), count: 0, how: String::new() };
        let endings = components.iter().map(never).collect();
        Self {
            place,
            components,
            running: HashMap::new(),
            due: vec![Some(now); count],
            started: vec![now; count],
            rest: vec![REST; count],
            endings,
        }
    }

    fn run(mut self) -> Result<()> {
        let mut trimmed = Instant::now();
        loop {
            self.start_due();
            self.reap()?;
            if trimmed.elapsed() > WELL {
                trimmed = Instant::now();
                self.trim_logs();
                self.forget_endings();
            }
            sleep(LOOK);
        }
    }

    /// Starts what is due, in order; what comes after a component whose socket does not answer yet waits for it.
    fn start_due(&mut self) {
        for index in 0..self.components.len() {
            if self.due[index].is_some_and(|due| due <= Instant::now()) {
                self.start(index);
            }
            if self.components[index].ready.as_ref().is_some_and(|socket| UnixStream::connect(socket).is_err()) {
                return;
            }
        }
    }

    fn start(&mut self, index: usize) {
        match self.spawn(&self.components[index]) {
            Ok(pid) => {
                self.running.insert(pid, index);
                self.due[index] = None;
                self.started[index] = Instant::now();
            }
            Err(error) => {
                print::note(format!("{}: {error:#}", self.components[index].name));
                self.note_ending(index, format!("{error:#}"));
                self.due[index] = Some(Instant::now() + LONGEST_REST);
            }
        }
    }

    fn spawn(&self, component: &Component) -> Result<Pid> {
        let log = File::options().create(true).append(true).open(self.log(component))?;
        let command = Cmd::new(&component.program).args(&component.arguments);
        let environment = component.environment.iter();
        let child = environment
            .fold(command, |command, (name, value)| command.env(name, value))
            .spawn(Stdio::from(log.try_clone()?), Stdio::from(log))?;
        Ok(Pid::from_raw(i32::try_from(child.id())?))
    }

    fn reap(&mut self) -> Result<()> {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(()),
                Ok(status) => self.ended(status),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error).context("failed to wait for the node's processes"),
            }
        }
    }

    fn ended(&mut self, status: WaitStatus) {
        let Some(index) = status.pid().and_then(|pid| self.running.remove(&pid)) else { return };
        print::note(format!("{} ended: {status:?}", self.components[index].name));
        let was_well = self.started[index].elapsed() > WELL;
        if was_well {
            self.endings[index].count = 0;
        }
        self.note_ending(index, how(status));
        let rest = if was_well { REST } else { (self.rest[index] * 2).min(LONGEST_REST) };
        self.due[index] = Some(Instant::now() + self.rest[index]);
        self.rest[index] = rest;
    }

    fn note_ending(&mut self, index: usize, how: String) {
        self.endings[index].count += 1;
        self.endings[index].how = how;
        self.tell_endings();
    }

    /// Those of what has been well since.
    fn forget_endings(&mut self) {
        for &index in self.running.values().filter(|&&index| self.started[index].elapsed() > WELL) {
            self.endings[index].count = 0;
        }
        self.tell_endings();
    }

    fn tell_endings(&self) {
        let ended: Vec<_> = self.endings.iter().filter(|ending| ending.count > 0).cloned().collect();
        endings::note(&ended);
    }

    fn trim_logs(&self) {
        for component in &self.components {
            let log = self.log(component);
            // Its writer appends, so that it goes on at the new end.
            if fs::metadata(&log).is_ok_and(|meta| meta.len() > LOG_LIMIT) {
                let _ = File::options().write(true).truncate(true).open(&log);
            }
        }
    }

    fn log(&self, component: &Component) -> PathBuf {
        endings::log_file(&self.place.folders.logs(), self.place.name(), component.name)
    }
}

fn how(status: WaitStatus) -> String {
    match status {
        WaitStatus::Exited(_, code) => format!("exit code {code}"),
        WaitStatus::Signaled(_, signal, _) => format!("by {signal}"),
        other => format!("{other:?}"),
    }
}
