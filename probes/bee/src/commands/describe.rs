//! `bee describe`.

use anyhow::Result;
use serde_json::json;

use crate::cli::{Cli, Describe};

/// Before the names of annotations that OCI knows.
const OCI: &str = "org.opencontainers.image.";

pub fn run(cli: &Cli, arguments: &Describe) -> Result<()> {
    let (entry, annotations) = super::store(cli)?.describe(&arguments.reference)?;
    if arguments.json {
        let (name, digest, platform) = (&entry.reference, &entry.digest, &entry.platform);
        let described = json!({
            "name": name, "digest": digest, "platform": platform, "created": entry.created, "size": entry.size.as_ref().ok(),
            "annotations": annotations,
        });
        println!("{described:#}");
        return Ok(());
    }
    let line = |name: &str, value: &str| println!("{name:<12} {value}");
    line("name", &entry.reference);
    line("digest", &entry.digest);
    line("platform", entry.platform.as_deref().unwrap_or("not said"));
    line("created", &entry.created.map_or("not said".to_owned(), |time| time.to_string()));
    match &entry.size {
        Ok(size) => line("size", &format!("{size} bytes")),
        Err(why) => line("size", &why.to_string()),
    }
    for (name, value) in &annotations {
        line(name.strip_prefix(OCI).unwrap_or(name), value);
    }
    Ok(())
}
