//! Native histograms: exponential buckets that exist only where something was observed.
//!
//! After `prometheus/client_golang`'s histogram.go: the same bucket for the same value, and the same halving of the resolution
//! when there are too many buckets. Observations are not negative here, so there are no negative buckets.

/// Resolution to begin with: 2^3 buckets per power of two, each 9 % wide.
const SCHEMA: i32 = 3;
/// The coarsest resolution that Prometheus knows.
const SCHEMA_MIN: i32 = -4;
/// Most buckets; beyond that the resolution is halved.
const BUCKETS_MAX: usize = 160;
/// Where buckets begin, as a fraction of the power of two above them, in schema 3: 2^(i/8 - 1).
const FRACTIONS: [f64; 8] = [
    0.5,
    0.545_253_866_332_628_8,
    0.594_603_557_501_360_5,
    0.648_419_777_325_504_8,
    0.707_106_781_186_547_5,
    0.771_105_412_703_970_4,
    0.840_896_415_253_714_4,
    0.917_004_043_204_671_1,
];
/// Gaps of up to so many empty buckets are bridged, as a span of its own costs more.
const GAP_MAX: i32 = 2;

/// Observations by exponential bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Native {
    schema: i32,
    zero: u64,
    /// By rising key: the bucket `k` reaches from 2^((k-1) / 2^schema) to 2^(k / 2^schema), the upper bound included.
    buckets: Vec<(i32, u64)>,
}

/// A run of buckets, as Prometheus' format has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Buckets between the end of the span before (of the first: key 0) and this one.
    pub offset: i32,
    /// How many buckets.
    pub length: u32,
}

// === impl Native ===

impl Native {
    /// Values up to it are counted as zero: Prometheus' default.
    pub const ZERO_THRESHOLD: f64 = 2.938_735_877_055_719e-39;

    pub(super) fn new() -> Self {
        Self { schema: SCHEMA, zero: 0, buckets: Vec::new() }
    }

    /// Resolution: each bucket is 2^(2^-schema) times as wide as the one before.
    pub fn schema(&self) -> i32 {
        self.schema
    }

    /// Observations that count as zero.
    pub fn zero(&self) -> u64 {
        self.zero
    }

    /// Counts a value, which is finite and not negative.
    pub(super) fn observe(&mut self, value: f64) {
        if value <= Self::ZERO_THRESHOLD {
            self.zero = self.zero.saturating_add(1);
        } else {
            self.add(key(value, self.schema), 1);
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.zero = self.zero.saturating_add(other.zero);
        while self.schema > other.schema {
            self.halve();
        }
        for (key, count) in &other.buckets {
            let key = (self.schema..other.schema).fold(*key, |key, _| coarser(key));
            self.add(key, *count);
        }
    }

    fn add(&mut self, key: i32, by: u64) {
        match self.buckets.binary_search_by_key(&key, |(key, _)| *key) {
            Ok(at) => self.buckets[at].1 = self.buckets[at].1.saturating_add(by),
            Err(at) => {
                self.buckets.insert(at, (key, by));
                while self.buckets.len() > BUCKETS_MAX && self.schema > SCHEMA_MIN {
                    self.halve();
                }
            }
        }
    }

    /// Halves the resolution: two buckets become one.
    fn halve(&mut self) {
        self.schema -= 1;
        for (key, _) in &mut self.buckets {
            *key = coarser(*key);
        }
        self.buckets.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            kept.1 = kept.1.saturating_add(if same { next.1 } else { 0 });
            same
        });
    }

    /// The buckets as Prometheus' format has them: runs, and each bucket's count less the one before.
    pub fn spans(&self) -> (Vec<Span>, Vec<i64>) {
        let (mut spans, mut deltas): (Vec<Span>, Vec<i64>) = (Vec::new(), Vec::new());
        let (mut next, mut before) = (0, 0);
        for (key, count) in &self.buckets {
            let gap = key - next;
            match spans.last_mut().filter(|_| gap <= GAP_MAX) {
                Some(span) => {
                    for _ in 0..gap {
                        deltas.push(-std::mem::take(&mut before));
                    }
                    span.length += gap.unsigned_abs() + 1;
                }
                None => spans.push(Span { offset: gap, length: 1 }),
            }
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            deltas.push(count - before);
            before = count;
            next = key + 1;
        }
        (spans, deltas)
    }
}

/// The bucket of half the resolution that a bucket is part of.
fn coarser(key: i32) -> i32 {
    (key + 1).div_euclid(2)
}

/// The bucket of a value that is finite and above zero.
fn key(value: f64, schema: i32) -> i32 {
    let (fraction, exponent) = split(value);
    if schema > 0 {
        let step = 1_usize << (SCHEMA - schema);
        let below = FRACTIONS.iter().step_by(step).filter(|bound| **bound < fraction).count();
        return i32::try_from(below).expect("at most eight") + (exponent - 1) * (1 << schema);
    }
    let key = if fraction <= 0.5 { exponent - 1 } else { exponent };
    (0..-schema).fold(key, |key, _| coarser(key))
}

