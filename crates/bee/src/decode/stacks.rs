//! Stacks: addresses in a record, or the number of a stack in a map of the probe's (`BPF_MAP_TYPE_STACK_TRACE`). The innermost function
//! comes first, as the kernel has them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use nix::errno::Errno;
use serde_json::Value;

use crate::decode::host::function;
use crate::decode::user_symbols;

/// The most functions of one stack; the kernel has 127 unless `kernel.perf_event_max_stack` says otherwise.
pub const DEPTH: usize = 1024;
/// The most stacks that a recording tells of one map.
const TOLD: usize = 1 << 16;
/// Programs that take no stack put this where its number would be; the kernel has no such error for it.
const NONE: i64 = -1;

/// A value that is a stack.
#[derive(Debug, Clone, PartialEq)]
pub struct Stack {
    pub form: Form,
    /// Where in the record its process is, whose addresses those of user space are.
    pub process: Option<Place>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// The number of a stack, of so many bytes.
    Id { bytes: usize, table: Arc<Table> },
    /// So many addresses at most, in the record itself; `length` is where their size in bytes is, or an error.
    Addresses { most: usize, length: Option<Place> },
}

/// Where an integer is in a record, in bytes from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub offset: usize,
    pub size: usize,
    /// How many of its lower bits are something else: of `pid_tgid` the lower half.
    pub shift: u32,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Addresses(Vec<u64>),
    /// The kernel took none, and said why.
    Error(i32),
    /// The map has no stack of this number any more.
    Missing(i64),
}

/// Stacks, and where they are in a record, in bytes.
pub type Placed = Vec<(usize, Stack)>;

/// Gives the addresses of the stack with this number.
pub type Lookup = Box<dyn Fn(u32) -> Option<Vec<u64>> + Send + Sync>;

/// The stacks of a probe: of its map in the kernel, or of a recording.
#[derive(Default)]
pub struct Table {
    lookup: OnceLock<Lookup>,
    told: RwLock<HashMap<u32, Vec<u64>>>,
}

impl Table {
    /// From now on they are read so.
    pub fn read_by(&self, lookup: Lookup) {
        let _ = self.lookup.set(lookup);
    }

    /// Takes what a recording says. Returns false if there is no room for it.
    pub fn tell(&self, id: u32, addresses: Vec<u64>) -> bool {
        let mut told = self.told.write().unwrap_or_else(PoisonError::into_inner);
        let has_room = addresses.len() <= DEPTH && (told.len() < TOLD || told.contains_key(&id));
        if has_room {
            told.insert(id, addresses);
        }
        has_room
    }

    pub fn addresses(&self, id: u32) -> Option<Vec<u64>> {
        match self.lookup.get() {
            Some(lookup) => lookup(id),
            None => self.told.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned(),
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Table")
    }
}

/// Each is another map.
impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Place {
    /// The integer there, with its sign.
    fn number(self, record: &[u8]) -> Option<i64> {
        let bytes = record.get(self.offset..self.offset + self.size)?;
        let number = match self.size {
            4 => i64::from(i32::from_le_bytes(bytes.try_into().ok()?)),
            8 => i64::from_le_bytes(bytes.try_into().ok()?),
            _ => return None,
        };
        Some(number >> self.shift)
    }
}

impl Stack {
    /// What the record says of the stack that stands at `offset`, in bytes.
    pub fn find(&self, record: &[u8], offset: usize) -> Found {
        match &self.form {
            Form::Id { bytes, table } => {
                let number = Place { offset, size: *bytes, shift: 0 }.number(record).unwrap_or(NONE);
                find_id(number, table)
            }
            Form::Addresses { most, length } => find_addresses(record, offset, *most, *length),
        }
    }

    /// The process whose stack it is.
    pub fn process(&self, record: &[u8]) -> Option<u32> {
        self.process?.number(record).and_then(|number| u32::try_from(number).ok())
    }

    /// Whether it is the kernel's.
    pub fn is_of_kernel(&self, record: &[u8], offset: usize) -> bool {
        match self.find(record, offset) {
            Found::Addresses(addresses) => addresses.first().is_some_and(|address| is_of_kernel(*address)),
            _ => false,
        }
    }

    /// The names of its functions, the innermost first.
    pub fn names(&self, record: &[u8], offset: usize) -> Result<Vec<String>, Found> {
        match self.find(record, offset) {
            Found::Addresses(addresses) => Ok(names(self.process(record), &addresses)),
            other => Err(other),
        }
    }

    /// As JSON: an array, or the error's name.
    pub fn show(&self, record: &[u8], offset: usize) -> Value {
        match self.names(record, offset) {
            Ok(names) => names.into(),
            Err(Found::Missing(number)) => number.into(),
            Err(other) => other.to_string().into(),
        }
    }

