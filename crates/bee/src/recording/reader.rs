//! Reads recordings, which may be cut off, or damaged on purpose.

use std::fs::File;
use std::io::{self, BufReader, Read, Take};
use std::path::Path;
use std::time::Duration;

use flate2::read::GzDecoder;

use crate::allowance::Allowance;
use crate::object::{self, Inspection, SIZE_LIMIT};
use crate::recording::frame::{HEAD, Head};
use crate::recording::{Error, Frame, HEADER_LIMIT, Header, MAGIC, PROBES_LIMIT, Probe, TOTAL_LIMIT};

/// What a header takes here is so many times what it takes in the file.
const PARSED: usize = 4;

/// A recording whose header was read.
pub struct Recording {
    pub(crate) header: Header,
    /// Of each probe.
    pub(crate) inspections: Vec<Inspection>,
    pub(crate) frames: Frames<BufReader<File>>,
    /// For all that is kept of it.
    pub(crate) allowance: Allowance,
}

impl Recording {
    /// # Errors
    /// It is no recording, or one whose header is damaged.
    pub fn open(file: &Path) -> Result<Self, Error> {
        let (stream, version) = open(file).map_err(|source| Error::Open { file: file.to_owned(), source })?;
        match version {
            Some(1) => Self::read(stream),
            Some(version) => Err(Error::Version(version)),
            None => Err(Error::Foreign(file.to_owned())),
        }
    }

    /// What its probes are.
    pub(crate) fn inspections(&self) -> impl Iterator<Item = &Inspection> + Clone {
        self.inspections.iter()
    }

    fn read(stream: BufReader<File>) -> Result<Self, Error> {
        let allowance = Allowance::of_a_file();
        let mut frames = Frames::new(stream);
        let (header, objects) = frames.header(&allowance)?;
        let mut inspections = vec![];
        for (probe, object) in header.probes.iter().zip(objects) {
            inspections.push(inspect(probe, &object, &allowance)?);
        }
        Ok(Self { header, inspections, frames, allowance })
    }
}

/// A file behind its magic, with the version of its format.
fn open(file: &Path) -> io::Result<(BufReader<File>, Option<u8>)> {
    let mut stream = BufReader::new(File::open(file)?);
    let version = version(&mut stream)?;
    Ok((stream, version))
}

/// The version of a recording's format; nothing if it is no recording.
pub fn version(stream: &mut impl Read) -> io::Result<Option<u8>> {
    let mut begin = vec![];
    stream.take(MAGIC.len() as u64).read_to_end(&mut begin)?;
    let at = MAGIC.len() - 2;
    if !begin.starts_with(&MAGIC[..at]) || !begin.ends_with(b"\n") {
        return Ok(None);
    }
    Ok(begin.get(at).copied())
}

fn inspect(probe: &Probe, object: &[u8], allowance: &Allowance) -> Result<Inspection, Error> {
    let mut inspection = object::inspect_within(object, allowance).map_err(Error::damaged)?;
    for map in &mut inspection.maps {
        let recorded = probe.maps.iter().find(|recorded| recorded.name == map.name);
        let recorded = recorded.ok_or_else(|| Error::damaged(format!("it lacks map {}", map.name)))?;
        map.value = recorded.value.clone();
        if let Some(buckets) = &recorded.buckets {
            map.buckets = Some(buckets.parse().map_err(Error::damaged)?);
        }
        if recorded.by_cpu {
            map.split_by_cpu().map_err(Error::damaged)?;
        }
    }
    Ok(inspection)
}

/// What stands behind the magic.
pub struct Frames<R> {
    stream: Take<GzDecoder<R>>,
}

impl<R: Read> Frames<R> {
    pub fn new(stream: R) -> Self {
        Self { stream: GzDecoder::new(stream).take(TOTAL_LIMIT) }
    }

