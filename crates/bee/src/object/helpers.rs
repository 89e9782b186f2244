//! Which of the kernel's helpers an object's programs call.

use crate::object::Error;
use crate::object::elf::{Elf, u32_at};
use crate::object::functions::Symbols;

/// One instruction: its code, registers, offset and immediate value.
const INSTRUCTION: usize = 8;
/// `BPF_JMP | BPF_CALL`, of a helper where the source register is 0.
const CALL: u8 = 0x85;
/// `bpf_trace_printk` and `bpf_trace_vprintk`, of which `bpf_printk` takes the second for more than three values.
const PRINTK: [u32; 2] = [6, 177];

/// Whether a program calls `bpf_printk`.
pub fn prints(elf: &Elf) -> Result<bool, Error> {
    let symbols = Symbols::parse(elf)?;
    for function in symbols.functions().into_values() {
        let Some(section) = elf.sections.get(function.section) else { continue };
        let code = elf.bytes_of(section)?.get(function.value as usize..).unwrap_or_default();
        let code = &code[..code.len().min(function.size as usize)];
        if code.chunks_exact(INSTRUCTION).any(calls_printk) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn calls_printk(instruction: &[u8]) -> bool {
    let is_call = instruction[0] == CALL && instruction[1] >> 4 == 0;
    is_call && u32_at(instruction, 4).is_ok_and(|number| PRINTK.contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_printk_are_told_from_others() {
        let call = |registers, number: u8| [CALL, registers, 0, 0, number, 0, 0, 0];
        assert!(calls_printk(&call(0, 6)) && calls_printk(&call(0, 177)));
        assert!(!calls_printk(&call(0, 1)), "a look-up");
        assert!(!calls_printk(&call(0x10, 6)) && !calls_printk(&call(0x20, 6)), "a function, a kfunc");
        assert!(!calls_printk(&[0xb7, 0, 0, 0, 6, 0, 0, 0]), "a number");
    }
}
