//! How a probe knows that bee looks at its rings again by itself and need not be woken: by a variable that bee.h declares.

use libbpf_rs::{MapCore, MapFlags, MapHandle, Object};

use crate::decode::btf::Btf;

const VARIABLE: &str = "bee_rests";
/// One that every loader of BPF objects knows: probes that are built here run elsewhere, too.
const SECTION: &str = ".data";

/// The variables of a probe that is loaded: one for each source that it was linked from.
pub struct Rests(MapHandle);

impl Rests {
    /// `None` without the variable, or with others beside it: the kernel takes a section as a whole, and those are the probe's to change.
    pub fn from_object(object: &Object, btf: &Btf) -> Option<Self> {
        if !btf.offsets(SECTION).keys().eq(&[VARIABLE]) {
            return None;
        }
        let map = object.maps().find(|map| map.name().to_string_lossy().ends_with(SECTION))?;
        MapHandle::try_from(&map).ok().map(Self)
    }

    /// A probe that can't be told wakes us as it did, or not before the end of a wait.
    pub fn tell(&self, rests: bool) {
        let section = u32::from(rests).to_ne_bytes().repeat(self.0.value_size() as usize / size_of::<u32>());
        let _ = self.0.update(&0u32.to_ne_bytes(), &section, MapFlags::ANY);
    }
}
