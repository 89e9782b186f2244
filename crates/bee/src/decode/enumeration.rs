//! The values of enumerations: a name, names joined by `|` where the values are bits, or the number.
//!
//! Compilers before clang 15 mark no enumeration as signed and cut values to 32 bits, so that -1 and 0xffffffff are the same in BTF.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::decode::scalar::{number, signed, unsigned};

/// Names and values, in the order of the declaration.
pub type Names = [(String, i64)];

/// How many bits a value and its type have: fewer of a bit field.
#[derive(Debug, Clone, Copy)]
pub struct Widths {
    pub value: usize,
    pub type_: usize,
}

/// `raw` as it is shown.
pub fn show(raw: u128, widths: Widths, is_signed: bool, names: &Names) -> Value {
    if let Some(name) = name(raw, widths.value, is_signed, names) {
        return Value::String(name.to_owned());
    }
    let is_negative = may_be_negative(is_signed, names) && signed(raw, widths.value) < 0;
    if let Some(flags) = flags(widths.type_, names)
        && let Some(joined) = join(raw, &flags, is_negative)
    {
        return Value::String(joined);
    }
    if is_negative { number(signed(raw, widths.value)) } else { unsigned(raw) }
}

/// Whether some value may be less than zero.
pub fn may_be_negative(is_signed: bool, names: &Names) -> bool {
    is_signed || names.iter().any(|(_, value)| *value < 0)
}

/// The number that a text stands for: a name, or names and numbers joined by `|`.
pub fn parse(text: &str, names: &Names) -> Option<i128> {
    let mut all = 0;
    for word in text.split('|').map(str::trim) {
        all |= match names.iter().find(|(name, _)| name == word) {
            Some((_, value)) => i128::from(*value),
            None => integer(word)?,
        };
    }
    Some(all)
}

