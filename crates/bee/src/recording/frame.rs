//! What a recording consists of after its header: frames of a kind, a time, a length and that many bytes.

use std::time::Duration;

use serde::Serialize;

use crate::kernel::map_reader::Elements;
use crate::kernel::prog_stats::Account;
use crate::kernel::trace_pipe::Line;
use crate::recording::functions::Named;
use crate::recording::stacks::UserNamed;
use crate::recording::{Error, FRAME_LIMIT, JSON_LIMIT, TEXT_LIMIT};

/// Kind (u8), time (u64, microseconds since the start) and length (u32).
pub const HEAD: usize = 1 + 8 + 4;

/// One thing that came to pass. Maps and probes are numbered as in a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Frame {
    /// An event of a buffer.
    Event { map: usize, record: Vec<u8> },
    /// All elements of a hash or array.
    Elements { map: usize, elements: Elements },
    /// A map has lost so many more.
    Lost { map: usize, more: u64 },
    /// An iterator wrote this.
    Text { probe: usize, program: String, text: String },
    /// A probe's programs and what they cost until now.
    Accounts { probe: usize, accounts: Vec<(String, Account)> },
    /// These functions of the kernel are in the data that follow.
    Functions(Vec<Named>),
    /// A probe's map of stacks has this one.
    Stack { probe: usize, id: u32, addresses: Vec<u64> },
    /// These functions of processes are in the data that follow.
    UserFunctions(Vec<UserNamed>),
    /// A program said this with `bpf_printk`.
    Trace(Line),
}

/// The beginning of a frame: its kind, when it was, and how many bytes follow.
pub struct Head {
    pub kind: u8,
    pub at: Duration,
    pub length: usize,
}

impl Head {
    pub fn read(bytes: [u8; HEAD]) -> Result<Self, Error> {
        let mut rest = bytes.as_slice();
        let kind = take::<1>(&mut rest)?[0];
        let at = Duration::from_micros(u64::from_le_bytes(take(&mut rest)?));
        let length = number(&mut rest)?;
        let limit = match kind {
            0..=2 => FRAME_LIMIT,
            3 => TEXT_LIMIT,
            _ => JSON_LIMIT,
        };
        if length > limit {
            return Err(Error::damaged("a frame is too long"));
        }
        Ok(Self { kind, at, length })
    }
}

/// An event as bytes, which is written far more often than anything else and without a copy of the record.
pub fn write_event(to: &mut Vec<u8>, at: Duration, map: usize, record: &[u8]) {
    write(to, 0, at, &[&(map as u32).to_le_bytes(), record]);
}

impl Frame {
    pub fn write(&self, to: &mut Vec<u8>, at: Duration) {
        match self {
            Self::Event { map, record } => write_event(to, at, *map, record),
            Self::Elements { map, elements } => {
                let Elements { keys, values, key_size, value_size } = elements;
                let sizes = [*map, *key_size, *value_size].map(|number| (number as u32).to_le_bytes()).concat();
                write(to, 1, at, &[&sizes, keys, values]);
            }
            Self::Lost { map, more } => write(to, 2, at, &[&(*map as u32).to_le_bytes(), &more.to_le_bytes()]),
            Self::Text { probe, program, text } => write(to, 3, at, &[&json(&(probe, program, text))]),
            Self::Accounts { probe, accounts } => write(to, 4, at, &[&json(&(probe, accounts))]),
            Self::Functions(named) => write(to, 5, at, &[&json(named)]),
            Self::Stack { probe, id, addresses } => write(to, 7, at, &[&json(&(probe, id, addresses))]),
            Self::UserFunctions(named) => write(to, 8, at, &[&json(named)]),
            Self::Trace(line) => write(to, 6, at, &[&json(line)]),
        }
    }

    /// Takes the bytes, of which the most are kept as they are.
    pub fn read(kind: u8, mut bytes: Vec<u8>) -> Result<Self, Error> {
        let rest = &mut bytes.as_slice();
        Ok(match kind {
            0 => {
                let map = number(rest)?;
                let record = bytes.split_off(size_of::<u32>());
                Self::Event { map, record }
            }
            1 => Self::Elements { map: number(rest)?, elements: elements(bytes)? },
            2 => Self::Lost { map: number(rest)?, more: u64::from_le_bytes(take(rest)?) },
            3 => {
                let (probe, program, text) = serde_json::from_slice(rest).map_err(Error::damaged)?;
                Self::Text { probe, program, text }
            }
            4 => {
                let (probe, accounts) = serde_json::from_slice(rest).map_err(Error::damaged)?;
                Self::Accounts { probe, accounts }
            }
            5 => Self::Functions(serde_json::from_slice(rest).map_err(Error::damaged)?),
            7 => {
                let (probe, id, addresses) = serde_json::from_slice(rest).map_err(Error::damaged)?;
                Self::Stack { probe, id, addresses }
            }
            8 => Self::UserFunctions(serde_json::from_slice(rest).map_err(Error::damaged)?),
            6 => Self::Trace(serde_json::from_slice(rest).map_err(Error::damaged)?),
            kind => return Err(Error::damaged(format!("frames of kind {kind} are unknown"))),
        })
    }
}

