//! What users tell the nodes of registries, in containerd's form: `registries/HOST:PORT/hosts.toml`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use toml::Value;

use super::node::view;

/// Files that name an authority or a client's key.
const FILES: [&str; 2] = ["ca", "client"];

/// The files that some hosts.toml names where no node sees them. One that is damaged is containerd's to tell of.
pub fn hidden_files(folder: &Path) -> Vec<PathBuf> {
    let mut hidden = vec![];
    for registry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let text = fs::read_to_string(registry.path().join("hosts.toml")).unwrap_or_default();
        let hosts = text.parse::<toml::Table>().map(Value::Table).unwrap_or(Value::Boolean(false));
        let mut named = vec![];
        collect(&hosts, false, &mut named);
        hidden.extend(named.into_iter().filter(|file| file.is_absolute() && !view::shows(file)));
    }
    hidden
}

/// The texts of these keys: one, a list, or a list of pairs.
fn collect(value: &Value, is_file: bool, files: &mut Vec<PathBuf>) {
    match value {
        Value::String(text) if is_file => files.push(text.into()),
        Value::Array(values) => values.iter().for_each(|value| collect(value, is_file, files)),
        Value::Table(table) => {
            table.iter().for_each(|(key, value)| collect(value, FILES.contains(&key.as_str()), files))
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_no_node_sees_are_found_in_every_form() {
        let folder = tempfile::tempdir().unwrap();
        let texts = [
            "[host.\"https://a:5000\"]\nca = \"/home/student/ca.pem\"",
            "ca = [\"/etc/ssl/certs/b.pem\", \"beside.pem\", \"/root/c.pem\"]",
            "[host.\"https://c\"]\nclient = [[\"/srv/c.crt\", \"/srv/c.key\"]]\nserver = \"/not/a/file\"",
            "no toml {",
        ];
        for (index, text) in texts.iter().enumerate() {
            let registry = folder.path().join(format!("registry-{index}:5000"));
            fs::create_dir(&registry).unwrap();
            fs::write(registry.join("hosts.toml"), text).unwrap();
        }
        let mut hidden = hidden_files(folder.path());
        hidden.sort();
        assert_eq!(hidden, ["/home/student/ca.pem", "/root/c.pem", "/srv/c.crt", "/srv/c.key"].map(PathBuf::from));
    }
}
