//! `bee describe`.

use anyhow::Result;
use bee::store::{Config, Description, Entry, Map};
use serde_json::json;

use crate::cli::{Cli, Describe};

/// Before the names of annotations that OCI knows.
const OCI: &str = "org.opencontainers.image.";

pub fn run(cli: &Cli, arguments: &Describe) -> Result<()> {
    let described = super::store(cli)?.describe(&arguments.reference)?;
    match arguments.json {
        true => println!("{:#}", object(&described)),
        false => print(&described),
    }
    Ok(())
}

fn object(Description { entry, annotations, config }: &Description) -> serde_json::Value {
    json!({
        "name": entry.reference,
        "digest": entry.digest,
        "platform": super::platform(entry),
        "created": entry.created,
        "size": entry.size.as_ref().ok(),
        "annotations": annotations,
        "programs": config.programs,
        "maps": config.maps,
    })
}

fn print(Description { entry, annotations, config }: &Description) {
    let Entry { reference, digest, created, size, .. } = entry;
    line("name", reference);
    line("digest", digest);
    line("platform", &super::platform(entry).unwrap_or("not said".to_owned()));
    line("created", &created.map_or("not said".to_owned(), |time| time.to_string()));
    line("size", &size.as_ref().map_or_else(ToString::to_string, |size| format!("{size} bytes")));
    for (name, value) in annotations {
        line(name.strip_prefix(OCI).unwrap_or(name), value);
    }
    let Config { programs, maps, .. } = config;
    programs.iter().for_each(|program| line("program", &format!("{}, {}", program.name, program.section)));
    maps.iter().for_each(|map| line("map", &words(map)));
}

fn words(Map { name, r#type: type_, max_entries, kind, metric, labels }: &Map) -> String {
    let labels = labels.join(", ");
    let export = match (kind, metric) {
        (Some(kind), Some(metric)) => format!("; {kind} {metric}{{{labels}}}"),
        (Some(_), None) => format!("; printed: {labels}"),
        (None, _) => String::new(),
    };
    format!("{name}, {type_}, {max_entries} entries{export}")
}

/// What an image says comes from anybody: it takes one line, and moves no cursor.
fn line(name: &str, value: &str) {
    let [name, value] = [name, value].map(|text| text.replace(char::is_control, " "));
    println!("{name:<12} {value}");
}
