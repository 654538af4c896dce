//! Medians and percentiles.

/// One side of one round, or the median of several.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    /// Requests that were answered, those of the warm-up included.
    pub(crate) requests: usize,
    pub(crate) per_sec: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

impl Sample {
    /// The median of each number by itself, and all requests.
    pub(crate) fn median(samples: &[Self]) -> Self {
        let of = |number: fn(&Self) -> f64| median(samples.iter().map(number));
        Self {
            requests: samples.iter().map(|sample| sample.requests).sum(),
            per_sec: of(|sample| sample.per_sec),
            p50_us: of(|sample| sample.p50_us),
            p99_us: of(|sample| sample.p99_us),
        }
    }
}

/// The middle one; of an even number the mean of the two in the middle; 0 of none.
pub(crate) fn median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_unstable_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.get(middle) {
        None => 0.0,
        Some(upper) if numbers.len() % 2 == 1 => *upper,
        Some(upper) => f64::midpoint(numbers[middle - 1], *upper),
    }
}

/// A percentile of sorted nanoseconds, in microseconds (nearest rank).
pub(crate) fn percentile_us(sorted_nanos: &[u32], share: f64) -> f64 {
    let rank = (sorted_nanos.len() as f64 * share).ceil() as usize;
    sorted_nanos.get(rank.saturating_sub(1)).map_or(0.0, |nanos| f64::from(*nanos) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median([]), 0.0);
        let nanos: Vec<u32> = (1..=100).map(|n| n * 1000).collect();
        assert_eq!(percentile_us(&nanos, 0.50), 50.0);
        assert_eq!(percentile_us(&nanos, 0.99), 99.0);
        assert_eq!(percentile_us(&nanos[..1], 0.99), 1.0);
    }
}