/// A fraction from 0.5 up to 1 and a power of two whose product is `value`, as C's frexp gives them. Exact: `value` is above the zero
/// threshold, so it is no subnormal number.
fn split(value: f64) -> (f64, i32) {
    const BIAS: i32 = 1_022;
    let bits = value.to_bits();
    let exponent = i32::try_from(bits >> 52 & 0x7ff).expect("eleven bits");
    (f64::from_bits(bits & !(0x7ff << 52) | 0x3fe << 52), exponent - BIAS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Native {
        let mut native = Native::new();
        for value in values {
            native.observe(*value);
        }
        native
    }

    #[test]
    fn the_threshold_is_two_to_the_minus_128() {
        assert_eq!(Native::ZERO_THRESHOLD.to_bits(), 2_f64.powi(-128).to_bits());
        let zeros = of(&[0.0, 2_f64.powi(-128), f64::MIN_POSITIVE]);
        assert_eq!((zeros.zero(), zeros.spans()), (3, (vec![], vec![])));
        assert_eq!(of(&[2_f64.powi(-127)]).buckets, [(-127 * 8, 1)]);
    }

    #[test]
    fn a_bound_belongs_to_the_bucket_below_it() {
        for (value, wanted) in [
            (1.0, 0),
            (1.000_001, 1),
            (2_f64.powf(0.125), 1),
            (1.1, 2),
            (2.0, 8),
            (2.000_001, 9),
            (0.5, -8),
            (0.500_001, -7),
            (0.25, -16),
            (1.9, 8),
            (0.001, -79),
            (300.0, 66),
            (f64::MAX, 1024 * 8),
        ] {
            assert_eq!(key(value, 3), wanted, "{value}");
        }
        for (value, schema, wanted) in [
            (1.1, 2, 1),
            (1.2, 2, 2),
            (1.1, 1, 1),
            (1.5, 1, 2),
            (1.0, 0, 0),
            (1.5, 0, 1),
            (2.0, 0, 1),
            (0.5, 0, -1),
            (3.0, -1, 1),
            (5.0, -1, 2),
            (0.3, -1, 0),
            (0.2, -1, -1),
            (1e9, -4, 2),
            (1e-9, -4, -1),
        ] {
            assert_eq!(key(value, schema), wanted, "{value} in schema {schema}");
        }
    }

    #[test]
    fn a_coarser_bucket_is_the_bucket_of_the_same_value() {
        for step in 0..2_000 {
            let value = 1.013_f64.powi(step - 1_000);
            for schema in SCHEMA_MIN..SCHEMA {
                assert_eq!(key(value, schema), coarser(key(value, schema + 1)), "{value} in schema {schema}");
            }
        }
    }

    #[test]
    fn runs_bridge_gaps_of_two_and_begin_anew_at_three() {
        let span = |offset, length| Span { offset, length };
        let native = |buckets: &[(i32, u64)]| Native { schema: 3, zero: 0, buckets: buckets.to_vec() };
        assert_eq!(native(&[(-3, 2), (-2, 5), (1, 1)]).spans(), (vec![span(-3, 5)], vec![2, 3, -5, 0, 1]));
        assert_eq!(native(&[(0, 4), (4, 1)]).spans(), (vec![span(0, 1), span(3, 1)], vec![4, -3]));
        assert_eq!(native(&[(2, 1)]).spans(), (vec![span(2, 1)], vec![1]));
    }

    #[test]
    fn too_many_buckets_halve_the_resolution_and_nothing_is_lost() {
        let values: Vec<f64> = (0..161).map(|at| 2_f64.powf(f64::from(at) / 8.0 - 0.01)).collect();
        assert_eq!((of(&values[..160]).schema(), of(&values[..160]).buckets.len()), (3, 160));
        let halved = of(&values);
        assert_eq!((halved.schema(), halved.buckets.len()), (2, 81));
        assert_eq!(halved.buckets.iter().map(|(_, count)| count).sum::<u64>(), 161);
        let wide: Vec<f64> = (-126..1_023).map(|power| 2_f64.powi(power)).collect();
        let coarse = of(&wide);
        assert!(coarse.buckets.len() <= BUCKETS_MAX && coarse.buckets.is_sorted_by(|a, b| a.0 < b.0), "{coarse:?}");
        assert_eq!(coarse.buckets.iter().map(|(_, count)| count).sum::<u64>(), 1_149);
    }

    #[test]
    fn merging_gives_what_observing_all_would_have() {
        let fine = of(&[0.0, 0.1, 0.11, 3.0]);
        let wide: Vec<f64> = (0..200).map(|at| 1.1_f64.powi(at)).collect();
        let coarse = of(&wide);
        assert!(coarse.schema() < fine.schema());
        let both = of(&[&[0.0, 0.1, 0.11, 3.0], &wide[..]].concat());
        let (mut one, mut other) = (fine.clone(), coarse.clone());
        one.merge(&coarse);
        other.merge(&fine);
        assert_eq!((&one, &other), (&both, &both));
    }
}
