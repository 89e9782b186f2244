//! The names of places in the kernel's code, from `/proc/kallsyms`.

use std::fs;

/// Functions by where they begin.
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
            let (Some(address), Some("t" | "T" | "w" | "W"), Some(name)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let Ok(address @ 1..) = u64::from_str_radix(address, 16) else { continue };
            let Ok(start) = u32::try_from(symbols.names.len()) else { break };
            symbols.starts.push((address, start));
            symbols.names.push_str(name);
            symbols.names.push('\n');
        }
        symbols.starts.sort_unstable();
        symbols
    }

    /// `tcp_connect+0x1f`, without the distance at the very beginning; `None` below the first function.
    pub fn name(&self, address: u64) -> Option<String> {
        let after = self.starts.partition_point(|(start, _)| *start <= address);
        let (start, name) = self.starts.get(after.checked_sub(1)?)?;
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
        assert_eq!(name(0xffff_ffff_8100_001f).as_deref(), Some("tcp_v4_connect+0x1f"), "data is no place in the code");
        assert_eq!(name(0xffff_ffff_8100_0021).as_deref(), Some("tcp_connect+0x1"));
        assert_eq!(name(0xffff_ffff_c000_0000).as_deref(), Some("f"));
        assert_eq!(name(0x1000), None);
    }

    #[test]
    fn addresses_that_the_kernel_hides_name_nothing() {
        assert_eq!(Symbols::parse("0000000000000000 T tcp_connect\n").name(0xffff_ffff_8100_0000), None);
    }
}
