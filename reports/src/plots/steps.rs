//! Step functions as pixel paths, thinned to what a picture can show.
//!
//! A pixel column shows at most four things of a step function: the value it enters with, its least, its greatest, and
//! the value it leaves with. All other points of the column are dropped, so a million points draw as fast as a few
//! thousand, and no spike is lost.

use super::canvas::Point;

/// Keeps at most four points per column: the first, the least, the greatest and the last, in their order.
///
/// `points` are in order of time. A column is `column_ns` nanoseconds wide.
pub(crate) fn thin(points: &[(u64, i64)], column_ns: u64) -> Vec<(u64, i64)> {
    assert!(column_ns > 0, "a pixel column without width");
    let mut kept = Vec::new();
    let mut rest = points;
    while let Some(&(first_ns, _)) = rest.first() {
        let column = first_ns / column_ns;
        let count = rest.partition_point(|&(time_ns, _)| time_ns / column_ns == column);
        let (inside, beyond) = rest.split_at(count);
        let extreme = |better: fn(i64, i64) -> bool| {
            (1..count).fold(0, |best, index| if better(inside[index].1, inside[best].1) { index } else { best })
        };
        let mut indices = [0, extreme(|value, best| value < best), extreme(|value, best| value > best), count - 1];
        indices.sort_unstable();
        let mut previous = None;
        for index in indices {
            if previous != Some(index) {
                kept.push(inside[index]);
            }
            previous = Some(index);
        }
        rest = beyond;
    }
    kept
}

/// The corners of a step function: level from each point to the next, then straight up or down, and level to `end_x`.
pub(crate) fn corners(points: &[Point], end_x: f64) -> Vec<Point> {
    let mut corners = Vec::with_capacity(2 * points.len() + 1);
    let mut level = None;
    for &(x, y) in points {
        if let Some(before) = level {
            if before == y {
                continue;
            }
            corners.push((x, before));
        }
        corners.push((x, y));
        level = Some(y);
    }
    if let Some(last) = level {
        corners.push((end_x, last));
    }
    corners
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_points_are_thinned_and_the_one_spike_survives() {
        let mut points: Vec<(u64, i64)> = (0..1_000_000).map(|index| (index, (index % 7) as i64)).collect();
        points[654_321].1 = 1_000;
        let thinned = thin(&points, 1_000);
        assert!(thinned.len() <= 4_000, "{} points are left", thinned.len());
        assert!(thinned.contains(&(654_321, 1_000)));
        assert_eq!((thinned.first(), thinned.last()), (points.first(), points.last()));
        assert!(thinned.is_sorted_by_key(|&(time_ns, _)| time_ns));
    }

    #[test]
    fn few_points_are_all_kept() {
        let points = [(0, 3), (5, 9), (5, 2), (40, 2)];
        assert_eq!(thin(&points, 10), points);
        assert_eq!(thin(&[], 10), []);
    }

    #[test]
    fn a_step_goes_level_then_plumb() {
        let path = corners(&[(0.0, 10.0), (5.0, 10.0), (8.0, 2.0)], 20.0);
        assert_eq!(path, [(0.0, 10.0), (8.0, 10.0), (8.0, 2.0), (20.0, 2.0)]);
        assert_eq!(corners(&[], 20.0), []);
    }
}
