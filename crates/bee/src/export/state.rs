//! What all outputs and the metrics look at: the maps of the probes that run, and the accounts of what they lose and cost.

use crate::allowance::Accounts;
use crate::decode::filter::Filter;
use crate::export::losses::Losses;
use crate::export::map::{Exported, SeriesBounds};
use crate::export::source::Backing;
use crate::kernel::probe::{Probe, ProbeError};
use crate::kernel::prog_stats::Programs;
use crate::object::Inspection;

/// Probes that run, or ran when they were recorded.
pub(crate) struct Running {
    pub probes: Vec<Instance>,
    /// Those of all probes, in their order.
    pub maps: Vec<Exported>,
    pub filters: Vec<Filter>,
    pub bounds: SeriesBounds,
    /// Whether what the programs say with `bpf_printk` is shown.
    pub trace_pipe: bool,
    /// For what is kept of the maps, and for what is made of that when somebody asks.
    pub accounts: Accounts,
}

/// One of the probes.
pub(crate) struct Instance {
    pub name: String,
    pub losses: Losses,
    pub programs: Programs,
    /// The names of its programs that are iterators.
    pub iterators: Vec<String>,
}

impl Running {
    pub fn new(filters: Vec<Filter>, bounds: SeriesBounds, accounts: Accounts) -> Self {
        Self { probes: vec![], maps: vec![], filters, bounds, trace_pipe: false, accounts }
    }

    /// Adds a probe that is attached.
    pub fn add(&mut self, name: &str, inspection: &Inspection, probe: &Probe) -> Result<(), ProbeError> {
        let mut maps = vec![];
        for map in &inspection.maps {
            let handle = probe.map(&map.name)?;
            let backing = if map.by_cpu { Backing::EachCpu(handle) } else { Backing::Kernel(handle) };
            maps.push(Exported::new(self.probes.len(), map, backing, &self.bounds, &self.accounts));
        }
        if let Some((name, table)) = &inspection.stacks {
            table.read_by(probe.stacks(name)?);
        }
        let losses = Losses::new(probe, &inspection.btf, &maps);
        let (programs, iterators) = (Programs::new(probe), probe.iterators());
        self.probes.push(Instance { name: name.to_owned(), losses, programs, iterators });
        self.maps.extend(maps);
        Ok(())
    }

    /// Whether the filters let an event, or an element of this key, be shown.
    pub fn shows(&self, exported: &Exported, record: &[u8]) -> bool {
        self.filters.iter().all(|filter| filter.takes(&exported.map.name, &exported.labels, record))
    }

    /// What a map has lost, if anybody knows.
    pub fn lost(&self, exported: &Exported) -> Option<u64> {
        self.probes.get(exported.probe)?.losses.of(&exported.map)
    }

    /// A probe's name where it takes one to tell what is whose: where several run.
    pub fn name_among_several(&self, probe: usize) -> Option<&str> {
        if self.probes.len() <= 1 {
            return None;
        }
        self.probes.get(probe).map(|instance| instance.name.as_str())
    }
}
