//! No module of any crate imports in a circle: a crate's top-level modules can be read from the bottom up.

#![allow(clippy::unwrap_used, reason = "a test that can't go on says so by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// By each module of a crate, those that it imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

#[test]
fn no_crates_modules_import_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut crates: Vec<_> = fs::read_dir(root.join("crates")).unwrap().map(|entry| entry.unwrap().path()).collect();
    crates.push(root.join("xtask"));
    for folder in &crates {
        let imports = imports(&folder.join("src"));
        assert_eq!(circle(&imports), None, "{}", folder.display());
    }
    let bee = imports(&root.join("crates/bee/src"));
    assert!(bee["run"].contains("kernel") && bee["kernel"].contains("object"), "imports are found: {bee:?}");
}

#[test]
fn a_circle_is_found_wherever_it_begins() {
    let imports = |pairs: &[(&str, &str)]| {
        let mut imports = Imports::new();
        for (from, to) in pairs {
            imports.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        imports
    };
    assert_eq!(circle(&imports(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
    let found = circle(&imports(&[("a", "b"), ("b", "c"), ("c", "b")]));
    assert_eq!(found, Some(["b", "c"].map(str::to_owned).to_vec()));
}

/// The imports between top-level modules, of code that is not tests'.
fn imports(source: &Path) -> Imports {
    let mut imports = Imports::new();
    for file in files(source) {
        let module = top(file.strip_prefix(source).unwrap());
        if ["lib", "main"].contains(&module.as_str()) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let code: Vec<_> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let found = imports.entry(module.clone()).or_default();
        found.extend(imported(&code.join("\n")).filter(|name| is_module(source, name) && *name != module));
    }
    imports
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// `output` for `output/terminal/mod.rs`.
fn top(path: &Path) -> String {
    Path::new(path.components().next().unwrap().as_os_str()).with_extension("").display().to_string()
}

fn is_module(source: &Path, name: &str) -> bool {
    source.join(name).is_dir() || source.join(format!("{name}.rs")).is_file()
}

/// The names behind `crate::`, alone or in braces.
fn imported(code: &str) -> impl Iterator<Item = String> {
    let mut names = vec![];
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            None => names.push(name(rest)),
            Some(list) => names.extend(list_of(list).into_iter().map(name)),
        }
    }
    names.into_iter()
}

/// The items of a list that is closed by a brace.
fn list_of(list: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut items) = (0, 0, vec![]);
    for (at, character) in list.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                items.push(list[begin..at].trim());
                begin = at + 1;
                if character == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    items
}

fn name(path: &str) -> String {
    path.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}

/// Modules that each lead to the next, and the last to the first.
fn circle(imports: &Imports) -> Option<Vec<String>> {
    imports.keys().find_map(|module| way_back(imports, vec![module.clone()], &mut BTreeSet::new()))
}

fn way_back(imports: &Imports, way: Vec<String>, seen: &mut BTreeSet<String>) -> Option<Vec<String>> {
    let last = way.last()?;
    for next in imports.get(last)? {
        if *next == way[0] {
            return Some(way);
        }
        if seen.insert(next.clone()) {
            let further = [way.clone(), vec![next.clone()]].concat();
            if let Some(circle) = way_back(imports, further, seen) {
                return Some(circle);
            }
        }
    }
    None
}