    /// As a label: `tcp_connect+0x1;tcp_v4_connect+0x2b0;…`.
    pub fn text(&self, record: &[u8], offset: usize) -> String {
        self.names(record, offset).map_or_else(|why| why.to_string(), |names| names.join(";"))
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addresses(_) => Ok(()),
            Self::Error(number) => match Errno::from_raw(*number) {
                Errno::UnknownErrno => write!(f, "-{number}"),
                known => write!(f, "{known:?}"),
            },
            Self::Missing(number) => write!(f, "{number}"),
        }
    }
}

fn find_id(number: i64, table: &Table) -> Found {
    // An error in a field without a sign, of 8 bytes into which 4 were copied.
    let number = if number > i64::from(i32::MAX) { i64::from(number as i32) } else { number };
    match u32::try_from(number) {
        Ok(id) => table.addresses(id).map_or(Found::Missing(number), Found::Addresses),
        Err(_) if number == NONE => Found::Addresses(vec![]),
        Err(_) => Found::Error(i32::try_from(-number).unwrap_or(i32::MAX)),
    }
}

fn find_addresses(record: &[u8], offset: usize, most: usize, length: Option<Place>) -> Found {
    let told = length.and_then(|place| place.number(record));
    if let Some(error @ i64::MIN..0) = told {
        return Found::Error(i32::try_from(-error).unwrap_or(i32::MAX));
    }
    let most = told.map_or(most, |bytes| most.min(bytes as usize / size_of::<u64>()));
    let addresses = record.get(offset..).unwrap_or_default().chunks_exact(size_of::<u64>()).take(most);
    let addresses = addresses.filter_map(|bytes| bytes.try_into().ok().map(u64::from_le_bytes));
    Found::Addresses(addresses.take_while(|address| *address != 0).collect())
}

/// The upper half of the addresses is the kernel's, on all architectures that we run on.
pub fn is_of_kernel(address: u64) -> bool {
    address >> 63 == 1
}

/// What the functions at these addresses are called; those that nobody knows are numbers.
fn names(process: Option<u32>, addresses: &[u64]) -> Vec<String> {
    let of_user: Vec<_> = addresses.iter().copied().filter(|address| !is_of_kernel(*address)).collect();
    let mut user = process.map(|pid| user_symbols::names(pid, &of_user)).unwrap_or_default().into_iter();
    let mut names = vec![];
    for address in addresses {
        let name = if is_of_kernel(*address) { function(*address) } else { user.next().flatten() };
        names.push(name.unwrap_or_else(|| format!("{address:#x}")));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn by_id(bytes: usize) -> Stack {
        let table = Table::default();
        assert!(table.tell(7, vec![1, 2]));
        Stack { form: Form::Id { bytes, table: Arc::new(table) }, process: None }
    }

    #[test]
    fn an_id_is_a_stack_or_an_error_or_nothing() {
        for (id, expected) in [
            (7i64, json!(["0x1", "0x2"])),
            (8, json!(8)),
            (-14, json!("EFAULT")),
            (-17, json!("EEXIST")),
            (-1, json!([])),
        ] {
            assert_eq!(by_id(4).show(&(id as i32).to_le_bytes(), 0), expected, "{id}");
            assert_eq!(by_id(8).show(&id.to_le_bytes(), 0), expected, "{id}");
            assert_eq!(by_id(8).show(&u64::from(id as u32).to_le_bytes(), 0), expected, "{id} without its sign");
        }
        assert_eq!(by_id(4).text(&7u32.to_le_bytes(), 0), "0x1;0x2");
        assert_eq!(by_id(4).text(&(-14i32).to_le_bytes(), 0), "EFAULT");
        assert_eq!(by_id(4).show(&[7], 0), json!([]), "a record that is cut off");
    }

    #[test]
    fn addresses_end_at_a_zero_or_where_their_length_says() {
        let record = [1u64, 2, 0, 4, 8].map(u64::to_le_bytes).concat();
        let shown = |length: Option<u64>, first: u64| {
            let mut record = record.clone();
            record[24..32].copy_from_slice(&first.to_le_bytes());
            let place = length.map(|length| {
                record[32..].copy_from_slice(&length.to_le_bytes());
                Place { offset: 32, size: 8, shift: 0 }
            });
            Stack { form: Form::Addresses { most: 4, length: place }, process: None }.show(&record, 0)
        };
        assert_eq!(shown(None, 0), json!(["0x1", "0x2"]));
        assert_eq!(shown(Some(8), 0), json!(["0x1"]), "what lies behind it is garbage");
        assert_eq!(shown(Some(u64::MAX - 13), 0), json!("EFAULT"));
    }

    #[test]
    fn a_recording_tells_only_so_much() {
        let table = Table::default();
        assert!(!table.tell(1, vec![0; DEPTH + 1]));
        assert!((0..TOLD as u32).all(|id| table.tell(id, vec![])));
        assert!(!table.tell(TOLD as u32, vec![]) && table.tell(0, vec![9]));
        assert_eq!(table.addresses(0), Some(vec![9]));
    }
}
