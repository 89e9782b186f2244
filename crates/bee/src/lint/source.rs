//! Finds where a probe's source declares something. BTF has no lines for types and maps, so the text itself is looked at: the file,
//! and what it includes from its own folder. An object names the files that it was made of; they count if they are still beside it.

use std::path::{Component, Path, PathBuf};

use oci::files;

use crate::lint::Place;
use crate::object::lines::{self, Line};

/// Files and bytes of one that are looked at.
const FILES: usize = 32;
const BYTES: u64 = 1 << 20;

/// A probe's source files; what is in none of them is at no line.
#[derive(Debug)]
pub struct Sources {
    main: PathBuf,
    files: Vec<(PathBuf, String)>,
    /// What an object itself says of its programs.
    programs: Vec<Line>,
}

impl Sources {
    /// Those of a C file; of one that can't be read there are none.
    pub fn from_file(path: &Path) -> Self {
        Self { main: path.to_owned(), files: read(vec![path.to_owned()]), programs: vec![] }
    }

    /// With those of more C files of the same probe.
    pub fn and(mut self, more: &[PathBuf]) -> Self {
        self.files.extend(read(more.to_vec()));
        self
    }

    /// Those of a compiled object.
    pub fn from_object(path: &Path, object: &[u8]) -> Self {
        let folder = path.parent().unwrap_or(Path::new(""));
        let programs = lines::first(object);
        let named = programs.iter().map(|line| &line.file);
        let files = named.filter(|file| is_beside(file)).map(|file| folder.join(file)).collect();
        Self { main: path.to_owned(), files: read(files), programs }
    }

    /// Where a map is defined.
    pub fn map(&self, name: &str) -> Place {
        self.find(|line| line.contains(" SEC(") && words(line).any(|word| word == name))
    }

    /// Where a program begins.
    pub fn program(&self, section: &str) -> Place {
        let found = self.find(|line| line.contains(&format!("SEC(\"{section}\")")));
        match self.programs.iter().find(|line| line.section == section) {
            Some(line) if found.line.is_none() => Place { file: line.file.clone(), line: Some(line.number) },
            _ => found,
        }
    }

    /// Where a struct has a member; `None` if it is not found.
    pub fn field(&self, record: &str, field: &str) -> Option<Place> {
        self.files.iter().find_map(|(file, text)| {
            let mut lines = text.lines().enumerate().skip_while(|(_, line)| !opens(line, record));
            let until_closed = lines.by_ref().take_while(|(_, line)| !line.starts_with('}'));
            let mut declares = until_closed.filter(|(_, line)| declares(line, field));
            declares.next().map(|(index, _)| Place { file: file.clone(), line: Some(index + 1) })
        })
    }

    /// Where `bpf_printk` is called first; `None` if it is not found.
    pub fn printk(&self) -> Option<Place> {
        let place = self.find(|line| line.contains("bpf_printk(") || line.contains("bpf_trace_printk("));
        place.line.is_some().then_some(place)
    }

    /// Whether every variable of this struct is set to 0 as a whole before its members are, so that none of its padding is left as it was.
    /// One that is reserved in a ring buffer is a pointer, which only `memset` clears.
    pub fn is_zeroed(&self, record: &str) -> bool {
        let mut declarations = 0;
        for (_, text) in &self.files {
            for (name, rest) in text.lines().flat_map(|line| declarations_of(line, record)) {
                declarations += 1;
                if !(is_empty_initialiser(rest) || is_cleared(text, name)) {
                    return false;
                }
            }
        }
        declarations > 0
    }

    fn find(&self, fits: impl Fn(&str) -> bool) -> Place {
        let found = self.files.iter().find_map(|(file, text)| {
            text.lines().position(&fits).map(|index| Place { file: file.clone(), line: Some(index + 1) })
        });
        found.unwrap_or_else(|| Place { file: self.main.clone(), line: None })
    }
}

/// No object makes us read what lies elsewhere.
fn is_beside(file: &Path) -> bool {
    file.components().all(|part| matches!(part, Component::Normal(_)))
}

/// These files and what they include.
fn read(mut waiting: Vec<PathBuf>) -> Vec<(PathBuf, String)> {
    let mut files: Vec<(PathBuf, String)> = vec![];
    while let Some(path) = waiting.pop() {
        if files.len() == FILES || files.iter().any(|(known, _)| *known == path) {
            continue;
        }
        // A pipe would never end.
        if !path.is_file() {
            continue;
        }
        let Ok(text) = files::read(&path, BYTES) else { continue };
        // In whatever encoding its comments are.
        let text = String::from_utf8_lossy(&text).into_owned();
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        waiting.extend(text.lines().filter_map(included).map(|name| folder.join(name)));
        files.push((path, text));
    }
    files
}

/// The file in `#include "connect.h"`.
fn included(line: &str) -> Option<&str> {
    line.trim_start().strip_prefix("#include \"")?.split('"').next()
}

