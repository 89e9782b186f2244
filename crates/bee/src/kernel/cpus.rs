//! Which CPUs there are. A per-CPU map has a value for each that may ever be there, in the order of their numbers; many virtual machines
//! may get a hundred and have two.

use std::fs;

use crate::kernel::map_reader::{Elements, stride};

const DIRECTORY: &str = "/sys/devices/system/cpu";
/// More than the kernel can be built for (NR_CPUS).
const MOST: u32 = 1 << 16;

/// Elements of a per-CPU map become an element for each CPU that is there, whose key ends in the CPU's number.
pub fn split(elements: &Elements, value_size: usize) -> Elements {
    let each = stride(value_size).max(1);
    let cpus = present(elements.value_size / each);
    let mut split = Elements { key_size: elements.key_size + size_of::<u32>(), value_size, ..Elements::default() };
    split.keys.reserve(elements.len() * cpus.len() * split.key_size);
    split.values.reserve(elements.len() * cpus.len() * value_size);
    for (key, values) in elements.iter() {
        for (place, number) in &cpus {
            if let Some(value) = values.get(place * each..place * each + value_size) {
                split.keys.extend_from_slice(key);
                split.keys.extend(number.to_le_bytes());
                split.values.extend_from_slice(value);
            }
        }
    }
    split
}

/// How many CPUs a map has elements of.
pub fn count() -> usize {
    present(libbpf_rs::num_possible_cpus().unwrap_or(1)).len()
}

/// The CPUs that are there, of so many that may be: where the values of each are, and its number.
fn present(possible: usize) -> Vec<(usize, u32)> {
    let mut numbers = numbers("possible");
    if numbers.len() != possible {
        numbers = (0..u32::try_from(possible).unwrap_or(MOST)).collect();
    }
    let present = self::numbers("present");
    let all = numbers.into_iter().enumerate();
    all.filter(|(_, number)| present.is_empty() || present.contains(number)).collect()
}

fn numbers(which: &str) -> Vec<u32> {
    fs::read_to_string(format!("{DIRECTORY}/{which}")).map(|list| parse(&list)).unwrap_or_default()
}

/// As in `0-3,8`; none of what is no such list.
fn parse(list: &str) -> Vec<u32> {
    let mut numbers = vec![];
    for range in list.trim().split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) else { return vec![] };
        numbers.extend(first..=last.min(MOST));
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus_are_ranges_and_numbers() {
        assert_eq!(parse("0-3,8\n"), [0, 1, 2, 3, 8]);
        assert_eq!(parse("0"), [0]);
        assert!(["", "a-b", "3-"].iter().all(|list| parse(list).is_empty()));
        assert!(parse("0-4294967295").len() <= 1 + MOST as usize);
    }

    #[test]
    fn each_cpu_has_its_value_under_the_key_and_its_number() {
        let possible = libbpf_rs::num_possible_cpus().unwrap();
        let values: Vec<u8> = (0..possible).flat_map(|cpu| [cpu as u8, 7, 9, 9, 9, 9, 9, 9]).collect();
        let elements = Elements { keys: vec![5], values, key_size: 1, value_size: 8 * possible };
        let split = split(&elements, 2);
        assert_eq!((split.key_size, split.value_size, split.len()), (5, 2, count()));
        assert!(split.iter().all(|(key, value)| key[0] == 5 && key[1..5] == [value[0], 0, 0, 0] && value[1] == 7));
    }
}
