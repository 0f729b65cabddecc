//! The one place of the scheduler that computes with floating point, because kube-scheduler does and its rounding is
//! part of the answer.
//!
//! Only IEEE 754 operations that are exactly rounded everywhere are used, in the order of the source, and the logarithm
//! of the `libm` crate, which is made of such operations; so the results are the same on every machine.

#![expect(clippy::float_arithmetic, reason = "kube-scheduler scores balance in float64 and truncates")]

/// The score of balanced allocation, 0 ..= 100, truncated: 100 · (1 − standard deviation of the used fractions).
///
/// Each pair is (requested with the pod, allocatable); resources of which the node has none are left out. A fraction
/// above 1 counts as 1. Of two fractions the deviation is half their distance, of fewer it is 0.
///
/// Source: `balancedResourceScorer`, pkg/scheduler/framework/plugins/noderesources/balanced_allocation.go (v1.34.1).
pub(super) fn balanced_score(resources: impl IntoIterator<Item = (i64, i64), IntoIter: Clone>) -> i64 {
    let present = resources.into_iter().filter(|(_, allocatable)| *allocatable != 0);
    let fractions = present.map(|(requested, allocatable)| (requested as f64 / allocatable as f64).min(1.0));
    let (mut count, mut total, mut first, mut second) = (0_u32, 0.0, 0.0, 0.0);
    for fraction in fractions.clone() {
        total += fraction;
        (first, second) = if count == 0 { (fraction, second) } else { (first, fraction) };
        count += 1;
    }
    let deviation = match count {
        0 | 1 => 0.0,
        2 => ((first - second) / 2.0_f64).abs(),
        _ => {
            let mean = total / f64::from(count);
            let mut sum = 0.0;
            for fraction in fractions {
                sum += (fraction - mean) * (fraction - mean);
            }
            (sum / f64::from(count)).sqrt()
        }
    };
    ((1.0 - deviation) * 100.0) as i64
}

/// The same for two resources of which the node has some.
pub(super) fn balanced_score_of_two(one: (i64, i64), other: (i64, i64)) -> i64 {
    let fraction = |(requested, allocatable): (i64, i64)| (requested as f64 / allocatable as f64).min(1.0);
    let deviation = ((fraction(one) - fraction(other)) / 2.0_f64).abs();
    ((1.0 - deviation) * 100.0) as i64
}

/// An image's size in bytes, scaled by the share of nodes that have it, truncated.
///
/// Source: `scaledImageScore`, pkg/scheduler/framework/plugins/imagelocality/image_locality.go (v1.34.1).
pub(super) fn scaled_image_size(size_bytes: i64, nodes_with: u32, nodes: u32) -> i64 {
    let spread = f64::from(nodes_with) / f64::from(nodes);
    (size_bytes as f64 * spread) as i64
}

/// How much each pod in a domain counts: the logarithm of the number of domains + 2, so that few large domains do not
/// drown many small ones.
#[derive(Clone, Copy)]
pub(super) struct SpreadWeight(f64);

impl SpreadWeight {
    /// The weight for a number of domains.
    ///
    /// Source: `topologyNormalizingWeight`, pkg/scheduler/framework/plugins/podtopologyspread/scoring.go (v1.34.1).
    pub(super) fn of(domains: usize) -> SpreadWeight {
        SpreadWeight(libm::log((domains + 2) as f64))
    }
}

/// What each domain of one constraint adds to a node's score: its weighted number of pods, and the skew that is
/// allowed.
///
/// Source: `scoreForCount`, the same file.
pub(super) struct SpreadShares(Vec<f64>);

impl SpreadShares {
    /// Of the domains with so many pods each. A maximal skew is at least 1.
    pub(super) fn of(pods: impl Iterator<Item = u32>, weight: SpreadWeight, max_skew: i32) -> SpreadShares {
        SpreadShares(pods.map(|pods| SpreadShare::of(pods, weight, max_skew).0).collect())
    }
}

