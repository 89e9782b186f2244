//! The names of places in the kernel's code, from `/proc/kallsyms`.

use std::fs;

/// No function of the kernel is longer: what lies further behind the last symbol of a stretch of code is in none.
const LONGEST: u64 = 1 << 18;
/// Symbols that stand where code ends.
const ENDS: [&str; 4] = ["_etext", "_einittext", "__init_end", "_end"];
/// The name of what is not a function.
const NO_NAME: u32 = u32::MAX;

/// Functions by where they begin, and what else begins where one ends.
#[derive(Debug, Default)]
pub struct Symbols {
    /// Address, and where the name begins in `names`; sorted.
    starts: Vec<(u64, u32)>,
    /// One after the other, each ended by a newline.
    names: String,
}

impl Symbols {
    /// Those of this kernel; none without the right to see addresses (`kernel.kptr_restrict`, CAP_SYSLOG).
    pub fn of_kernel() -> Self {
        Self::parse(&fs::read_to_string("/proc/kallsyms").unwrap_or_default())
    }

    /// Reads lines of `ADDRESS KIND NAME [MODULE]`.
    fn parse(listing: &str) -> Self {
        let mut symbols = Self::default();
        for line in listing.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(address), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) else { continue };
            let Ok(address @ 1..) = u64::from_str_radix(address, 16) else { continue };
            if !matches!(kind, "t" | "T" | "w" | "W") || ENDS.contains(&name) {
                symbols.starts.push((address, NO_NAME));
                continue;
            }
            let Some(start) = u32::try_from(symbols.names.len()).ok().filter(|start| *start < NO_NAME) else { break };
            symbols.starts.push((address, start));
            symbols.names.push_str(name);
            symbols.names.push('\n');
        }
        symbols.starts.sort_unstable();
        symbols
    }

    /// `tcp_connect+0x1f`, without the distance at the very beginning; `None` outside of every function.
    pub fn name(&self, address: u64) -> Option<String> {
        let after = self.starts.partition_point(|(start, _)| *start <= address);
        let (start, name) = self.starts.get(after.checked_sub(1)?)?;
        if *name == NO_NAME || address - start > LONGEST {
            return None;
        }
        let name = self.names.get(*name as usize..)?.lines().next()?;
        Some(if *start == address { name.to_owned() } else { format!("{name}+{:#x}", address - start) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_belongs_to_the_function_that_begins_before_it() {
        let symbols = Symbols::parse(
            "ffffffff81000020 T tcp_connect\nffffffff81000000 t tcp_v4_connect\nffffffff81000010 d data\nffffffffc0000000 t f\t[nf]\n",
        );
        let name = |address| symbols.name(address);
        assert_eq!(name(0xffff_ffff_8100_0000).as_deref(), Some("tcp_v4_connect"));
        assert_eq!(name(0xffff_ffff_8100_000f).as_deref(), Some("tcp_v4_connect+0xf"));
        assert_eq!(name(0xffff_ffff_8100_001f), None, "in data");
        assert_eq!(name(0xffff_ffff_8100_0021).as_deref(), Some("tcp_connect+0x1"));
        assert_eq!(name(0xffff_ffff_c000_0000).as_deref(), Some("f"));
        assert_eq!(name(0x1000), None);
        assert_eq!(name(0xffff_ffff_8200_0000), None, "far behind the last function of the kernel's own");
        assert_eq!(
            Symbols::parse("ffffffff81000000 T f\nffffffff81000010 T _etext\n").name(0xffff_ffff_8100_0011),
            None
        );
    }

    #[test]
    fn addresses_that_the_kernel_hides_name_nothing() {
        assert_eq!(Symbols::parse("0000000000000000 T tcp_connect\n").name(0xffff_ffff_8100_0000), None);
    }
}
