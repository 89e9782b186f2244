//! The loader and shared libraries of a program, which travel with it into an image or a virtual machine.
//!
//! Read from the program itself, not from what `ldd` prints: that says the loader by its name on Debian and by where the name
//! leads on Arch and Nix, and the kernel looks for the name.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    Error, elf, files,
    loader::{Loader, Module},
};

/// Files by the path at which they must lie beside the program: there, the file of this machine.
pub type Libraries = BTreeMap<PathBuf, PathBuf>;

/// What a program needs that will lie at `inside` in a file system of its own, without a cache of libraries. None for a static
/// one; for a script its interpreter with all that it needs.
///
/// # Errors
/// It is no program, or something that it needs is not on this machine.
pub fn of(program: &Path, inside: &Path) -> Result<Libraries, Error> {
    let here = fs::canonicalize(program).map_err(Error::at(format!("failed to find {}", program.display())))?;
    let bytes = read(&here)?;
    let Some(interpreter) = interpreter(&bytes) else { return of_elf(&bytes, &here, inside) };
    let mut libraries = of_elf(&read(&interpreter)?, &interpreter, &interpreter)?;
    libraries.insert(interpreter.clone(), interpreter);
    Ok(libraries)
}

fn read(program: &Path) -> Result<Vec<u8>, Error> {
    files::read(program, elf::LARGEST).map_err(Error::at(format!("failed to read {}", program.display())))
}

/// The program that a script's first line names.
fn interpreter(bytes: &[u8]) -> Option<PathBuf> {
    let line = bytes.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    Some(std::str::from_utf8(line).ok()?.split_whitespace().next()?.into())
}

fn of_elf(bytes: &[u8], here: &Path, inside: &Path) -> Result<Libraries, Error> {
    let elf = elf::parse(bytes)
        .ok_or_else(|| Error::new(format!("{} is not a program: neither an ELF file nor a script", here.display())))?;
    let Some(path) = elf.interpreter.clone() else {
        if elf.needed.is_empty() {
            return Ok(Libraries::new());
        }
        return Err(Error::new(format!("{} is not a program: it needs libraries but names no loader", here.display())));
    };
    let loader = Loader::open(&path, here)?;
    let program = Module { here: here.to_owned(), inside: inside.to_owned(), elf, needed_by: None };
    let found = closure(&loader, program)?;
    let mut libraries: Libraries = found.into_iter().skip(1).map(|module| (module.inside, module.here)).collect();
    libraries.insert(path.clone(), path);
    Ok(libraries)
}

/// The program and all that it needs, in the order of loading: breadth first, each name once.
fn closure(loader: &Loader, program: Module) -> Result<Vec<Module>, Error> {
    let mut modules = vec![program];
    let mut next = 0;
    while next < modules.len() {
        for name in modules[next].elf.needed.clone() {
            if !loader.is(&name) && !modules.iter().any(|module| is_called(module, &name)) {
                let (here, inside, elf) =
                    loader.find(&name, &chain(&modules, next)).ok_or_else(|| missing(&name, &modules[next]))?;
                modules.push(Module { here, inside, elf, needed_by: Some(next) });
            }
        }
        next += 1;
    }
    Ok(modules)
}

fn is_called(module: &Module, name: &str) -> bool {
    module.elf.soname.as_deref() == Some(name) || module.needed_by.is_some() && module.here.ends_with(name)
}

/// A module, whoever needed it, and so on up to the program.
fn chain(modules: &[Module], from: usize) -> Vec<&Module> {
    std::iter::successors(Some(&modules[from]), |module| Some(&modules[module.needed_by?])).collect()
}

fn missing(name: &str, asker: &Module) -> Error {
    let asker = asker.here.display();
    Error::fixable(
        format!("failed to find the shared library {name}, which {asker} needs"),
        format!(
            "install it, or name its folder in /etc/ld.so.conf and run `ldconfig`; `ldd {asker}` lists what is found"
        ),
    )
}