    /// The header, and each probe's object.
    pub(crate) fn header(&mut self, allowance: &Allowance) -> Result<(Header, Vec<Vec<u8>>), Error> {
        let length = self.exactly(4)?.try_into().map(u32::from_le_bytes).map_err(|_| Error::Cut)? as usize;
        if length > HEADER_LIMIT {
            return Err(Error::damaged("its header is too long"));
        }
        allowance.take(PARSED * length)?;
        let header: Header = serde_json::from_slice(&self.exactly(length)?).map_err(Error::damaged)?;
        let size: usize = header.probes.iter().map(|probe| probe.object_size.min(SIZE_LIMIT + 1)).sum();
        if size > SIZE_LIMIT || header.probes.len() > PROBES_LIMIT {
            return Err(Error::damaged("its probes are too large"));
        }
        let objects = header.probes.iter().map(|probe| self.exactly(probe.object_size)).collect::<Result<_, _>>()?;
        Ok((header, objects))
    }

    /// The next frame, and when after the start it was; nothing at the end.
    pub fn next(&mut self) -> Result<Option<(Duration, Frame)>, Error> {
        let head = self.at_most(HEAD)?;
        if head.is_empty() {
            return if self.stream.limit() == 0 { Err(Error::TooLarge) } else { Ok(None) };
        }
        let head = Head::read(head.try_into().map_err(|_| Error::Cut)?)?;
        let frame = Frame::read(head.kind, self.exactly(head.length)?)?;
        Ok(Some((head.at, frame)))
    }

    fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Error> {
        let bytes = self.at_most(length)?;
        if bytes.len() == length { Ok(bytes) } else { Err(Error::Cut) }
    }

    /// Memory grows with what comes, not with what was promised.
    fn at_most(&mut self, length: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![];
        match self.stream.by_ref().take(length as u64).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Error::Cut),
            Err(error) => Err(Error::damaged(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;
    use crate::decode::host::origin;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut packed = GzEncoder::new(vec![], Compression::fast());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap()
    }

    fn two_events() -> Vec<u8> {
        let mut bytes = vec![];
        for second in [1, 2] {
            Frame::Lost { map: 0, more: second }.write(&mut bytes, Duration::from_secs(second));
        }
        bytes
    }

    #[test]
    fn a_recording_that_is_cut_off_is_read_up_to_there() {
        let bytes = two_events();
        let mut whole = Frames::new(std::io::Cursor::new(packed(&bytes)));
        assert!(whole.next().unwrap().is_some() && whole.next().unwrap().is_some() && whole.next().unwrap().is_none());
        let mut cut = Frames::new(std::io::Cursor::new(packed(&bytes[..bytes.len() - 1])));
        assert!(cut.next().unwrap().is_some());
        assert!(matches!(cut.next(), Err(Error::Cut)));
        // As a run leaves it that was killed: the stream has no end of its own.
        let packed = packed(&bytes);
        let mut killed = Frames::new(&packed[..packed.len() - 8]);
        assert!(killed.next().unwrap().is_some() && killed.next().unwrap().is_some());
        assert!(matches!(killed.next(), Err(Error::Cut)));
    }

    #[test]
    fn other_files_and_other_versions_are_told_apart() {
        let version = |bytes: &[u8]| version(&mut &*bytes).unwrap();
        assert_eq!(version(MAGIC), Some(1));
        assert_eq!(version(b"beerec\x02\nmore"), Some(2));
        assert_eq!([version(b""), version(b"beerec\x01"), version(b"\x7fELF....")], [None; 3]);
    }

    proptest! {
        #[test]
        fn garbage_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), pack in any::<bool>()) {
            let bytes = if pack { packed(&bytes) } else { bytes };
            let mut frames = Frames::new(bytes.as_slice());
            prop_assert!(frames.header(&Allowance::of_a_file()).is_err());
            while let Ok(Some(_)) = frames.next() {}
        }

        #[test]
        fn a_header_that_promises_much_makes_no_room_for_it(length in any::<u32>(), object_size in any::<usize>()) {
            let probe = Probe { name: String::new(), state: String::new(), object_size, maps: vec![], iterators: vec![] };
            let header = serde_json::to_vec(&Header { probes: vec![probe], most_series: 1, origin: origin(), trace_pipe: false }).unwrap();
            let promised = [length.to_le_bytes().as_slice(), &header].concat();
            prop_assert!(Frames::new(packed(&promised).as_slice()).header(&Allowance::of_a_file()).is_err());
            let honest = [(header.len() as u32).to_le_bytes().as_slice(), &header].concat();
            let read = Frames::new(packed(&honest).as_slice()).header(&Allowance::of_a_file());
            prop_assert_eq!(read.is_ok(), object_size == 0);
        }
    }
}
