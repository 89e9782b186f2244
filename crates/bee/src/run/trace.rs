//! What the programs say with `bpf_printk`, among a run's data.

use clikit::print;

use crate::kernel::probe::Probe;
use crate::kernel::trace_pipe::{Error, TracePipe};
use crate::output::Output;

/// The trace buffer of a run.
pub struct Trace {
    pipe: TracePipe,
    has_told_losses: bool,
}

impl Trace {
    /// Before anything is attached, so that nothing is missed.
    pub fn open() -> Result<Self, Error> {
        Ok(Self { pipe: TracePipe::open()?, has_told_losses: false })
    }

    /// Whose lines are shown, once they are attached.
    pub fn listen_to(&mut self, probes: &[Probe]) {
        if !self.pipe.listen_to(probes) {
            print::note(
                "--trace-pipe: this kernel does not tell which program said what; lines may be other programs'",
            );
        }
    }

    /// Hands on what was said since the last time.
    pub fn show(&mut self, output: &dyn Output) {
        for line in self.pipe.read() {
            output.trace(&line);
        }
        if self.pipe.lost() > 0 && !self.has_told_losses {
            self.has_told_losses = true;
            output.notice("lines of bpf_printk were lost: they come faster than they are read");
        }
    }

    /// Hands on what is left.
    pub fn end(&mut self, output: &dyn Output) {
        for line in self.pipe.rest() {
            output.trace(&line);
        }
    }
}
