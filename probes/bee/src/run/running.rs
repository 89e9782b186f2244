//! What all outputs and the metrics look at: the maps of the probes that run, and the accounts of what they lose and cost.

use super::Error;
use super::prepare::Candidate;
use crate::backing::Backing;
use crate::filter::Filter;
use crate::object::Map;
use crate::probe::{Probe, ProbeError};
use crate::programs::Programs;
use crate::series::{Exported, Losses, SeriesBounds};

/// Probes that run, or ran when they were recorded.
pub(crate) struct Running {
    pub probes: Vec<Instance>,
    /// Those of all probes, in their order.
    pub maps: Vec<Exported>,
    pub filters: Vec<Filter>,
    pub bounds: SeriesBounds,
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
    /// Of probes that are attached.
    pub(super) fn live(candidates: &[Candidate], probes: &[Probe], bounds: SeriesBounds) -> Result<Self, Error> {
        let mut running = Self { probes: vec![], maps: vec![], filters: vec![], bounds };
        for (index, (Candidate { name, inspection, .. }, probe)) in candidates.iter().zip(probes).enumerate() {
            let exported = |map: &Map| {
                let backing = Backing::Kernel(probe.map(&map.name)?);
                Ok(Exported::new(index, map, backing, &running.bounds))
            };
            let maps = inspection.maps.iter().map(exported).collect::<Result<Vec<_>, ProbeError>>();
            let maps = maps.map_err(|source| Error::Probe { name: name.clone(), source })?;
            let losses = Losses::new(probe, &inspection.btf, &maps);
            let (programs, iterators) = (Programs::new(probe), probe.iterators());
            running.probes.push(Instance { name: name.clone(), losses, programs, iterators });
            running.maps.extend(maps);
        }
        Ok(running)
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
        self.probes.get(probe).filter(|_| self.probes.len() > 1).map(|instance| instance.name.as_str())
    }
}
