//! From a probe's C source to a small, reproducible BPF object.
//!
//! The same source gives the same bytes on every machine with the same clang: headers are our own, paths are taken out of the
//! debug information, and the object carries no time.

pub mod vmlinux;

mod clang;
mod error;
mod headers;
mod messages;
mod older_types;
mod system;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clikit::escaped;
pub use error::Error;

use crate::decode::architecture::Architecture;

use clang::Clang;
use headers::Include;

/// What to build, and for which machine.
#[derive(Debug)]
pub struct Request<'a> {
    pub source: &'a Path,
    /// More sources of the same probe.
    pub link: &'a [PathBuf],
    pub architecture: Architecture,
    pub vmlinux: Vmlinux,
    /// Arguments for clang, after ours, so that they win.
    pub cflags: &'a [String],
}

/// Whose kernel types `#include "vmlinux.h"` gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Vmlinux {
    /// The header that comes with bee, the same on every machine.
    #[default]
    Pinned,
    /// The running kernel's own types.
    Kernel,
}

/// Compiles a probe; the result has BTF but no DWARF, and every map in it can be exported. clang's messages go to stderr.
pub fn build(request: &Request) -> Result<Vec<u8>, Error> {
    let sources = [request.source].into_iter().chain(request.link.iter().map(PathBuf::as_path));
    let sources = sources.map(Source::find).collect::<Result<Vec<_>, _>>()?;
    let clang = Clang::find()?;
    let scratch = tempfile::tempdir().map_err(Error::Scratch)?;
    let include = Include::unpack(request.architecture, request.vmlinux, scratch.path())?;
    let mut compiled = vec![];
    for (number, source) in sources.iter().enumerate() {
        let object = scratch.path().join(format!("compiled{number}.o"));
        if let Err(error) = clang.compile(source, request, &include, &object) {
            let is_newer = kernels_types_do(&clang, source, request, &include, &object);
            return Err(if is_newer { Error::OldTypes(source.typed.clone()) } else { error });
        }
        compiled.push(object);
    }
    undefined(request.source, &compiled)?;
    let object = link(&compiled, &scratch.path().join("program.o"))?;
    crate::object::inspect(&object).map_err(|why| Error::Refused { path: request.source.into(), why })?;
    Ok(object)
}

/// Refuses calls that no object of these defines: libbpf's linker says of them only that they have no type.
fn undefined(source: &Path, compiled: &[PathBuf]) -> Result<(), Error> {
    let objects = compiled.iter().map(fs::read).collect::<Result<Vec<_>, _>>().map_err(Error::Scratch)?;
    let undefined = crate::object::undefined::find(&objects);
    let undefined = undefined.map_err(|why| Error::Refused { path: source.into(), why })?;
    if undefined.is_empty() { Ok(()) } else { Err(Error::Undefined { path: source.into(), calls: undefined }) }
}

/// Whether a source that does not compile would, with the running kernel's types: it has one that is not in the pinned header.
fn kernels_types_do(clang: &Clang, source: &Source, request: &Request, include: &Include, object: &Path) -> bool {
    request.vmlinux == Vmlinux::Pinned
        && Some(request.architecture) == Architecture::host()
        && include.take_kernels_types().is_ok()
        && clang.accepts(source, request, include, object).unwrap_or(false)
}

/// A source file, split as clang is told about it.
struct Source {
    folder: PathBuf,
    name: PathBuf,
    typed: PathBuf,
}

impl Source {
    fn find(typed: &Path) -> Result<Self, Error> {
        let metadata = fs::metadata(typed).map_err(|why| Error::Source { path: typed.into(), why })?;
        if !metadata.is_file() {
            return Err(Error::Source { path: typed.into(), why: io::Error::other("it is not a regular file") });
        }
        // Clang prints it as it is.
        let text = typed.to_string_lossy();
        if escaped(&text) != text {
            return Err(Error::Name(typed.into()));
        }
        let name = typed.file_name().unwrap_or_default().into();
        let folder = typed.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Self { folder: folder.into(), name, typed: typed.into() })
    }
}

/// libbpf's static linker makes one object, as `bpftool gen object` does. It keeps code, maps and BTF and drops DWARF (600 kB of 620): the
/// work of `llvm-strip -g`, without needing llvm-strip.
fn link(compiled: &[PathBuf], linked: &Path) -> Result<Vec<u8>, Error> {
    link_into(compiled, linked)
        .map_err(|why| if compiled.len() > 1 { Error::LinkSeveral(why) } else { Error::Link(why) })?;
    fs::read(linked).map_err(Error::Scratch)
}

fn link_into(compiled: &[PathBuf], linked: &Path) -> Result<(), libbpf_rs::Error> {
    let mut linker = libbpf_rs::Linker::new(linked)?;
    for object in compiled {
        linker.add_file(object)?;
    }
    linker.link()
}
