//! What processors an image is for.

use oci_spec::image::{Descriptor, MediaType, Os, Platform, PlatformBuilder};

use crate::decode::architecture::Architecture;
use crate::store::Config;

/// Docker's name for what OCI calls an index.
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Whether this names a manifest for each of several processors.
pub fn is_index(media_type: &MediaType) -> bool {
    *media_type == MediaType::ImageIndex || media_type.as_ref() == DOCKER_LIST
}

/// BumbleBee writes the kernel's word for the processor, not OCI's.
pub fn is_for_this_machine(descriptor: &Descriptor) -> bool {
    let Some(platform) = descriptor.platform() else { return false };
    let words = [Architecture::host().map_or("", Architecture::oci), std::env::consts::ARCH];
    words.contains(&platform.architecture().to_string().as_str())
}

/// As `linux/amd64`.
pub fn words(descriptor: &Descriptor) -> Option<String> {
    descriptor.platform().as_ref().map(|it| format!("{}/{}", it.os(), it.architecture()))
}

/// What an image's config says; BumbleBee's says nothing.
pub fn of_config(config: &[u8]) -> Option<Platform> {
    let Config { architecture, os, .. } = serde_json::from_slice(config).ok()?;
    if architecture.is_empty() || os.is_empty() {
        return None;
    }
    PlatformBuilder::default().architecture(architecture.as_str()).os(Os::from(os.as_str())).build().ok()
}