/// What single domains of one constraint add, for who asks of few.
#[derive(Clone, Copy)]
pub(super) struct SpreadShare(f64);

impl SpreadShare {
    /// Of a constraint or a domain that adds nothing.
    pub(super) const NONE: SpreadShare = SpreadShare(0.0);

    /// Of a domain with so many pods. A maximal skew is at least 1.
    pub(super) fn of(pods: u32, weight: SpreadWeight, max_skew: i32) -> SpreadShare {
        SpreadShare(f64::from(pods) * weight.0 + f64::from(max_skew - 1))
    }

    /// The sum with the share of a further constraint, rounded as [`SpreadSums::rounded`] does.
    pub(super) fn rounded_with(self, other: SpreadShare) -> i64 {
        rounded(self.0 + other.0)
    }
}

/// The sums over constraints of what the domains of many nodes add, by kinds of nodes: all nodes of one kind have the
/// same sum. There are few kinds, so what is computed once for each costs little beside a look at every node.
pub(super) struct SpreadSums {
    /// By node; empty before the first constraint.
    kinds: Vec<u32>,
    /// By kind, perhaps of no node.
    sums: Vec<f64>,
}

impl SpreadSums {
    /// Of no constraint yet.
    pub(super) fn zero() -> SpreadSums {
        SpreadSums { kinds: Vec::new(), sums: vec![0.0] }
    }

    /// Adds a constraint, given for each node 1 + its domain's number; a node outside all domains has 0 and stays as it
    /// is.
    pub(super) fn add(&mut self, shares: &SpreadShares, domains: impl ExactSizeIterator<Item = u32>) {
        let width = shares.0.len() + 1;
        if self.kinds.is_empty() {
            // One kind so far.
            self.kinds = domains.collect();
            self.sums = [0.0].into_iter().chain(shares.0.iter().map(|share| 0.0 + share)).collect();
        } else if self.sums.len() * width <= self.kinds.len() {
            let mut sums = Vec::with_capacity(self.sums.len() * width);
            for sum in &self.sums {
                sums.push(*sum);
                sums.extend(shares.0.iter().map(|share| sum + share));
            }
            self.sums = sums;
            for (kind, domain) in self.kinds.iter_mut().zip(domains) {
                // There are fewer kinds than nodes.
                *kind = kind.wrapping_mul(width as u32).wrapping_add(domain);
            }
        } else {
            // More kinds than nodes: each node is a kind of its own.
            let add = |(kind, domain): (&u32, u32)| match domain.checked_sub(1) {
                Some(domain) => self.sums[*kind as usize] + shares.0[domain as usize],
                None => self.sums[*kind as usize],
            };
            self.sums = self.kinds.iter().zip(domains).map(add).collect();
            self.kinds = (0..self.sums.len() as u32).collect();
        }
    }

    /// Adds a constraint that every node is in a domain of, given each node's.
    pub(super) fn add_each(&mut self, shares: &SpreadShares, domains: Vec<u32>) {
        if self.kinds.is_empty() {
            self.kinds = domains;
            self.sums = shares.0.iter().map(|share| 0.0 + share).collect();
        } else {
            let nodes: Vec<u32> = (0..domains.len() as u32).collect();
            self.add_by_slot(shares, &domains, &nodes);
        }
    }

    /// The same, given each slot's domain and the nodes' slots.
    pub(super) fn add_by_slot(&mut self, shares: &SpreadShares, domains: &[u32], slots: &[u32]) {
        let width = shares.0.len();
        if self.kinds.is_empty() {
            self.add_each(shares, slots.iter().map(|slot| domains[*slot as usize]).collect());
        } else if self.sums.len() * width <= self.kinds.len() {
            self.sums = self.sums.iter().flat_map(|sum| shares.0.iter().map(move |share| sum + share)).collect();
            for (kind, slot) in self.kinds.iter_mut().zip(slots) {
                // There are fewer kinds than nodes.
                *kind = kind.wrapping_mul(width as u32).wrapping_add(domains[*slot as usize]);
            }
        } else {
            // More kinds than nodes: each node is a kind of its own.
            let add =
                |(kind, slot): (&u32, &u32)| self.sums[*kind as usize] + shares.0[domains[*slot as usize] as usize];
            self.sums = self.kinds.iter().zip(slots).map(add).collect();
            self.kinds = (0..self.sums.len() as u32).collect();
        }
    }

