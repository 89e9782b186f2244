//! A probe in the kernel: the first variant that loads and attaches, its maps, its events.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use libbpf_rs::{
    ErrorKind, Link, MapCore, MapHandle, Object, ObjectBuilder, OpenObject, PrintLevel, RingBuffer, RingBufferBuilder,
    set_print,
};

use crate::object::{Inspection, Source};
use crate::variants;

/// Why no variant of a probe runs here.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error(
        "this kernel has no type information (/sys/kernel/btf/vmlinux): use one that was built with CONFIG_DEBUG_INFO_BTF=y"
    )]
    NoBtf,
    #[error("libbpf does not take the object")]
    Open(#[source] libbpf_rs::Error),
    #[error("this kernel can't run the probe:\n{}", .0.iter().map(|refusal| format!("  {refusal}")).collect::<Vec<_>>().join("\n"))]
    NoVariant(Vec<Refusal>),
    #[error("can't read map {map}")]
    Map { map: String, source: libbpf_rs::Error },
}

/// Why one variant does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub variant: Option<String>,
    pub why: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.variant {
            Some(variant) => write!(f, "{variant}: {}", self.why),
            None => f.write_str(&self.why),
        }
    }
}

/// A probe that is loaded and attached; dropping it detaches it.
pub struct Probe {
    /// Before the object: links go before what they attach.
    _links: Vec<Link>,
    object: Object,
    /// Which variant runs, if the probe has several.
    pub variant: Option<String>,
    /// Why the variants before it do not.
    pub refused: Vec<Refusal>,
}

impl Probe {
    /// Loads and attaches the first of these variants that this kernel takes whole.
    pub fn attach(inspection: &Inspection, variants: Vec<Option<String>>) -> Result<Self, ProbeError> {
        if !Path::new("/sys/kernel/btf/vmlinux").exists() {
            return Err(ProbeError::NoBtf);
        }
        let mut refused = vec![];
        for variant in variants {
            match try_variant(inspection, variant.as_deref()) {
                Ok((object, links)) => return Ok(Self { _links: links, object, variant, refused }),
                Err(Attempt::Refused(why)) => refused.push(Refusal { variant, why }),
                Err(Attempt::Broken(error)) => return Err(ProbeError::Open(error)),
            }
        }
        Err(ProbeError::NoVariant(refused))
    }

    /// A handle to a map by its name.
    pub fn map(&self, name: &str) -> Result<MapHandle, ProbeError> {
        let found = self.object.maps().find(|map| map.name() == name);
        let missing =
            || ProbeError::Map { map: name.to_owned(), source: libbpf_rs::Error::from_raw_os_error(libc::ENOENT) };
        let map = found.ok_or_else(missing)?;
        MapHandle::try_from(&map).map_err(|source| ProbeError::Map { map: name.to_owned(), source })
    }

    /// The map of the program's zero-initialised global variables, in which bee.h counts losses.
    pub fn globals(&self) -> Option<MapHandle> {
        let map = self.object.maps().find(|map| map.name().to_string_lossy().ends_with(".bss"))?;
        MapHandle::try_from(&map).ok()
    }

    /// The programs that run, by name.
    pub fn programs(&self) -> Vec<(String, OwnedFd)> {
        let running = self.object.progs().filter(|program| program.autoload());
        let open = |program: libbpf_rs::Program<'_>| {
            let name = program.name().to_string_lossy().into_owned();
            // One that can't be opened once more goes without its account of missed runs.
            Some((name, program.as_fd().try_clone_to_owned().ok()?))
        };
        running.filter_map(open).collect()
    }

    /// The events of ring buffers; `take` gets the index of the map among `names` and the record.
    pub fn events<'a>(
        &self,
        names: &[&str],
        take: &'a (dyn Fn(usize, &[u8]) + 'a),
    ) -> Result<Option<RingBuffer<'a>>, ProbeError> {
        let maps = names.iter().map(|name| self.map(name)).collect::<Result<Vec<_>, _>>()?;
        let mut builder = RingBufferBuilder::new();
        let failed = |index: usize| move |source| ProbeError::Map { map: names[index].to_owned(), source };
        for (index, map) in maps.iter().enumerate() {
            let callback = move |record: &[u8]| {
                take(index, record);
                0
            };
            builder.add(map, callback).map_err(failed(index))?;
        }
        if maps.is_empty() { Ok(None) } else { builder.build().map(Some).map_err(failed(0)) }
    }
}