/// `struct event_t {`, or with the brace on the next line; not `struct event_t *event = …`.
fn opens(line: &str, record: &str) -> bool {
    let line = line.trim().trim_start_matches("typedef ");
    let rest = line.strip_prefix("struct ").and_then(|line| line.strip_prefix(record));
    rest.is_some_and(|rest| rest.is_empty() || rest.trim_start().starts_with('{') && !rest.starts_with(is_word))
}

/// A member's name stands before what ends its declaration.
fn declares(line: &str, field: &str) -> bool {
    let line = line.split("//").next().unwrap_or(line);
    line.match_indices(field).any(|(start, _)| {
        let before = line[..start].chars().next_back().is_none_or(|c| !is_word(c));
        let after = line[start + field.len()..].trim_start().chars().next();
        before && after.is_some_and(|c| matches!(c, ';' | '[' | ':' | ','))
    })
}

/// The variables that a line declares with this struct, and what stands behind their names. What is a member, a type of a map or a
/// parameter is none.
fn declarations_of<'a>(line: &'a str, record: &str) -> Vec<(&'a str, &'a str)> {
    let mut found = vec![];
    for (start, name) in line.match_indices(record) {
        let is_type = line[..start].trim_end().ends_with("struct");
        let rest = line[start + name.len()..].trim_start_matches([' ', '\t', '*']);
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (variable, rest) = (&rest[..end], rest[end..].trim_start());
        let is_whole = line[start + name.len()..].starts_with([' ', '\t', '*']);
        if is_type && is_whole && !variable.is_empty() && rest.starts_with(['=', ';', '[']) {
            found.push((variable, rest));
        }
    }
    found
}

/// `= {}`, `= {0}`: what is not named in it is 0, padding too as clang has it.
fn is_empty_initialiser(rest: &str) -> bool {
    let value = rest.trim_start_matches('=').trim_start();
    let inner = value.strip_prefix('{').and_then(|value| value.split_once('}'));
    rest.starts_with('=') && inner.is_some_and(|(inner, _)| matches!(inner.trim(), "" | "0"))
}

/// Whether a text clears a variable, or what it points to, by `memset`.
fn is_cleared(text: &str, variable: &str) -> bool {
    let calls = text.split("memset(").skip(1);
    let arguments = calls.filter_map(|call| call.trim_start().trim_start_matches('&').split_once(','));
    arguments.into_iter().any(|(to, rest)| to.trim() == variable && rest.trim_start().starts_with('0'))
}

fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|c| !is_word(c)).filter(|word| !word.is_empty())
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SOURCE: &str = "#include \"types.h\"\nstruct event_t;\nstruct {\n\t__type(value, struct event_t);\n} events SEC(\".maps.print\");\n\n\
                          SEC(\"xdp\")\nint drop(struct xdp_md *ctx)\n{\n\treturn 1;\n}\n";
    const HEADER: &str =
        "struct other_t {\n\tu32 pid;\n};\nstruct event_t\n{\n\tu64 time; // the pid's\n\tu32 pid;\n};\n";

    #[test]
    fn declarations_are_found_in_the_source_and_in_what_it_includes() {
        let folder = tempfile::tempdir().unwrap();
        let (main, header) = (folder.path().join("probe.c"), folder.path().join("types.h"));
        fs::write(&main, SOURCE).unwrap();
        fs::write(&header, HEADER).unwrap();
        let sources = Sources::from_file(&main);
        let place = |file: &Path, line| Place { file: file.to_owned(), line };
        assert_eq!(sources.map("events"), place(&main, Some(5)));
        assert_eq!(sources.program("xdp"), place(&main, Some(7)));
        assert_eq!(sources.field("event_t", "pid"), Some(place(&header, Some(7))));
        assert_eq!(sources.field("event_t", "comm"), None);
        assert_eq!(sources.map("unknown"), place(&main, None));
    }

    #[test]
    fn a_struct_is_zeroed_where_each_of_its_variables_is() {
        let zeroed = |text: &str| {
            let sources = Sources { main: "a.c".into(), files: vec![("a.c".into(), text.into())], programs: vec![] };
            sources.is_zeroed("ev")
        };
        for text in [
            "struct ev e = {};",
            "struct ev e = {0};\nstruct ev { u64 a; };",
            "\tstruct ev e = { };",
            "struct ev *e = reserve();\n__builtin_memset(e, 0, sizeof(*e));",
            "struct ev e;\nmemset(&e, 0, sizeof(e));",
        ] {
            assert!(zeroed(text), "{text}");
        }
        for text in [
            "",
            "struct ev { u64 a; };",
            "__type(value, struct ev);",
            "struct ev e;",
            "struct ev e = {};\nstruct ev other = { .a = 1 };",
            "struct ev *e = reserve();\ne->a = 1;",
            "struct event e = {};",
            "struct ev e;\nmemset(&other, 0, 8);",
        ] {
            assert!(!zeroed(text), "{text}");
        }
    }

    #[test]
    fn an_object_that_says_nothing_has_no_lines() {
        let object = Path::new("probe.o");
        let sources = Sources::from_object(object, &[0x7f, b'E', b'L', b'F', 0xff]);
        assert_eq!(sources.map("events"), Place { file: object.to_owned(), line: None });
    }
}
