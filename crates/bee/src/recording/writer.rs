//! Records a run while it is shown: everything that the output is told goes into the file as well.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::atomic_file::Draft;
use crate::decode::host::origin;
use crate::export::map::Exported;
use crate::export::state::Running;
use crate::kernel::map_reader::Elements;
use crate::kernel::prog_stats::Account;
use crate::kernel::trace_pipe::Line;
use crate::object::Source;
use crate::output::{Output, Title};
use crate::recording::frame::write_event;
use crate::recording::functions::{Functions, Named};
use crate::recording::reader::version;
use crate::recording::stacks::Stacks;
use crate::recording::{Error, FRAME_LIMIT, Frame, Header, MAGIC, Map, Probe, TOTAL_LIMIT};

/// How often losses and costs are noted, and what was recorded is sure to be in the file.
const NOTE: Duration = Duration::from_secs(1);
/// The rest of what is read is for the header and the objects.
const FRAMES_LIMIT: u64 = TOTAL_LIMIT - (1 << 30);
/// Room for what a frame is besides its elements.
const MARGIN: usize = 1 << 10;

/// Begins a file for a recording: a new one, or one in place of a recording; nothing else. What is there stays until the run begins.
pub fn create(file: &Path) -> Result<Draft, Error> {
    let draft = match may_be_replaced(file) {
        Ok(true) => Draft::new(file),
        Ok(false) => return Err(Error::Exists(file.to_owned())),
        Err(why) if why.kind() == io::ErrorKind::NotFound => Draft::new(file),
        Err(why) => Err(why),
    };
    draft.map_err(|source| Error::Open { file: file.to_owned(), source })
}

/// Whether there is a recording, or nothing in the file yet. A link is neither.
fn may_be_replaced(file: &Path) -> io::Result<bool> {
    let mut open = File::options();
    let mut file = open.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(file)?;
    let metadata = file.metadata()?;
    Ok(metadata.is_file() && (metadata.len() == 0 || version(&mut file)?.is_some()))
}

/// Hands a run's data on to an output, and writes it down.
pub struct Recorder<'a> {
    running: &'a Running,
    output: Box<dyn Output + 'a>,
    file: RefCell<Writer>,
    start: Instant,
    /// When it is, from the start on: asking at each event would cost more than writing it.
    now: Cell<Duration>,
    noted: Cell<Option<Duration>>,
    known: RefCell<Known>,
    functions: RefCell<Functions>,
    stacks: RefCell<Stacks>,
}

/// What is in the file already.
#[derive(Default)]
struct Known {
    /// The elements of each map, as a hash.
    elements: HashMap<usize, u64>,
    lost: HashMap<usize, u64>,
    accounts: HashMap<usize, Vec<(String, Account)>>,
}

impl<'a> Recorder<'a> {
    /// Begins a recording of probes with these objects.
    pub fn new(
        file: Draft,
        running: &'a Running,
        objects: &[&[u8]],
        title: &Title,
        output: Box<dyn Output + 'a>,
    ) -> Result<Self, Error> {
        let file = Writer::begin(file, &header(running, objects, title), objects).map_err(Error::Write)?;
        let (file, known) = (RefCell::new(file), RefCell::default());
        let (now, noted) = (Cell::default(), Cell::default());
        let functions = RefCell::new(Functions::new(&running.maps));
        let stacks = RefCell::new(Stacks::new(&running.maps));
        Ok(Self { running, output, file, start: Instant::now(), now, noted, known, functions, stacks })
    }

    fn frame(&self, frame: &Frame) {
        self.file.borrow_mut().write(|bytes| frame.write(bytes, self.now.get()));
    }

    fn name(&self, functions: Vec<Named>) {
        for functions in functions.chunks(1024) {
            self.frame(&Frame::Functions(functions.to_vec()));
        }
    }

    fn tell(&self, stacks: Vec<Frame>) {
        for frame in &stacks {
            self.frame(frame);
        }
    }

    /// Notes what was lost and what the programs cost.
    fn note(&self) {
        let mut known = self.known.borrow_mut();
        for (map, exported) in self.running.maps.iter().enumerate() {
            let (lost, before) = (self.running.lost(exported).unwrap_or(0), known.lost.entry(map).or_default());
            if lost > *before {
                self.frame(&Frame::Lost { map, more: lost - *before });
                *before = lost;
            }
        }
        for (probe, instance) in self.running.probes.iter().enumerate() {
            let accounts = instance.programs.accounts();
            if known.accounts.get(&probe) != Some(&accounts) {
                self.frame(&Frame::Accounts { probe, accounts: accounts.clone() });
                known.accounts.insert(probe, accounts);
            }
        }
        self.noted.set(Some(self.now.get()));
    }
}

