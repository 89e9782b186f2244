//! What libbpf's warnings name: a map that can't be created, or something that the object wants of the kernel and it has not. Its errors
//! are numbers only.

use std::path::Path;

/// What every message begins with.
const PREFIX: &str = "libbpf: ";
/// What says no more than the error that it stands beside.
const GENERAL: [&str; 3] = ["failed to load object", "failed to load BPF skeleton", "-- BEGIN PROG LOAD LOG"];

/// The map that was not created, and the kernel's error, as in `-EINVAL`.
pub fn failed_map(warnings: &[String]) -> Option<(String, String)> {
    for warning in lines(warnings) {
        let Some((name, rest)) = warning.strip_prefix("map '").and_then(|rest| rest.split_once("': ")) else {
            continue;
        };
        if rest.starts_with("failed to create") {
            let error = rest.rsplit(": ").next().unwrap_or_default();
            return Some((name.to_owned(), error.trim().to_owned()));
        }
    }
    None
}

/// What of the kernel's an object names that this one lacks.
pub fn missing_symbol(warnings: &[String]) -> Option<String> {
    lines(warnings).find_map(missing)
}

fn missing(warning: &str) -> Option<String> {
    if warning.starts_with("failed to open system Kconfig") {
        return Some(no_configuration());
    }
    let (kind, rest) = warning.strip_prefix("extern ")?.split_once('\'')?;
    let (name, rest) = rest.split_once('\'')?;
    let weak = format!("declare it __weak where the probe can do without ({name} is 0 then)");
    match kind.trim() {
        "(func ksym)" if rest.contains("not found") => Some(format!("this kernel has no kfunc {name}: {weak}")),
        "(func ksym)" if rest.contains("incompatible") => Some(format!(
            "kfunc {name} has another prototype in this kernel: declare it as `bee build --vmlinux kernel` has it"
        )),
        "(var ksym)" if rest.contains("not found") => {
            Some(format!("this kernel's types (BTF) have no variable {name}: {weak}"))
        }
        "" if rest.contains("not resolved") && name.starts_with("CONFIG_") => {
            Some(format!("this kernel's configuration has no {name}: {weak}"))
        }
        "" if rest.contains("not resolved") => Some(format!("this kernel has no symbol {name}: {weak}")),
        _ => Some(warning.to_owned()),
    }
}

fn no_configuration() -> String {
    let shown = if Path::new("/proc/config.gz").exists() { "is not readable" } else { "is not shown" };
    format!(
        "this kernel's configuration {shown} (/proc/config.gz, /boot/config-RELEASE), and the probe asks for it with __kconfig: declare \
         what it asks for __weak, or mount the file"
    )
}

/// libbpf's own sentence on what failed.
pub fn sentence(warnings: &[String]) -> Option<String> {
    let says_something = |line: &&str| !GENERAL.iter().any(|general| line.contains(general)) && !line.is_empty();
    let sentence = lines(warnings).filter(says_something).last()?;
    let fix = if sentence.contains("legacy map definitions") {
        ": define each as struct { __uint(type, …); … } NAME SEC(\".maps\")"
    } else if sentence.contains("map linkage static") {
        ": take the word `static` away"
    } else {
        ""
    };
    Some(format!("{}{fix}", sentence.trim_end_matches('.')))
}

/// The first line of each warning.
fn lines(warnings: &[String]) -> impl Iterator<Item = &str> {
    let first = warnings.iter().filter_map(|warning| warning.lines().next());
    first.map(|line| line.strip_prefix(PREFIX).unwrap_or(line).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| format!("libbpf: {line}\n")).collect()
    }

    #[test]
    fn a_map_that_is_not_created_is_named_with_the_kernels_error() {
        let named = |line| failed_map(&said(&["elf: skipping section", line, "failed to load object 'bee'"]));
        assert_eq!(named("map 'stacks': failed to create: -EINVAL"), Some(("stacks".into(), "-EINVAL".into())));
        assert_eq!(named("map 'a': failed to create inner map: -E2BIG"), Some(("a".into(), "-E2BIG".into())));
        assert_eq!(named("prog 'p': failed to load: -EINVAL"), None);
    }

    #[test]
    fn what_the_kernel_lacks_is_named_for_what_it_is() {
        for (line, begins) in [
            ("extern 'CONFIG_NO' (strong): not resolved", "this kernel's configuration has no CONFIG_NO"),
            ("extern 'runqueues' (strong): not resolved", "this kernel has no symbol runqueues"),
            ("extern (func ksym) 'bpf_x': not found in kernel or module BTFs", "this kernel has no kfunc bpf_x"),
            (
                "extern (func ksym) 'bpf_x': func_proto [7] incompatible with vmlinux [9]",
                "kfunc bpf_x has another prototype",
            ),
            ("extern (var ksym) 'runq': not found in kernel BTF", "this kernel's types (BTF) have no variable runq"),
            ("extern (kcfg) 'CONFIG_HZ': value '1000' doesn't fit in 1 bytes", "extern (kcfg) 'CONFIG_HZ': value"),
            ("failed to open system Kconfig", "this kernel's configuration is not"),
        ] {
            let missing = missing_symbol(&said(&[line])).unwrap();
            assert!(missing.starts_with(begins), "{missing}");
        }
        assert_eq!(missing_symbol(&said(&["map 'm': failed to create: -EINVAL"])), None);
    }

    #[test]
    fn libbpfs_own_sentence_is_the_last_that_says_something() {
        let sentence = |lines: &[&str]| sentence(&said(lines));
        assert_eq!(
            sentence(&["map 'm': unknown field 'size'.", "failed to load object 'bee'"]).as_deref(),
            Some("map 'm': unknown field 'size'")
        );
        assert!(sentence(&["map 'm': unsupported map linkage static."]).unwrap().ends_with("`static` away"));
        assert_eq!(sentence(&[]), None);
    }
}
