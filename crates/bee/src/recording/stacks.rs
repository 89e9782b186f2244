//! The stacks that a recording tells: which addresses, and what the functions there are called, for who replays may ask neither the kernel
//! nor the processes.

use std::collections::{HashMap, HashSet};

use crate::allowance::Allowance;
use crate::decode::host::function;
use crate::decode::stacks::{Form, Found, Placed, Stack, is_of_kernel};
use crate::decode::user_symbols;
use crate::export::map::Exported;
use crate::kernel::map_reader::Elements;
use crate::recording::Frame;
use crate::recording::functions::Named;

/// So many functions are named at the most, and so many stacks told again only if they changed.
const LIMIT: usize = 1 << 16;
/// What an entry of a table takes besides its name.
const ENTRY: usize = 64;
/// So many names are in one frame at the most.
const NAMES: usize = 512;

/// A process, an address in it, and its function.
pub type UserNamed = (u32, u64, String);

/// Where the stacks are in a run's data, and what was told of them already.
pub struct Stacks {
    /// Of each map: its probe, and the stacks of events or keys and of values.
    places: Vec<(usize, [Placed; 2])>,
    told: HashMap<(usize, u32), Vec<u64>>,
    /// By process, 0 for the kernel.
    named: HashSet<(u32, u64)>,
}

impl Stacks {
    pub fn new(maps: &[Exported]) -> Self {
        let places = maps.iter().map(|exported| (exported.probe, exported.map.source.stacks())).collect();
        Self { places, told: HashMap::new(), named: HashSet::new() }
    }

    /// What is to be told before an event.
    pub fn in_event(&mut self, map: usize, record: &[u8]) -> Vec<Frame> {
        let mut news = News::default();
        let Some((probe, [stacks, _])) = self.places.get(map) else { return vec![] };
        for (offset, stack) in stacks {
            news.add(*probe, stack, record, *offset);
        }
        self.frames(news)
    }

    /// What is to be told before a map's elements.
    pub fn in_elements(&mut self, map: usize, elements: &Elements) -> Vec<Frame> {
        let mut news = News::default();
        let Some((probe, [of_keys, of_values])) = self.places.get(map) else { return vec![] };
        if of_keys.is_empty() && of_values.is_empty() {
            return vec![];
        }
        for (key, value) in elements.iter() {
            for (offset, stack) in of_keys {
                news.add(*probe, stack, key, *offset);
            }
            for (offset, stack) in of_values {
                news.add(*probe, stack, value, *offset);
            }
        }
        self.frames(news)
    }

    /// Of what was found, what was not told yet.
    fn frames(&mut self, news: News) -> Vec<Frame> {
        let mut frames = vec![];
        for (key @ (probe, id), addresses) in news.stacks {
            if self.told.get(&key) != Some(&addresses) {
                if self.told.len() < LIMIT {
                    self.told.insert(key, addresses.clone());
                }
                frames.push(Frame::Stack { probe, id, addresses });
            }
        }
        let (mut kernel, mut user) = (Vec::<Named>::new(), Vec::<UserNamed>::new());
        for (pid, addresses) in news.addresses {
            let new: Vec<_> = addresses.into_iter().filter(|address| self.is_new(pid, *address)).collect();
            if pid == 0 {
                kernel.extend(new.iter().filter_map(|address| Some((*address, function(*address)?))));
                continue;
            }
            let names = user_symbols::names(pid, &new).into_iter();
            user.extend(new.iter().zip(names).filter_map(|(address, name)| Some((pid, *address, name?))));
        }
        frames.extend(kernel.chunks(NAMES).map(|named| Frame::Functions(named.to_vec())));
        frames.extend(user.chunks(NAMES).map(|named| Frame::UserFunctions(named.to_vec())));
        frames
    }

    fn is_new(&mut self, pid: u32, address: u64) -> bool {
        self.named.len() < LIMIT && self.named.insert((pid, address))
    }
}

/// What is found in some records.
#[derive(Default)]
struct News {
    stacks: HashMap<(usize, u32), Vec<u64>>,
    /// By process, 0 for the kernel.
    addresses: HashMap<u32, HashSet<u64>>,
}

impl News {
    fn add(&mut self, probe: usize, stack: &Stack, record: &[u8], offset: usize) {
        let Found::Addresses(addresses) = stack.find(record, offset) else { return };
        let process = stack.process(record);
        for address in &addresses {
            let whose = if is_of_kernel(*address) { Some(0) } else { process };
            if let Some(whose) = whose {
                self.addresses.entry(whose).or_default().insert(*address);
            }
        }
        if let (Form::Id { bytes, .. }, Some(id)) = (&stack.form, id_at(record, offset))
            && *bytes >= size_of::<u32>()
        {
            self.stacks.insert((probe, id), addresses);
        }
    }
}

/// Numbers of stacks have 32 bits, however wide their field is.
fn id_at(record: &[u8], offset: usize) -> Option<u32> {
    let id = u32::from_le_bytes(*record.get(offset..)?.first_chunk()?);
    i32::try_from(id).is_ok().then_some(id)
}

/// Takes names from a recording, which may be somebody else's.
pub fn learn(named: Vec<UserNamed>, allowance: &Allowance) {
    let fits = |(_, _, name): &UserNamed| {
        name.len() <= 4 * user_symbols::NAME + 20 && allowance.take(name.len() + ENTRY).is_ok()
    };
    user_symbols::learn(named.into_iter().filter(fits));
}