/// Strings and numbers always have a JSON form.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// Of a frame's bytes, which begin with the number of a map.
fn elements(mut bytes: Vec<u8>) -> Result<Elements, Error> {
    let rest = &mut bytes.as_slice();
    let (_map, key_size, value_size) = (number(rest)?, number(rest)?, number(rest)?);
    let length = rest.len();
    let size = key_size.checked_add(value_size).filter(|size| *size > 0);
    let count = size.filter(|size| length.is_multiple_of(*size)).map(|size| length / size);
    let keys = count.ok_or_else(|| Error::damaged("a map's elements have no such size"))? * key_size;
    let values = bytes.split_off(bytes.len() - length + keys);
    bytes.drain(..bytes.len() - keys);
    bytes.shrink_to_fit();
    Ok(Elements { keys: bytes, values, key_size, value_size })
}

fn write(to: &mut Vec<u8>, kind: u8, at: Duration, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    to.push(kind);
    to.extend((at.as_micros() as u64).to_le_bytes());
    to.extend((length as u32).to_le_bytes());
    for part in parts {
        to.extend_from_slice(part);
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], Error> {
    let (taken, rest) = bytes.split_first_chunk().ok_or_else(|| Error::damaged("a frame is too short"))?;
    *bytes = rest;
    Ok(*taken)
}

fn number(bytes: &mut &[u8]) -> Result<usize, Error> {
    Ok(u32::from_le_bytes(take(bytes)?) as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn frames_are_read_as_they_were_written() {
        let elements = Elements { keys: vec![1, 2, 3, 4], values: vec![5, 6], key_size: 2, value_size: 1 };
        let account = Account { runs: 3, run_time: Duration::from_nanos(7), missed: Some(1) };
        for frame in [
            Frame::Event { map: 3, record: vec![1, 2, 3] },
            Frame::Elements { map: 1, elements },
            Frame::Lost { map: 0, more: 1 << 40 },
            Frame::Text { probe: 1, program: "tasks".into(), text: "1 \"init\"\n".into() },
            Frame::Accounts { probe: 0, accounts: vec![("watch".into(), account)] },
            Frame::Functions(vec![(0xffff_ffff_8100_001f, "tcp_connect+0x1f".into())]),
            Frame::Stack { probe: 0, id: 7, addresses: vec![u64::MAX, 1] },
            Frame::UserFunctions(vec![(7, 0x1234, "main+0x1f".into())]),
            Frame::Trace(Line { whose: Some((0, "p".into())), comm: "a".into(), pid: 7, text: "b".into() }),
        ] {
            let mut bytes = vec![];
            frame.write(&mut bytes, Duration::from_secs(5));
            let head = Head::read(bytes[..HEAD].try_into().unwrap()).unwrap();
            assert_eq!((head.at, head.length), (Duration::from_secs(5), bytes.len() - HEAD));
            assert_eq!(Frame::read(head.kind, bytes[HEAD..].to_vec()).unwrap(), frame);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_frame_panic(kind in 0u8..10, bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let length = bytes.len();
            if let Ok(Frame::Elements { elements, .. }) = Frame::read(kind, bytes) {
                prop_assert!(elements.keys.len() + elements.values.len() <= length);
            }
        }

        #[test]
        fn a_frame_that_is_too_long_is_refused_by_its_head(bytes in any::<[u8; HEAD]>()) {
            let claimed = u32::from_le_bytes(bytes[9..].try_into().unwrap()) as usize;
            let limit = [FRAME_LIMIT, FRAME_LIMIT, FRAME_LIMIT, TEXT_LIMIT].get(usize::from(bytes[0])).unwrap_or(&JSON_LIMIT);
            prop_assert_eq!(Head::read(bytes).is_ok(), claimed <= *limit);
        }
    }
}
