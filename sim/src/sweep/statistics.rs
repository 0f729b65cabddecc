//! Means over replications, and how well they are known.

/// A mean with its spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// How many values.
    pub count: usize,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (with n − 1); 0 for one value.
    pub deviation: f64,
    /// Half of the width of the 95 % confidence interval of the mean (Student's t); 0 for one value.
    pub half_width: f64,
}

impl Estimate {
    /// The estimate from some values; `None` without any.
    pub fn of(values: &[f64]) -> Option<Estimate> {
        let count = values.len();
        if count == 0 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count as f64;
        if count == 1 {
            return Some(Estimate { count, mean, deviation: 0.0, half_width: 0.0 });
        }
        let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
        Some(Estimate::known(count, mean, (squares / (count as f64 - 1.0)).sqrt()))
    }

    /// The estimate from so many values (≥ 2) of which only mean and standard deviation are known.
    pub fn known(count: usize, mean: f64, deviation: f64) -> Estimate {
        let half_width = t_quantile(count as u32 - 1) * deviation / (count as f64).sqrt();
        Estimate { count, mean, deviation, half_width }
    }

    /// How far the mean is above that of other, independent values, and half of the width of the 95 % confidence
    /// interval of that difference (Welch's, its degrees of freedom rounded down). Both have two values or more.
    pub fn above(&self, other: &Estimate) -> (f64, f64) {
        let [this, that] = [self, other].map(|it| it.deviation * it.deviation / it.count as f64);
        let freedom = |it: &Estimate, square: f64| square * square / (it.count as f64 - 1.0);
        let freedom = (this + that) * (this + that) / (freedom(self, this) + freedom(other, that));
        // Values that do not vary leave no doubt.
        let half_width = if freedom.is_nan() { 0.0 } else { t_quantile(freedom as u32) * (this + that).sqrt() };
        (self.mean - other.mean, half_width)
    }
}

/// The number within whose distance of 0 Student's t with so many degrees of freedom (≥ 1) lies with 95 %.
fn t_quantile(freedom: u32) -> f64 {
    let (mut low, mut high) = (0.0, 1_000.0);
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if t_within(middle, freedom) < 0.95 { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

/// The probability that Student's t lies within a distance of 0.
///
/// Source: Abramowitz and Stegun, 26.7.3 and 26.7.4, which are exact for whole degrees of freedom.
fn t_within(t: f64, freedom: u32) -> f64 {
    let theta = (t / f64::from(freedom).sqrt()).atan();
    let (sine, cosine) = theta.sin_cos();
    let odd = freedom % 2 == 1;
    let mut term = if odd { cosine } else { 1.0 };
    let mut sum = if freedom == 1 { 0.0 } else { term };
    let mut power = if odd { 3 } else { 2 };
    while power < freedom {
        term *= cosine * cosine * f64::from(power - 1) / f64::from(power);
        sum += term;
        power += 2;
    }
    if odd { (theta + sine * sum) * 2.0 / std::f64::consts::PI } else { sine * sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (freedom, expected) in [
            (1, 12.706),
            (2, 4.303),
            (3, 3.182),
            (4, 2.776),
            (9, 2.262),
            (10, 2.228),
            (29, 2.045),
            (30, 2.042),
            (1_000, 1.962),
        ] {
            let found = t_quantile(freedom);
            assert!((found - expected).abs() < 0.000_6, "{freedom} degrees of freedom: {found}, expected {expected}");
        }
    }

    #[test]
    fn an_interval_comes_from_two_values_on() {
        let one = Estimate::of(&[3.0]).unwrap();
        assert_eq!((one.mean, one.deviation, one.half_width), (3.0, 0.0, 0.0));
        let three = Estimate::of(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((three.count, three.mean, three.deviation), (3, 2.0, 1.0));
        assert!((three.half_width - 4.303 / 3f64.sqrt()).abs() < 0.001, "{three:?}");
        assert_eq!(Estimate::of(&[]), None);
    }

    #[test]
    fn a_difference_is_as_sure_as_the_means() {
        let (one, other) = (Estimate::known(15, 20.0, 2.0), Estimate::known(10, 21.0, 3.0));
        let (difference, half_width) = one.above(&other);
        assert_eq!(difference, -1.0);
        // Variances of the means 0.26667 and 0.9; 1.36111 / (0.0050794 + 0.09) = 14.3 degrees of freedom; t is 2.145.
        assert!((half_width - 2.145 * 1.166_67_f64.sqrt()).abs() < 0.002, "{half_width}");
        let same = Estimate::of(&[2.0, 2.0]).unwrap();
        assert_eq!(same.above(&same), (0.0, 0.0));
    }
}
