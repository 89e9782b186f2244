//! What is wrong with probes, or with what was asked of them, is found before anything is loaded, and without the right to load it.
//!
//! What is asked of several probes at once (a variant, a parameter, a filter, a histogram's value) is for those that have it, and
//! refused if none has.

use std::collections::BTreeSet;

use crate::decode::filter::{Filter, Unanswered};
use crate::kernel::probe;
use crate::object::map_sizes::{self, MapSize, Usual};
use crate::object::names;
use crate::object::params;
use crate::object::variants;
use crate::object::{self, Inspection};
use crate::output::Format;
use crate::run::{Error, NamedObject, RunOptions, histograms};

/// Probes that were looked at and not loaded yet.
pub struct Prepared {
    /// Without the objects, which the candidates have.
    pub(super) options: RunOptions,
    pub(super) candidates: Vec<Candidate>,
}

/// A probe to load.
pub(super) struct Candidate {
    pub name: String,
    /// As it was built, for who records it.
    pub object: Vec<u8>,
    pub inspection: Inspection,
    /// The variants to try.
    pub variants: Vec<Option<String>>,
    /// What its maps get that it leaves to user space.
    pub usual: Vec<Usual>,
}

/// Looks at probes.
///
/// # Errors
/// One is no probe, two would be the same metric, or none has what was asked for.
pub fn prepare(mut options: RunOptions) -> Result<Prepared, Error> {
    let mut candidates = candidates(options.probes.drain(..))?;
    each_has_its_name(&candidates)?;
    choose_variants(&mut candidates, options.variant.as_deref())?;
    params::check(candidates.iter().map(|candidate| &candidate.inspection.btf), &options.parameters)?;
    for Candidate { inspection, .. } in &mut candidates {
        inspection.constants = params::constants(&inspection.btf, &options.parameters)?;
    }
    let maps = candidates.iter_mut().flat_map(|candidate| &mut candidate.inspection.maps);
    histograms::apply(maps, &options.histogram_buckets, &options.histogram_values)?;
    check_format(options.show.format, candidates.iter().map(|candidate| &candidate.inspection))?;
    split_by_cpu(&mut candidates, &options.per_cpu)?;
    sizes(&mut candidates, &options.map_sizes)?;
    check_filters(&options.show.filters, candidates.iter().map(|candidate| &candidate.inspection))?;
    Ok(Prepared { options, candidates })
}

/// What is shown as stacks has some.
pub fn check_format<'a>(format: Format, mut probes: impl Iterator<Item = &'a Inspection>) -> Result<(), Error> {
    let has_stacks = probes.any(|inspection| inspection.maps.iter().any(|map| map.source.has_stacks()));
    if format == Format::Folded && !has_stacks { Err(Error::NoStacks) } else { Ok(()) }
}

/// Some map can answer each filter.
pub fn check_filters<'a>(
    filters: &[Filter],
    probes: impl Iterator<Item = &'a Inspection> + Clone,
) -> Result<(), Unanswered> {
    for filter in filters {
        let maps = probes.clone().flat_map(|inspection| &inspection.maps);
        filter.check(maps.map(|map| (map.name.as_str(), map.labels())))?;
    }
    Ok(())
}

/// The probes, or what is wrong with each of those that are none.
fn candidates(objects: impl Iterator<Item = NamedObject>) -> Result<Vec<Candidate>, Error> {
    let (mut candidates, mut errors) = (vec![], vec![]);
    for object in objects {
        match candidate(object) {
            Ok(candidate) => candidates.push(candidate),
            Err(error) => errors.push(error),
        }
    }
    match errors.pop() {
        None => Ok(candidates),
        Some(only) if errors.is_empty() => Err(only),
        Some(last) => {
            errors.push(last);
            Err(Error::Several(errors))
        }
    }
}

fn candidate(NamedObject { name, object }: NamedObject) -> Result<Candidate, Error> {
    let inspection = object::inspect(&object).map_err(|source| Error::Object { name: name.clone(), source })?;
    let known = probe::check_hooks(&inspection).and_then(|()| probe::variants_of(&inspection));
    let variants = known.map_err(|source| Error::Probe { name: name.clone(), source })?;
    Ok(Candidate { name, object, inspection, variants, usual: vec![] })
}

/// The maps get the sizes that were asked for, and else what is usual.
fn sizes(candidates: &mut [Candidate], sizes: &[MapSize]) -> Result<(), Error> {
    let mut maps = vec![];
    for Candidate { name, inspection, usual, .. } in candidates {
        let not_opened = |source| Error::Probe { name: name.clone(), source };
        maps.extend(probe::dimensions_of(inspection).map_err(not_opened)?);
        inspection.sizes = sizes.to_vec();
        *usual = probe::usual_sizes(inspection).map_err(not_opened)?;
    }
    Ok(map_sizes::check(&maps, sizes)?)
}

/// Neither two probes nor two metrics may have the same name.
fn each_has_its_name(candidates: &[Candidate]) -> Result<(), Error> {
    let mut names = BTreeSet::new();
    if let Some(twice) = candidates.iter().find(|candidate| !names.insert(&candidate.name)) {
        return Err(Error::Twice(twice.name.clone()));
    }
    let maps = candidates.iter().flat_map(|candidate| &candidate.inspection.maps);
    if let Some((first, second, metric)) = names::clash(maps) {
        return Err(Error::SameMetric {
            first: owner(candidates, first),
            second: owner(candidates, second),
            map: second.name.clone(),
            metric,
        });
    }
    Ok(())
}

/// The name of the probe that a map is of.
fn owner(candidates: &[Candidate], map: &object::Map) -> String {
    let mut owners =
        candidates.iter().filter(|candidate| candidate.inspection.maps.iter().any(|own| std::ptr::eq(own, map)));
    owners.next().map_or_else(String::new, |candidate| candidate.name.clone())
}

fn choose_variants(candidates: &mut [Candidate], wanted: Option<&str>) -> Result<(), Error> {
    if wanted.is_some() && !candidates.iter().any(|candidate| candidate.has(wanted)) {
        let all = candidates.iter().flat_map(|candidate| candidate.variants.clone()).collect();
        variants::choose(all, wanted)?;
    }
    for candidate in candidates.iter_mut().filter(|candidate| candidate.has(wanted)) {
        candidate.variants = variants::choose(std::mem::take(&mut candidate.variants), wanted)?;
    }
    Ok(())
}

impl Candidate {
    fn has(&self, wanted: Option<&str>) -> bool {
        self.variants.iter().any(|variant| variant.as_deref() == wanted)
    }
}

/// The maps of these names, of whichever probes have them.
fn split_by_cpu(candidates: &mut [Candidate], names: &[String]) -> Result<(), Error> {
    for name in names {
        let maps = candidates.iter_mut().flat_map(|candidate| &mut candidate.inspection.maps);
        let maps: Vec<_> = maps.filter(|map| map.name == *name && !map.by_cpu).collect();
        if maps.is_empty() {
            return Err(Error::ByCpu { map: name.clone(), why: "no probe exports such a map".to_owned() });
        }
        for map in maps {
            map.split_by_cpu().map_err(|why| Error::ByCpu { map: name.clone(), why })?;
        }
    }
    Ok(())
}
