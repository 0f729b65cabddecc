//! Lines that lie on one another: each is seen a stretch of the way.

use super::canvas::Point;

/// How long each of several lines at one height is seen before the next one is, in logical pixels.
const TURN: f64 = 12.0;

/// A short level stretch of a line that others lie upon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Turn {
    /// Which line.
    pub(super) line: usize,
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) y: f64,
}

/// Where lines of one width lie on one another, their colours take turns along the way, so that none hides another; a
/// wider line is seen beside a narrower one. The last of the lines is drawn already and gets no turn.
pub(super) fn turns(paths: &[Vec<Point>], widths: &[f64], (left, right): (f64, f64)) -> Vec<Turn> {
    let mut turns = Vec::new();
    let count = ((right - left) / TURN).ceil() as usize;
    for index in 0..count {
        let (from, to) = (left + index as f64 * TURN, (left + (index + 1) as f64 * TURN).min(right));
        let levels: Vec<Option<f64>> = paths.iter().map(|path| level(path, from, to)).collect();
        for (last, y) in levels.iter().enumerate() {
            let lies_there = |other: usize| levels[other] == *y && widths[other] == widths[last];
            let Some(y) = *y else { continue };
            if (last + 1..paths.len()).any(lies_there) {
                continue;
            }
            let below: Vec<usize> = (0..=last).filter(|&other| lies_there(other)).collect();
            let line = below[index % below.len()];
            if line != last {
                turns.push(Turn { line, from, to, y });
            }
        }
    }
    turns
}

/// A short piece of a curve that others lie upon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Piece {
    /// Which curve.
    pub(super) curve: usize,
    pub(super) from: Point,
    pub(super) to: Point,
}

/// Where curves run through the same two points, their colours take turns, as those of level lines do in [`turns`].
pub(super) fn shared_pieces(curves: &[Vec<Point>]) -> Vec<Piece> {
    let runs_through = |curve: usize, pair: &[Point]| curves[curve].windows(2).any(|other| other == pair);
    let mut pieces = Vec::new();
    for (last, curve) in curves.iter().enumerate() {
        for pair in curve.windows(2) {
            if (last + 1..curves.len()).any(|later| runs_through(later, pair)) {
                continue;
            }
            let below: Vec<usize> = (0..=last).filter(|&other| runs_through(other, pair)).collect();
            if below.len() > 1 {
                cut(pair[0], pair[1], |from, to, index| {
                    let curve = below[index % below.len()];
                    if curve != last {
                        pieces.push(Piece { curve, from, to });
                    }
                });
            }
        }
    }
    pieces
}

/// The pieces of a line from left to right, cut wherever the next turn begins, each with the number of its turn.
fn cut(from: Point, to: Point, mut piece: impl FnMut(Point, Point, usize)) {
    let at = |x: f64| (x, from.1 + (to.1 - from.1) * ((x - from.0) / (to.0 - from.0)));
    let (mut begin, mut index) = (from, (from.0 / TURN).floor() as usize);
    while begin.0 < to.0 {
        let next = (index + 1) as f64 * TURN;
        let end = if next >= to.0 { to } else { at(next) };
        piece(begin, end, index);
        (begin, index) = (end, index + 1);
    }
}

/// The height at which a path of corners is level all the way between two places, if it is.
fn level(path: &[Point], from: f64, to: f64) -> Option<f64> {
    let next = path.partition_point(|&(x, _)| x <= from);
    let (&(_, y), &(x, end)) = (path.get(next.checked_sub(1)?)?, path.get(next)?);
    (x >= to && y == end).then_some(y)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_at_one_height_take_turns_and_the_others_are_left_alone() {
        let level_at = |y: f64| vec![(0.0, y), (48.0, y)];
        // The third one leaves the second one's height half-way.
        let paths =
            [level_at(5.0), level_at(5.0), vec![(0.0, 5.0), (30.0, 5.0), (30.0, 8.0), (48.0, 8.0)], level_at(9.0)];
        let found: Vec<(usize, f64, f64)> = turns(&paths, &[4.5, 2.0, 2.0, 2.0], (0.0, 48.0))
            .iter()
            .map(|turn| (turn.line, turn.from, turn.to))
            .collect();
        assert_eq!(found, [(1, 0.0, 12.0)], "from 12 to 24 the third one has its turn, then they part");
    }

    #[test]
    fn three_equal_lines_are_each_seen() {
        let paths = vec![vec![(0.0, 5.0), (60.0, 5.0)]; 3];
        let found: Vec<usize> = turns(&paths, &[2.0; 3], (0.0, 60.0)).iter().map(|turn| turn.line).collect();
        assert_eq!(found, [0, 1, 0, 1], "the third one's turns are its own line");
    }

    #[test]
    fn equal_curves_are_each_seen_where_they_are_equal_and_nowhere_else() {
        let one = vec![(0.0, 0.0), (36.0, 36.0), (60.0, 0.0)];
        let other = vec![(0.0, 0.0), (36.0, 36.0), (60.0, 50.0)];
        let pieces = shared_pieces(&[one, other]);
        let piece = |from: f64, to: f64| Piece { curve: 0, from: (from, from), to: (to, to) };
        assert_eq!(pieces, [piece(0.0, 12.0), piece(24.0, 36.0)]);
    }

    #[test]
    fn a_path_is_level_between_two_places_only_if_it_has_no_corner_there() {
        let path = [(0.0, 1.0), (10.0, 1.0), (10.0, 2.0), (20.0, 2.0)];
        assert_eq!([level(&path, 0.0, 10.0), level(&path, 10.0, 20.0)], [Some(1.0), Some(2.0)]);
        assert_eq!([level(&path, 5.0, 15.0), level(&path, 15.0, 25.0), level(&[], 0.0, 1.0)], [None; 3]);
    }
}