impl Output for Recorder<'_> {
    fn event(&self, map: usize, record: &[u8]) {
        self.name(self.functions.borrow_mut().in_event(map, record));
        self.tell(self.stacks.borrow_mut().in_event(map, record));
        self.file.borrow_mut().write(|bytes| write_event(bytes, self.now.get(), map, record));
        self.output.event(map, record);
    }

    fn wants(&self, map: usize) -> bool {
        matches!(self.running.maps[map].map.source, Source::Elements { .. })
    }

    fn elements(&self, map: usize, elements: &Elements) {
        let mut hasher = DefaultHasher::new();
        (&elements.keys, &elements.values).hash(&mut hasher);
        if self.known.borrow_mut().elements.insert(map, hasher.finish()) != Some(hasher.finish()) {
            self.name(self.functions.borrow_mut().in_elements(map, elements));
            self.tell(self.stacks.borrow_mut().in_elements(map, elements));
            self.frame(&Frame::Elements { map, elements: elements.at_most(FRAME_LIMIT - MARGIN) });
        }
        if self.output.wants(map) {
            self.output.elements(map, elements);
        }
    }

    fn text(&self, probe: usize, program: &str, text: &str) {
        self.frame(&Frame::Text { probe, program: program.to_owned(), text: text.to_owned() });
        self.output.text(probe, program, text);
    }

    fn trace(&self, line: &Line) {
        self.frame(&Frame::Trace(line.clone()));
        self.output.trace(line);
    }

    fn round(&self) -> io::Result<bool> {
        self.now.set(self.start.elapsed());
        if self.noted.get().is_none_or(|noted| self.now.get() - noted >= NOTE) {
            self.note();
            if let Some(notice) = self.file.borrow_mut().flush()? {
                self.output.notice(notice);
            }
        }
        self.output.round()
    }

    fn notice(&self, text: &str) {
        self.output.notice(text);
    }

    fn finish(&self) -> io::Result<()> {
        self.note();
        self.file.borrow_mut().finish()?;
        self.output.finish()
    }
}

/// The file; its first error is kept until it is flushed.
struct Writer {
    stream: GzEncoder<BufWriter<File>>,
    error: Option<io::Error>,
    /// The frame that is being written, and how many bytes there were.
    frame: Vec<u8>,
    written: u64,
    /// It takes no more, which is said once.
    is_full: bool,
    said: bool,
}

impl Writer {
    fn begin(file: Draft, header: &Header, objects: &[&[u8]]) -> io::Result<Self> {
        let mut file = file.publish()?;
        file.write_all(MAGIC)?;
        let mut stream = GzEncoder::new(BufWriter::new(file), Compression::fast());
        let header = serde_json::to_vec(header)?;
        stream.write_all(&(header.len() as u32).to_le_bytes())?;
        stream.write_all(&header)?;
        for object in objects {
            stream.write_all(object)?;
        }
        Ok(Self { stream, error: None, frame: vec![], written: 0, is_full: false, said: false })
    }

    fn write(&mut self, frame: impl FnOnce(&mut Vec<u8>)) {
        self.frame.clear();
        frame(&mut self.frame);
        self.written += self.frame.len() as u64;
        self.is_full |= self.written > FRAMES_LIMIT;
        if !self.is_full && self.error.is_none() {
            self.error = self.stream.write_all(&self.frame).err();
        }
    }

    /// Puts everything into the file, so that a run that is killed has its recording; says once that it takes no more.
    fn flush(&mut self) -> io::Result<Option<&'static str>> {
        let flushed = self.error.take().map_or_else(|| self.stream.flush(), Err);
        flushed.map_err(|error| io::Error::new(error.kind(), format!("the recording: {error}")))?;
        let says = self.is_full && !std::mem::replace(&mut self.said, self.is_full);
        Ok(says.then_some("the recording is full: what comes now is not in it"))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.stream.try_finish()?;
        self.stream.get_mut().flush()
    }
}

fn header(running: &Running, objects: &[&[u8]], title: &Title) -> Header {
    let mut probes = vec![];
    for (index, ((instance, object), state)) in running.probes.iter().zip(objects).zip(title.states()).enumerate() {
        let exported = running.maps.iter().filter(|exported| exported.probe == index);
        probes.push(Probe {
            name: instance.name.clone(),
            state: state.to_owned(),
            object_size: object.len(),
            maps: exported.map(|exported| map(running, exported)).collect(),
            iterators: instance.iterators.clone(),
        });
    }
    Header { probes, most_series: running.bounds.most, origin: origin(), trace_pipe: running.trace_pipe }
}

fn map(running: &Running, exported: &Exported) -> Map {
    Map {
        name: exported.map.name.clone(),
        value: exported.map.value.clone(),
        room: exported.room(),
        loss_known: running.lost(exported).is_some(),
        buckets: exported.map.buckets.as_ref().map(ToString::to_string),
        by_cpu: exported.map.by_cpu,
    }
}