/// How long the consumer of ring buffers rests. A consumer that is woken by each event costs the traced program five times as much
/// as the event itself.
pub const REST: Duration = Duration::from_millis(5);
/// Events taken in one go; without a bound a fast producer would never let go.
pub const AT_ONCE: usize = 65_536;

enum Attempt {
    Refused(String),
    Broken(libbpf_rs::Error),
}

/// The variants of an object's programs, in their order. Loads nothing.
pub fn variants_of(inspection: &Inspection) -> Result<Vec<Option<String>>, ProbeError> {
    let open = open(inspection).map_err(ProbeError::Open)?;
    let names: Vec<_> = open.progs().map(|program| program.name().to_string_lossy().into_owned()).collect();
    Ok(variants::variants(names.iter().map(String::as_str)))
}

fn open(inspection: &Inspection) -> Result<OpenObject, libbpf_rs::Error> {
    silence_libbpf();
    let mut open = ObjectBuilder::default().name("bee")?.open_memory(&inspection.object)?;
    for map in &inspection.maps {
        // BumbleBee gives ring buffers a value type; the kernel wants none (EINVAL).
        if matches!(map.source, Source::Events(_)) {
            for mut opened in open.maps_mut().filter(|opened| opened.name() == map.name.as_str()) {
                opened.set_value_size(0)?;
            }
        }
    }
    Ok(open)
}

fn try_variant(inspection: &Inspection, variant: Option<&str>) -> Result<(Object, Vec<Link>), Attempt> {
    let mut open = open(inspection).map_err(Attempt::Broken)?;
    for mut program in open.progs_mut() {
        let wanted = variants::belongs(&program.name().to_string_lossy(), variant);
        program.set_autoload(wanted);
    }
    let object = open.load().map_err(|error| Attempt::Refused(load_words(&error)))?;
    let mut links = vec![];
    for program in object.progs_mut().filter(|program| program.autoload()) {
        let link = program
            .attach()
            .map_err(|error| Attempt::Refused(attach_words(&program.section().to_string_lossy(), &error)))?;
        links.push(link);
    }
    Ok((object, links))
}

fn load_words(error: &libbpf_rs::Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            "the kernel does not let it load (EPERM): it lacks this kind of program, or we lack CAP_BPF and CAP_PERFMON, \
             or, before Linux 5.11, the memory that a process may lock is too little (ulimit -l)"
                .to_owned()
        }
        _ => format!("does not load: {error:#}"),
    }
}

fn attach_words(section: &str, error: &libbpf_rs::Error) -> String {
    let is_kprobe = section.starts_with("kprobe") || section.starts_with("kretprobe");
    let has_kprobes = Path::new("/sys/bus/event_source/devices/kprobe/type").exists();
    match error.kind() {
        _ if is_kprobe && !has_kprobes => format!("{section}: this kernel has no kprobes (CONFIG_KPROBES)"),
        ErrorKind::NotFound if is_kprobe => format!("{section}: this kernel has no such function"),
        ErrorKind::NotFound => {
            format!("{section}: this kernel has no such hook, or tracefs is not mounted at /sys/kernel/tracing")
        }
        ErrorKind::PermissionDenied => {
            format!("{section}: not permitted; sysctl kernel.perf_event_paranoid may be above 2")
        }
        _ => format!("{section}: {error:#}"),
    }
}

/// libbpf speaks of what bee tries on purpose: variants that do not load, ring buffers without BTF ids. What matters comes as errors.
fn silence_libbpf() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        set_print(Some((PrintLevel::Debug, |_, message| {
            if std::env::var_os("BEE_DEBUG").is_some() {
                eprint!("{message}");
            }
        })));
    });
}
