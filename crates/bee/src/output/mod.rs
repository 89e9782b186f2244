//! How a run is shown: a live table for a person, JSON lines for a program, columns for a pager.

mod columns;
mod diff;
mod folded;
mod json;
mod lines;
mod outlet;
#[cfg(feature = "whole")]
mod terminal;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;

use clikit::print;

use crate::export::state::Running;
use crate::kernel::map_reader::Elements;
use crate::kernel::trace_pipe::Line;
use crate::output::outlet::Outlet;
use crate::shutdown::End;

/// What it is shown as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A live table
    Table,
    /// One JSON object a line
    Json,
    /// Aligned lines of text
    Columns,
    /// At the end, each stack in one line with its count, for flame graphs
    Folded,
}

/// What becomes of a run's data as it comes. Maps are numbered as in [`Running`].
pub(crate) trait Output {
    /// An event of a buffer, whatever becomes of it.
    fn event(&self, map: usize, record: &[u8]);

    /// Whether it shall be told a map's elements.
    fn wants(&self, map: usize) -> bool;

    /// What a hash or array holds now.
    fn elements(&self, map: usize, elements: &Elements);

    /// What one of a probe's iterators wrote.
    fn text(&self, probe: usize, program: &str, text: &str);

    /// What a program said with `bpf_printk`.
    fn trace(&self, line: &Line);

    /// Comes some hundred times a second; whether the run goes on.
    fn round(&self) -> io::Result<bool>;

    /// Something that the reader should know.
    fn notice(&self, text: &str) {
        print::note(text);
    }

    /// Comes once, at the end.
    fn finish(&self) -> io::Result<()> {
        Ok(())
    }
}

/// What is said of a run before its data comes.
pub(crate) struct Title {
    /// The probes' names, and how each is attached.
    probes: Vec<(String, String)>,
    /// Where the metrics are served.
    metrics: SocketAddr,
}

impl Title {
    pub fn new(probes: impl Iterator<Item = (String, String)>, metrics: SocketAddr) -> Self {
        Self { probes: probes.collect(), metrics }
    }

    /// As who sits at this machine asks for the metrics.
    fn metrics(&self) -> String {
        let ip = self.metrics.ip();
        if ip.is_loopback() || ip.is_unspecified() {
            format!("localhost:{}/metrics", self.metrics.port())
        } else {
            format!("{}/metrics", self.metrics)
        }
    }

    /// How each probe is attached.
    pub fn states(&self) -> impl Iterator<Item = &str> {
        self.probes.iter().map(|(_, state)| state.as_str())
    }

    fn sentence(&self) -> String {
        let states: Vec<_> = self.probes.iter().map(|(name, state)| format!("{name}: {state}")).collect();
        format!("{}; metrics: {}", states.join("; "), self.metrics())
    }

    fn heading(&self) -> String {
        let names: Vec<_> = self.probes.iter().map(|(name, _)| name.as_str()).collect();
        let states: BTreeSet<_> = self.probes.iter().map(|(_, state)| state.as_str()).collect();
        let states: Vec<_> = states.into_iter().collect();
        format!("{}  metrics: {}  {}", names.join(", "), self.metrics(), states.join("; "))
    }
}

/// Begins to show a run.
pub(crate) fn open<'a>(
    format: Format,
    title: &Title,
    running: &'a Running,
    end: &End,
) -> io::Result<Box<dyn Output + 'a>> {
    #[cfg(feature = "whole")]
    if format == Format::Table {
        return Ok(Box::new(terminal::Table::open(title, running)?));
    }
    #[cfg(not(feature = "whole"))]
    let format = if format == Format::Table {
        print::note(
            "the live table comes with the whole bee, which is still being built; until then: --output columns",
        );
        Format::Columns
    } else {
        format
    };
    print::note(title.sentence());
    let stdout = io::BufWriter::with_capacity(1 << 16, Outlet::new(io::stdout(), end.clone())?);
    Ok(match format {
        Format::Columns => Box::new(columns::Columns::new(running, stdout)),
        Format::Folded => Box::new(folded::Folded::new(running, stdout)),
        Format::Table | Format::Json => Box::new(json::JsonLines::new(running, stdout)),
    })
}
