//! `bee describe`.

use anyhow::Result;
use bee::store::{Config, Description, Entry, Map};
use clikit::print;
use serde_json::json;

use crate::cli::{Cli, Describe};

/// Before the names of annotations that OCI knows.
const OCI: &str = "org.opencontainers.image.";

const NOT_SAID: &str = "not said";

pub fn run(cli: &Cli, arguments: &Describe) -> Result<()> {
    let described = super::store(cli)?.describe(&arguments.reference)?;
    if arguments.json {
        return Ok(print::json(format_args!("{:#}", object(&described)))?);
    }
    for line in lines(&described) {
        print::line(line)?;
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
        "parameters": config.parameters,
    })
}

fn lines(Description { entry, annotations, config }: &Description) -> Vec<String> {
    let Entry { reference, digest, created, size, .. } = entry;

    let mut lines = vec![
        line("name", reference),
        line("digest", digest),
        line("platform", &super::platform(entry).unwrap_or_else(|| NOT_SAID.to_owned())),
        line("created", &created.map_or_else(|| NOT_SAID.to_owned(), |time| time.to_string())),
        line("size", &size.as_ref().map_or_else(ToString::to_string, |size| format!("{size} bytes"))),
    ];
    lines.extend(annotations.iter().map(|(name, value)| line(name.strip_prefix(OCI).unwrap_or(name), value)));
    let Config { programs, maps, parameters, .. } = config;
    lines.extend(programs.iter().map(|program| line("program", &format!("{}, {}", program.name, program.section))));
    lines.extend(maps.iter().map(|map| line("map", &words(map))));
    lines.extend(parameters.iter().map(|parameter| line("parameter", &parameter.to_string())));
    lines
}

fn words(Map { name, r#type: type_, max_entries, kind, metric, metrics, labels }: &Map) -> String {
    let labels = labels.join(", ");
    let metrics: Vec<_> = metric.iter().chain(metrics).map(|metric| format!("{metric}{{{labels}}}")).collect();
    let export = match kind {
        Some(_) if metrics.is_empty() => format!("; printed: {labels}"),
        Some(kind) => format!("; {kind} {}", metrics.join(", ")),
        None => String::new(),
    };
    format!("{name}, {type_}, {max_entries} entries{export}")
}

fn line(name: &str, value: &str) -> String {
    format!("{name:<12} {value}")
}
