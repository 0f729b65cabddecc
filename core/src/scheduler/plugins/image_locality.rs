//! ImageLocality: nodes that have the containers' images already are liked better, the more so the larger the images
//! and the more nodes have them.
//!
//! Source: pkg/scheduler/framework/plugins/imagelocality/image_locality.go (v1.34.1). Kubernetes reads how many nodes
//! have an image when it last saw this node change; here the number is always current.

use crate::id::Name;
use crate::model::PodSpec;
use crate::scheduler::cache::NodeInfo;
use crate::scheduler::traits::PodTraits;

/// Bytes of images that make no difference.
const SIZE_MIN: i64 = 23 << 20;
/// Bytes per container above which more makes no difference.
const SIZE_MAX: i64 = 1000 << 20;

/// 0 ..= 100.
pub(super) fn score(pod: &PodTraits, node: &NodeInfo) -> i64 {
    if node.images.is_empty() || pod.images.is_empty() {
        return 0;
    }
    let size_max = SIZE_MAX * pod.images.len() as i64;
    let size: i64 = pod.images.iter().filter_map(|image| node.images.get(image)).sum();
    100 * (size.clamp(SIZE_MIN, size_max) - SIZE_MIN) / (size_max - SIZE_MIN)
}

/// The images of all containers as runtimes report them: with a tag.
pub(in crate::scheduler) fn images(spec: &PodSpec) -> Vec<Name> {
    let containers = spec.init_containers.iter().chain(&spec.containers);
    containers.map(|container| with_tag(&container.image)).collect()
}

/// Source: `normalizedImageName`, image_locality.go (v1.34.1).
fn with_tag(image: &Name) -> Name {
    if image.rfind(':') <= image.rfind('/') { format!("{image}:latest").into() } else { image.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_tag_or_digest_is_the_latest() {
        let with_tag = |image: &str| with_tag(&image.into()).to_string();
        assert_eq!(with_tag("web"), "web:latest");
        assert_eq!(with_tag("registry:5000/web"), "registry:5000/web:latest");
        assert_eq!(with_tag("registry:5000/web:1"), "registry:5000/web:1");
        assert_eq!(with_tag("web@sha256:00"), "web@sha256:00");
    }
}