    /// Each node's kind, and by kind the sum rounded, halves away from zero. None is negative.
    ///
    /// Source: `Score`, the same file.
    pub(super) fn rounded(self) -> (Vec<u32>, Vec<i64>) {
        let sums = self.sums.iter().map(|sum| rounded(*sum)).collect();
        (self.kinds, sums)
    }
}

/// A number that is not negative and below 2^53, rounded half up: cutting is exact, and so is the difference to what
/// was cut.
fn rounded(number: f64) -> i64 {
    let whole = number as i64;
    whole + i64::from(number - whole as f64 >= 0.5)
}

/// Where `above` lies in 0 ..= `range` (> 0), 0 ..= 100, truncated.
///
/// Source: `NormalizeScore`, pkg/scheduler/framework/plugins/interpodaffinity/scoring.go (v1.34.1).
pub(super) fn share_of_range(above: i64, range: i64) -> i64 {
    (100.0 * (above as f64 / range as f64)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_that_of_the_library() {
        let numbers = [0.0, 0.499_999_999_999_999_94, 0.5, 1.5, 2.499_999_9, 12_345.5, 4_503_599_627_370_495.5];
        for number in numbers.into_iter().chain((0..10_000).map(|part| f64::from(part) / 7.0)) {
            assert_eq!(rounded(number), libm::round(number) as i64, "{number}");
        }
    }

    #[test]
    fn two_constraints_at_once_sum_up_as_one_after_the_other() {
        let weight = SpreadWeight::of(7);
        let of_nodes = SpreadShares::of(0..4, weight, 3);
        let (pods, zones) = ([11, 5, 8], SpreadWeight::of(3));
        let of_zones = SpreadShares::of(pods.into_iter(), zones, 5);
        let nodes: Vec<(u32, u32)> = (0..40).map(|node| (node * 7 % 4, node * 5 % 3)).collect();
        let at_once = |(on_node, zone): &(u32, u32)| {
            let of_zone = SpreadShare::of(pods[*zone as usize], zones, 5);
            SpreadShare::of(*on_node, weight, 3).rounded_with(of_zone)
        };
        let at_once: Vec<i64> = nodes.iter().map(at_once).collect();
        let mut in_turn = SpreadSums::zero();
        in_turn.add(&of_nodes, nodes.iter().map(|(pods, _)| pods + 1));
        in_turn.add(&of_zones, nodes.iter().map(|(_, zone)| zone + 1));
        let (kinds, sums) = in_turn.rounded();
        let in_turn: Vec<i64> = kinds.into_iter().map(|kind| sums[kind as usize]).collect();
        assert_eq!(at_once, in_turn);
        assert_eq!(SpreadShare::NONE.rounded_with(SpreadShare::NONE), 0, "outside all domains nothing is added");
    }

    #[test]
    fn even_use_scores_full_and_uneven_use_loses_half_the_distance() {
        assert_eq!(balanced_score([(500, 1_000), (1 << 29, 1 << 30)]), 100);
        assert_eq!(balanced_score([(1_000, 1_000), (0, 1 << 30)]), 50);
        assert_eq!(balanced_score([(2_000, 1_000), (1 << 30, 1 << 30)]), 100, "a fraction above 1 counts as 1");
        assert_eq!(balanced_score([(100, 1_000), (1 << 29, 1 << 30)]), 80);
        assert_eq!(balanced_score_of_two((100, 1_000), (1 << 29, 1 << 30)), 80);
        assert_eq!(balanced_score([(100, 0), (1 << 29, 1 << 30)]), 100, "one resource has no deviation");
    }
}
