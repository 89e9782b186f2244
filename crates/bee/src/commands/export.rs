//! `bee export`.

use anyhow::{Context, Result};
use bee::atomic_file;
use clikit::print;

use crate::cli::{Cli, Export};

pub fn run(cli: &Cli, arguments: &Export) -> Result<()> {
    let mut archive = vec![];
    super::store(cli)?.export(&arguments.references, &mut archive)?;
    let file = arguments.output.display();
    atomic_file::replace(&arguments.output, &archive).with_context(|| format!("failed to write {file}"))?;
    print::note(format_args!("wrote {} probes to {file}, {} bytes", arguments.references.len(), archive.len()));
    Ok(())
}