fn integer(word: &str) -> Option<i128> {
    match word.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

/// Where nothing says that the value has a sign, it is looked up without one first: three in a bit field of two bits is not -1.
fn name(raw: u128, width: usize, is_signed: bool, names: &Names) -> Option<&str> {
    let (plain, with_sign) = (i128::try_from(raw).ok()?, signed(raw, width));
    let (first, second) = if is_signed { (with_sign, plain) } else { (plain, with_sign) };
    with_value(first, names).or_else(|| with_value(second, names))
}

fn with_value(wanted: i128, names: &Names) -> Option<&str> {
    names.iter().find(|(_, value)| i128::from(*value) == wanted).map(|(name, _)| name.as_str())
}

/// The single bits and their names, if the values are made of such: all others are zero, combinations, or negative marks.
fn flags(width: usize, names: &Names) -> Option<BTreeMap<u128, &str>> {
    let mask = u128::MAX >> (128 - width.clamp(1, 128));
    let (mut bits, mut combined) = (BTreeMap::new(), vec![]);
    for (name, value) in names {
        let raw = i128::from(*value) as u128 & mask;
        if raw.is_power_of_two() {
            bits.entry(raw).or_insert(name.as_str());
        } else if *value > 0 {
            combined.push(raw);
        }
    }
    let all = bits.keys().fold(0, |all, bit| all | bit);
    let is_made_of_bits = bits.len() > 1 && combined.iter().all(|raw| raw & !all == 0);
    let is_counted = is_counted(names, bits.len(), combined.len());
    (is_made_of_bits && !is_counted).then_some(bits)
}

/// Whether the values are numbers one after the other rather than bits: 0, 1, 2 or 1, 2, 3, 4, perhaps with gaps where some were taken
/// away. Of 1 and 2 alone nobody can tell; those are bits.
fn is_counted(names: &Names, bits: usize, combined: usize) -> bool {
    let values: Vec<_> = names.iter().map(|(_, value)| *value).filter(|value| *value >= 0).collect();
    let (Some(first), Some(last)) = (values.first(), values.last()) else { return false };
    if values.len() < 3 || !values.is_sorted_by(|a, b| a < b) {
        return false;
    }
    last - first + 1 == values.len() as i64 || combined * 2 > bits
}

/// `F_READ|F_WRITE`, and what has no name in hexadecimal digits behind; nothing if no bit has one.
fn join(raw: u128, flags: &BTreeMap<u128, &str>, is_negative: bool) -> Option<String> {
    let all = flags.keys().fold(0, |all, bit| all | bit);
    let rest = raw & !all;
    if raw & all == 0 || (is_negative && rest != 0) {
        return None;
    }
    let mut words: Vec<_> =
        flags.iter().filter(|(bit, _)| raw & **bit != 0).map(|(_, name)| (*name).to_owned()).collect();
    if rest != 0 {
        words.push(format!("{rest:#x}"));
    }
    Some(words.join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn names(values: &[(&str, i64)]) -> Vec<(String, i64)> {
        values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect()
    }

    fn shown(raw: u128, width: usize, values: &[(&str, i64)]) -> Value {
        show(raw, Widths { value: width, type_: 32 }, false, &names(values))
    }

    const ACCESS: [(&str, i64); 3] = [("R", 1), ("W", 2), ("X", 4)];

    #[test]
    fn combinations_of_bits_are_their_names() {
        for (raw, expected) in [
            (0, json!(0)),
            (1, json!("R")),
            (3, json!("R|W")),
            (7, json!("R|W|X")),
            (9, json!("R|0x8")),
            (8, json!(8)),
            (0x8000_0001, json!("R|0x80000000")),
        ] {
            assert_eq!(shown(raw, 32, &ACCESS), expected, "{raw:#x}");
        }
        let more = [("NONE", 0), ("R", 1), ("W", 2), ("X", 4), ("RW", 3), ("BAD", -1)];
        for (raw, width, expected) in [
            (0, 32, json!("NONE")),
            (3, 32, json!("RW")),
            (5, 32, json!("R|X")),
            (0xffff_ffff, 32, json!("BAD")),
            (0xffff_fffe, 32, json!(-2)),
            (3, 2, json!("RW")),
        ] {
            assert_eq!(shown(raw, width, &more), expected, "{raw:#x}");
        }
        // Two bits of a bit field that has no more.
        assert_eq!(shown(3, 2, &ACCESS), json!("R|W"));
        // The highest bit of 32, as older compilers have it.
        let high = [("LOW", 1), ("HIGH", i64::from(i32::MIN))];
        assert_eq!(shown(0x8000_0001, 32, &high), json!("LOW|HIGH"));
        assert_eq!(shown(0x8000_0000, 32, &high), json!("HIGH"));
    }

    #[test]
    fn numbers_one_after_the_other_are_no_bits() {
        for values in [
            [("A", 0), ("B", 1), ("C", 2)].as_slice(),
            &[("A", 1), ("B", 2), ("C", 3), ("D", 4)],
            &[("A", 0), ("B", 1), ("C", 2), ("D", 3), ("E", 4), ("F", 5), ("G", 7), ("H", 8)],
            &[("A", 1), ("B", 2), ("C", 6)],
            &[("A", 1)],
        ] {
            assert_eq!(shown(9, 32, values), json!(9), "{values:?}");
        }
        assert_eq!(shown(3, 32, &[("A", 1), ("B", 2)]), json!("A|B"));
        assert_eq!(shown(6, 32, &[("NO", 0), ("A", 1), ("B", 2), ("C", 4)]), json!("B|C"));
    }

    #[test]
    fn signs_are_those_of_the_type() {
        let signed = names(&[("LOST", -1), ("THREE", 3)]);
        let widths = Widths { value: 2, type_: 32 };
        assert_eq!(show(3, widths, true, &signed), json!("LOST"));
        assert_eq!(show(3, widths, false, &signed), json!("THREE"));
        assert_eq!(shown(0xffff_fffe, 32, &[("LOST", -1), ("NEW", 0)]), json!(-2));
        assert_eq!(shown(0xffff_fffe, 32, &[("NEW", 0)]), json!(0xffff_fffe_u32));
        let wide = names(&[("TOP", i64::MIN), ("LOW", 1), ("MIDDLE", 1 << 40)]);
        let widths = Widths { value: 64, type_: 64 };
        assert_eq!(show(1 << 63 | 1 << 40, widths, false, &wide), json!("MIDDLE|TOP"));
        assert_eq!(show(1 << 63, widths, false, &wide), json!("TOP"));
    }

    #[test]
    fn names_joined_are_a_number_again() {
        let names = names(&ACCESS);
        for (text, number) in [("R", 1), ("R|W", 3), ("W | R", 3), ("R|0x8", 9), ("R|8", 9), ("5", 5)] {
            assert_eq!(parse(text, &names), Some(number), "{text}");
        }
        for text in ["", "R|", "R|Q", "Q"] {
            assert_eq!(parse(text, &names), None, "{text}");
        }
    }
}
