//! Types that older kernels have and the newest has no more: probes that were written for those use them, and CO-RE tells at load whether
//! the kernel at hand has them. Works on headers as libbpf prints them, a blank line between any two types.

use std::collections::BTreeSet;

/// The types of `older` whose names `newest` does not define, in their order, which puts what a type is made of before it.
pub fn missing(newest: &str, older: &str) -> String {
    let mut known = words_of_all(newest);
    let mut refused = BTreeSet::<String>::new();
    let mut text = String::new();
    for block in blocks(older) {
        let Some(name) = name(block) else { continue };
        if is_known(&known, &name) {
            continue;
        }
        // libbpf numbers types of one name, in each kernel otherwise.
        let clashes = name.contains("___") || enumerators(block).any(|enumerator| known.contains(enumerator));
        if clashes || refused.iter().any(|refused| is_made_of(block, refused)) {
            refused.insert(name);
            continue;
        }
        known.extend(enumerators(block).map(str::to_owned));
        known.insert(name);
        text.push('\n');
        text.push_str(block);
        text.push('\n');
    }
    text
}

fn blocks(header: &str) -> impl Iterator<Item = &str> {
    let blocks = header.split("\n\n").map(|block| block.trim_matches('\n'));
    blocks.filter(|block| ["struct ", "union ", "enum ", "typedef "].iter().any(|word| block.starts_with(word)))
}

/// What a header defines: types, as `struct x` or the name of a typedef, and enumerators.
fn words_of_all(header: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for block in blocks(header) {
        words.extend(name(block));
        words.extend(enumerators(block).map(str::to_owned));
    }
    words
}

/// `struct x`, `enum x`, or a typedef's name; nothing for what has none. One that is only announced is another word than its definition.
fn name(block: &str) -> Option<String> {
    let Some(typedef) = block.strip_prefix("typedef ") else {
        let first = block.lines().next()?;
        let tag = first
            .strip_suffix(" {};")
            .or_else(|| first.strip_suffix(" {"))
            .or_else(|| first.ends_with(';').then_some(first))?;
        return tag.contains(' ').then(|| tag.to_owned());
    };
    let declared = match typedef.split_once("(*") {
        Some((before, rest)) if !before.contains('{') => rest.split(')').next()?,
        _ => typedef.lines().last()?.trim_end_matches(';').split('[').next()?,
    };
    let letters = declared.rsplit(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next()?;
    (!letters.is_empty()).then(|| letters.to_owned())
}

/// Structures, unions and enums share their names.
fn is_known(known: &BTreeSet<String>, name: &str) -> bool {
    match name.split_once(' ') {
        Some((_, tag)) => ["struct", "union", "enum"].iter().any(|kind| known.contains(&format!("{kind} {tag}"))),
        None => known.contains(name),
    }
}

fn enumerators(block: &str) -> impl Iterator<Item = &str> {
    let is_enum = block.starts_with("enum ") || block.starts_with("typedef enum ");
    let lines = block.lines().skip(1).filter(move |_| is_enum);
    lines.filter_map(|line| line.trim_start().split_once(" = ").map(|(enumerator, _)| enumerator))
}

/// Whether a type has a member (or is a typedef) of another: not only a pointer to it.
fn is_made_of(block: &str, other: &str) -> bool {
    block.lines().any(|line| {
        let line = line.trim_start().trim_start_matches("typedef ");
        line.strip_prefix(other).is_some_and(|rest| rest.starts_with(' ') && !rest.starts_with(" *"))
    })
}

#[cfg(test)]
mod tests {
    use super::missing;

    #[test]
    fn only_what_the_newest_lacks_is_added_and_nothing_that_clashes_with_it() {
        let newest = "struct a {\n\tint x;\n};\n\nenum {\n\tONE = 1,\n};\n\ntypedef int number;\n\nstruct gone;\n\nstruct empty {\n\tint x;\n};\n\n";
        let older = "struct a {\n\tlong x;\n};\n\nenum old {\n\tONE = 1,\n};\n\nenum kept {\n\tTWO = 2,\n};\n\n\
                     struct of_old {\n\tenum old o;\n};\n\nstruct gone {\n\tnumber n;\n\tenum kept k;\n};\n\n\
                     typedef int (*call)(struct a *);\n\ntypedef struct {\n\tint y;\n} pair;\n\ntypedef int number;\n\nstruct empty {};\n\n";
        let added = missing(newest, older);
        for word in ["enum kept {", "struct gone {", "(*call)", "} pair;"] {
            assert!(added.contains(word), "{word}: {added}");
        }
        for word in ["struct a {", "enum old", "number;", "struct empty"] {
            assert!(!added.contains(word), "{word}: {added}");
        }
        assert_eq!(missing(older, older), "");
    }
}
