//! The events of a probe's ring buffers and perf buffers, taken when the consumer has time.

use std::cell::Cell;
use std::thread;
use std::time::Duration;

use libbpf_rs::{MapCore, MapHandle, MapType, PerfBuffer, PerfBufferBuilder, RingBuffer, RingBufferBuilder};

use crate::kernel::probe::ProbeError;
use crate::kernel::sys;
use crate::kernel::wakeup::Rests;
use crate::object::map_memory::PERF_PAGES;

/// Events taken from ring buffers in one go; without a bound a fast producer would never let go.
const AT_ONCE: usize = 65_536;

/// Buffers whose events go to one consumer.
pub struct Events<'a> {
    rings: Option<RingBuffer<'a>>,
    perfs: Vec<PerfBuffer<'a>>,
    /// Where the probes look whether we rest and need not be woken.
    rests: Vec<&'a Rests>,
    is_resting: Cell<bool>,
}

/// What becomes of events; both get the index of the buffer's map.
#[derive(Clone, Copy)]
pub struct Consumer<'a> {
    pub take: &'a (dyn Fn(usize, &[u8]) + 'a),
    /// How many records of a perf buffer the kernel had no room for; of ring buffers it does not say.
    pub lost: &'a (dyn Fn(usize, u64) + 'a),
}

impl<'a> Events<'a> {
    pub fn new(maps: &[(&str, MapHandle)], rests: Vec<&'a Rests>, consumer: Consumer<'a>) -> Result<Self, ProbeError> {
        let (mut builder, mut perfs, mut first) = (RingBufferBuilder::new(), vec![], None);
        for (index, (name, map)) in maps.iter().enumerate() {
            if map.map_type() == MapType::PerfEventArray {
                perfs.push(perf_buffer(map, index, consumer).map_err(|why| ProbeError::reading(name, why))?);
                continue;
            }
            add_ring(&mut builder, map, index, consumer).map_err(|why| ProbeError::reading(name, why))?;
            first.get_or_insert(*name);
        }
        let rings = match first {
            Some(name) => Some(builder.build().map_err(|why| ProbeError::reading(name, why))?),
            None => None,
        };
        Ok(Self { rings, perfs, rests, is_resting: Cell::new(false) })
    }

    /// Hands over what there is, of the rings up to a bound; whether there may be more.
    pub fn take_some(&self) -> bool {
        let taken = self.rings.as_ref().map_or(0, |rings| rings.consume_raw_n(AT_ONCE));
        for perf in &self.perfs {
            // It takes what was there when it began, and fails only if a consumer does, which ours do not.
            let _ = perf.consume();
        }
        usize::try_from(taken).is_ok_and(|taken| taken >= AT_ONCE)
    }

    /// Rests, however many events come.
    pub fn rest(&self, time: Duration) {
        self.tell(true);
        thread::sleep(time);
    }

    /// Rests until there are events, or for so long. Returns at once where events may have come that woke nobody.
    pub fn wait(&self, timeout: Duration) {
        if self.tell(false) {
            return;
        }
        let rings = self.rings.iter().map(RingBuffer::epoll_fd);
        let descriptors: Vec<_> = rings.chain(self.perfs.iter().map(PerfBuffer::epoll_fd)).collect();
        sys::wait(&descriptors, timeout);
    }

    /// Tells the probes whether we rest; whether that is news.
    fn tell(&self, is_resting: bool) -> bool {
        let is_news = self.is_resting.replace(is_resting) != is_resting;
        if is_news {
            for rests in &self.rests {
                rests.tell(is_resting);
            }
        }
        is_news
    }
}

fn add_ring<'map, 'a: 'map>(
    builder: &mut RingBufferBuilder<'map, 'a>,
    map: &'map MapHandle,
    index: usize,
    consumer: Consumer<'a>,
) -> Result<(), libbpf_rs::Error> {
    builder.add(map, move |record: &[u8]| {
        (consumer.take)(index, record);
        0
    })?;
    Ok(())
}

fn perf_buffer<'a>(map: &MapHandle, index: usize, consumer: Consumer<'a>) -> Result<PerfBuffer<'a>, libbpf_rs::Error> {
    PerfBufferBuilder::new(map)
        .pages(PERF_PAGES)
        .sample_cb(move |_, record: &[u8]| (consumer.take)(index, record))
        .lost_cb(move |_, count| (consumer.lost)(index, count))
        .build()
}
