//! Programs written for several hooks: a name that ends in `___VARIANT` belongs to that variant, one without always loads.
//!
//! Three underscores are CO-RE's mark for a flavour; two occur in ordinary names.

/// What a program's name says.
pub fn variant_of(program: &str) -> Option<&str> {
    program.rsplit_once("___").map(|(_, variant)| variant).filter(|variant| !variant.is_empty())
}

/// The variants of an object's programs in the order in which they stand; a single nameless one if there are none.
pub fn variants<'a>(programs: impl IntoIterator<Item = &'a str>) -> Vec<Option<String>> {
    let mut found = vec![];
    for variant in programs.into_iter().filter_map(variant_of) {
        if !found.iter().any(|known: &Option<String>| known.as_deref() == Some(variant)) {
            found.push(Some(variant.to_owned()));
        }
    }
    if found.is_empty() { vec![None] } else { found }
}

/// A variant was asked for that the probe does not have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the probe has no variant {wanted}; {}", describe(known))]
pub struct NoSuchVariant {
    wanted: String,
    known: Vec<String>,
}

fn describe(known: &[String]) -> String {
    if known.is_empty() {
        return "its programs are written for one hook each".to_owned();
    }
    format!("it has {}", known.join(", "))
}

/// The variants to try: the one that was asked for, or all.
pub fn choose(all: Vec<Option<String>>, wanted: Option<&str>) -> Result<Vec<Option<String>>, NoSuchVariant> {
    let Some(wanted) = wanted else { return Ok(all) };
    let wanted = wanted.to_owned();
    if all.iter().flatten().any(|variant| *variant == wanted) {
        return Ok(vec![Some(wanted)]);
    }
    Err(NoSuchVariant { wanted, known: all.into_iter().flatten().collect() })
}

/// Whether a program loads when this variant is tried.
pub fn belongs(program: &str, variant: Option<&str>) -> bool {
    variant_of(program).is_none_or(|of| Some(of) == variant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variants_come_in_the_order_of_their_programs() {
        let programs = ["connect___tp_btf", "common", "connect___kprobe", "close___tp_btf"];
        assert_eq!(variants(programs), [Some("tp_btf".to_owned()), Some("kprobe".to_owned())]);
        assert_eq!(variants(["tracepoint__syscalls__sys_enter_open"]), [None]);
    }

    #[test]
    fn all_variants_are_tried_unless_one_is_chosen() {
        let all = || variants(["connect___tp_btf", "connect___kprobe"]);
        assert_eq!(choose(all(), None).unwrap(), all());
        assert_eq!(choose(all(), Some("kprobe")).unwrap(), [Some("kprobe".to_owned())]);
    }

    #[test]
    fn an_unknown_variant_is_refused_with_those_that_there_are() {
        let refused =
            |programs: &[&str]| choose(variants(programs.iter().copied()), Some("fentry")).unwrap_err().to_string();
        assert_eq!(
            refused(&["connect___tp_btf", "connect___kprobe"]),
            "the probe has no variant fentry; it has tp_btf, kprobe"
        );
        assert_eq!(
            refused(&["connect"]),
            "the probe has no variant fentry; its programs are written for one hook each"
        );
    }

    #[test]
    fn a_program_without_a_mark_belongs_to_every_variant() {
        assert!(belongs("common", Some("kprobe")) && belongs("common", None));
        assert!(belongs("connect___kprobe", Some("kprobe")));
        assert!(!belongs("connect___kprobe", Some("tp_btf")));
    }
}
