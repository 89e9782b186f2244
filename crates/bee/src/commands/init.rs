//! `bee init`: asks for what no option says, and writes the probe.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bee::atomic_file;
use bee::init::{Language, Template};
use clap::ValueEnum;
use clikit::print;
use inquire::{Confirm, Select, Text};

use crate::cli::Init;

pub fn run(arguments: &Init) -> Result<()> {
    let on_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    if !on_terminal {
        refuse_questions(arguments)?;
    }
    let Language::C = match (arguments.language, on_terminal) {
        (Some(language), _) => language,
        (None, true) => choose("What language do you wish to use for the filter:")?,
        (None, false) => Language::C,
    };
    let template = Template {
        program_type: or_choose(arguments.program_type, "What type of program to initialize:")?,
        map: or_choose(arguments.map, "What type of map should we initialize:")?,
        output: or_choose(arguments.output_type, "What type of output would you like from your map:")?,
    };
    let file = match &arguments.file {
        Some(file) => file.clone(),
        None => {
            PathBuf::from(super::answered(Text::new("BPF Program File Location:").with_default("probe.c").prompt())?)
        }
    };
    write(&file, &template.source(), on_terminal)?;
    print::note(format_args!("wrote {file}; next: bee build {file} my_probe:v1", file = file.display()));
    Ok(())
}

/// All that is missing at once, not one option a try.
fn refuse_questions(arguments: &Init) -> Result<()> {
    let mut missing = vec![];
    for (option, is_missing) in [
        ("--program-type", arguments.program_type.is_none()),
        ("--map", arguments.map.is_none()),
        ("--output-type", arguments.output_type.is_none()),
        ("--file", arguments.file.is_none()),
    ] {
        if is_missing {
            missing.push(option);
        }
    }
    if !missing.is_empty() {
        bail!("there is no terminal to ask on: give {}", missing.join(", "));
    }
    Ok(())
}

fn or_choose<T: ValueEnum + Display>(given: Option<T>, question: &str) -> Result<T> {
    given.map_or_else(|| choose(question), Ok)
}

fn choose<T: ValueEnum + Display>(question: &str) -> Result<T> {
    super::answered(Select::new(question, T::value_variants().to_vec()).prompt())
}

fn write(file: &Path, source: &str, on_terminal: bool) -> Result<()> {
    match atomic_file::create(file, source.as_bytes()) {
        Err(why) if why.kind() == ErrorKind::AlreadyExists => {
            let question = format!("{} exists. Overwrite it?", file.display());
            if !on_terminal || !super::answered(Confirm::new(&question).with_default(false).prompt())? {
                bail!("{} exists and stays as it is: name another file with --file", file.display());
            }
            atomic_file::replace(file, source.as_bytes())
        }
        other => other,
    }
    .with_context(|| format!("failed to write {}", file.display()))
}
