//! Which images go when their file system fills up: a pure function.
//!
//! Source: `realImageGCManager`, pkg/kubelet/images/image_gc_manager.go (v1.34.1). Absent on purpose: pinned images,
//! and removal by age alone (`imageMaximumGCAge`, off by default). Kubernetes looks every five minutes which images are
//! in use; here the time of an image's last use is exact.

use crate::config::ImageGcConfig;
use crate::id::Name;
use crate::kubelet::{ImageUsage, NodeUsage, Supply};
use crate::time::Time;

/// Images to remove, and their bytes together.
#[derive(PartialEq, Eq, Debug, Default)]
pub(super) struct Removal {
    pub(super) images: Vec<Name>,
    pub(super) bytes: i64,
    /// The bytes that were wanted of a look at the thresholds, if there are not as many to be had.
    pub(super) wanted: Option<i64>,
}

/// How much of the image file system is used, in percent rounded up.
pub(super) fn used_percent(imagefs: Supply) -> u32 {
    match imagefs.capacity {
        0 => 0,
        capacity => (100 - i128::from(imagefs.available) * 100 / i128::from(capacity)) as u32,
    }
}

/// Whether anything looks at all: a threshold of 100 % switches the looks off.
///
/// Source: `StartGarbageCollection`, pkg/kubelet/kubelet.go (v1.34.1).
pub(super) fn is_on(config: &ImageGcConfig) -> bool {
    config.high_threshold_percent != 100
}

/// What a look every few minutes removes: from the high threshold on, enough to be at the low one.
pub(super) fn collect(config: &ImageGcConfig, usage: &NodeUsage, now: Time) -> Removal {
    let Supply { capacity, available } = usage.imagefs;
    if capacity == 0 || used_percent(usage.imagefs) < config.high_threshold_percent {
        return Removal::default();
    }
    let free_share = i128::from(capacity) * i128::from(100 - config.low_threshold_percent.min(100)) / 100;
    let wanted = i64::try_from(free_share).expect("a share of the capacity is no larger than it") - available;
    let removal = remove(config, usage, wanted, now);
    let is_short = removal.bytes < wanted;
    Removal { wanted: is_short.then_some(wanted), ..removal }
}

/// Removes images that nothing uses, those unused for longest first, until so many bytes are free.
pub(super) fn remove(config: &ImageGcConfig, usage: &NodeUsage, wanted: i64, now: Time) -> Removal {
    let mut unused: Vec<(Time, &ImageUsage)> =
        usage.images.iter().filter_map(|image| Some((image.last_used?, image))).collect();
    unused.sort_by_key(|(last_used, image)| (*last_used, image.since, &image.image));
    let mut removal = Removal::default();
    for (last_used, image) in unused {
        if last_used >= now || now.since(image.since) < config.minimum_age {
            continue;
        }
        removal.images.push(image.image.clone());
        removal.bytes += image.size_bytes;
        if removal.bytes >= wanted {
            break;
        }
    }
    removal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(name: &str, size_bytes: i64, since: u64, last_used: Option<u64>) -> ImageUsage {
        ImageUsage {
            image: name.into(),
            size_bytes,
            since: Time::from_secs(since),
            last_used: last_used.map(Time::from_secs),
        }
    }

    fn usage(available: i64) -> NodeUsage {
        let images = vec![
            image("recent", 10, 0, Some(500)),
            image("used", 40, 0, None),
            image("oldest", 4, 0, Some(0)),
            image("older", 4, 0, Some(100)),
            image("new", 20, 950, Some(0)),
        ];
        NodeUsage { imagefs: Supply { capacity: 100, available }, images, ..NodeUsage::default() }
    }

    fn removed(available: i64) -> Vec<String> {
        let removal = collect(&ImageGcConfig::default(), &usage(available), Time::from_secs(1_000));
        removal.images.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn images_go_by_last_use_then_by_discovery_until_enough_is_free() {
        // Images as `name:size:since:last use` (`-` is in use), the bytes that are wanted, and which go.
        let table = [
            ("a:10:0:-", 10, ""),
            ("a:10:0:-", i64::MAX, ""),
            ("a:10:0:100 b:10:0:200", i64::MAX, "a b"),
            ("a:10:0:100 b:10:0:-", i64::MAX, "a"),
            ("a:10:0:200 b:10:0:100", 10, "b"),
            ("a:10:0:200 b:10:0:100", 11, "b a"),
            ("a:10:50:100 b:10:0:100", 10, "b"),
            ("a:10:0:100 b:10:50:100", 10, "a"),
            ("b:10:0:100 a:10:0:100", 10, "a"),
            ("a:10:0:100 b:10:900:0", 20, "a"),
            ("a:10:0:1000 b:10:0:100", 20, "b"),
            ("a:10:880:100", 10, "a"),
            ("a:10:881:100", 10, ""),
        ];
        for (images, wanted, expected) in table {
            let one = |words: &str| {
                let [name, size, since, last] = words.split(':').collect::<Vec<_>>()[..] else { panic!("{words}") };
                image(name, size.parse().unwrap(), since.parse().unwrap(), last.parse().ok())
            };
            let images: Vec<ImageUsage> = images.split_whitespace().map(one).collect();
            let usage = NodeUsage { images, ..NodeUsage::default() };
            let removal = remove(&ImageGcConfig::default(), &usage, wanted, Time::from_secs(1_000));
            let names: Vec<&str> = removal.images.iter().map(|name| &**name).collect();
            assert_eq!(names.join(" "), expected, "{:?}, wanted {wanted}", usage.images);
        }
    }

    #[test]
    fn a_look_begins_at_the_high_threshold_and_aims_at_the_low_one() {
        // Free bytes of a hundred; the high and the low threshold; how many bytes go, of images of one byte each.
        for (available, high, low, bytes) in [
            (60, 90, 80, 0),
            (11, 90, 80, 0),
            (10, 90, 80, 10),
            (5, 90, 80, 15),
            (0, 90, 80, 20),
            (0, 90, 50, 30),
            (0, 100, 100, 1),
            (1, 100, 100, 0),
        ] {
            let images = (0..30).map(|place| image(&format!("i{place}"), 1, 0, Some(place))).collect();
            let imagefs = Supply { capacity: 100, available };
            let config =
                ImageGcConfig { high_threshold_percent: high, low_threshold_percent: low, ..ImageGcConfig::default() };
            let usage = NodeUsage { imagefs, images, ..NodeUsage::default() };
            let removal = collect(&config, &usage, Time::from_secs(1_000));
            assert_eq!(removal.bytes, bytes, "{available} free, from {high} to {low} percent");
        }
        let unknown = NodeUsage { images: vec![image("a", 1, 0, Some(0))], ..NodeUsage::default() };
        assert_eq!(collect(&ImageGcConfig::default(), &unknown, Time::from_secs(1_000)), Removal::default());
    }

    #[test]
    fn nothing_goes_below_the_high_threshold() {
        assert_eq!(removed(16), [""; 0], "84 percent");
        assert_eq!(removed(15), ["oldest", "older"], "85 percent: five bytes too many for 80");
    }

    #[test]
    fn images_go_in_the_order_of_their_last_use_but_not_those_in_use_or_new() {
        assert_eq!(removed(0), ["oldest", "older", "recent"], "18 of the 20 wanted bytes, and no more to be had");
        let all = remove(&ImageGcConfig::default(), &usage(50), i64::MAX, Time::from_secs(1_000));
        assert_eq!(all.bytes, 18);
    }
}
