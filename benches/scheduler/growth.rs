//! How the cost of a pod grows with the number of nodes: the plot of the documentation.
//!
//! Sketch: pods of templates cost a walk up a tree, which has one level more for 32 times the nodes; other pods are
//! passes over all nodes beside a constant part, and where the nodes' sums leave the second-level cache (16,000 nodes
//! of 64 B) each node costs a little more. Expect twice the cost over three decades for templates, and less than ten
//! times for ten times the nodes for all.

use std::path::Path;

use wavetank_benches::measure::verdict;
use wavetank_reports::plots::bands::{BandFigure, BandPoint, Curve, Scale};
use wavetank_reports::plots::pictures;

use crate::cases::{Case, Kind};
use crate::throughput::cost;

const NODES: [u32; 4] = [100, 1_000, 10_000, 100_000];
/// What the legend says, the pods, and the most of them that one round places. All fit 100 nodes.
const CURVES: [(&str, Kind, u32); 4] = [
    ("50 templates in turns", Kind::Templates(50), 6_000),
    ("every pod different", Kind::Different, 1_000),
    ("hard spreading and anti-affinity", Kind::Hard(50), 2_000),
    ("soft spreading and anti-affinity", Kind::Soft(50), 2_000),
];

/// Measures, prints and draws; `true` if every curve grows slower than the number of nodes.
pub(crate) fn draw() -> bool {
    let mut held = true;
    let mut curves = Vec::new();
    for (label, kind, pods) in CURVES {
        let mut points: Vec<BandPoint> = Vec::new();
        for nodes in NODES {
            let case = Case { kind, nodes, pods, percentage: 100, rounds: 3, rate_min: None };
            let micros = cost(&case);
            println!("growth: {label}: {nodes} nodes: {micros:.2} µs per pod");
            points.push(BandPoint { x: f64::from(nodes), mean: micros, half_width: 0.0 });
        }
        for pair in points.windows(2) {
            let (cost, nodes) = (pair[1].mean / pair[0].mean, pair[1].x / pair[0].x);
            let slower = cost < nodes;
            held &= slower;
            println!("growth: {label}: {cost:.2} times the cost at {nodes:.0} times the nodes: {}", verdict(slower));
        }
        curves.push(Curve { label: label.to_owned(), points });
    }
    // In proportion to the nodes, through the dearest curve's first point.
    let dearest = curves.iter().map(|curve| curve.points[0].mean).fold(0.0, f64::max);
    let line = |nodes: &u32| {
        let x = f64::from(*nodes);
        BandPoint { x, mean: dearest * x / f64::from(NODES[0]), half_width: 0.0 }
    };
    let proportional =
        Curve { label: "in proportion to the nodes".to_owned(), points: NODES.iter().map(line).collect() };
    curves.push(proportional);
    let figure = BandFigure {
        stem: "scheduler-growth".to_owned(),
        title: "The scheduler's cost of a pod against the size of the cluster".to_owned(),
        subtitle: "CPU time of one thread, every node scored, medians of 3 rounds".to_owned(),
        x_label: "nodes".to_owned(),
        y_label: "µs per pod".to_owned(),
        curves,
        panels: vec![(100.0, 100_000.0)],
        scale: Scale::Decades,
    };
    let (svg, png) = pictures(&figure).expect("the figure can be drawn");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/images");
    for (ending, bytes) in [("svg", svg.as_bytes()), ("png", &png)] {
        let file = folder.join(format!("{}.{ending}", figure.stem));
        std::fs::write(&file, bytes).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
    held
}
