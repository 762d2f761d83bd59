//! What is said about many rounds.

/// The middle one; 0 if there is none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

/// The one below which such a share lies, of values in ascending order; 0 if there is none.
pub fn quantile(ascending: &[f64], share: f64) -> f64 {
    let last = ascending.len().saturating_sub(1) as f64;
    ascending.get((last * share) as usize).copied().unwrap_or(0.0)
}

/// The chance that is left for the median to lie below the interval, and again above it.
const TAIL: f64 = 0.025;

/// Where the median that these values were drawn around lies, with 95 % confidence or a little more.
///
/// It takes nothing for granted about how the values are spread: each is below the true median as a
/// coin falls, so the number of those below it is binomial, and two of the values themselves are the
/// interval's ends. `None`: with fewer than six values there is no such interval.
pub fn interval_of_median(mut values: Vec<f64>) -> Option<(f64, f64)> {
    values.sort_by(f64::total_cmp);
    let left_out = left_out_at_each_end(values.len())?;
    Some((values[left_out], values[values.len() - 1 - left_out]))
}

/// The most that may be: so many coins of `count`, or fewer, must fall alike with a chance of `TAIL`
/// at most.
fn left_out_at_each_end(count: usize) -> Option<usize> {
    let mut chance_of_exactly = 0.5_f64.powi(i32::try_from(count).ok()?);
    let mut chance = chance_of_exactly;
    let mut left_out = None;
    for below in 0..count / 2 {
        if chance > TAIL {
            break;
        }
        left_out = Some(below);
        chance_of_exactly *= (count - below) as f64 / (below + 1) as f64;
        chance += chance_of_exactly;
    }
    left_out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(Vec::new()), 0.0);
    }

    #[test]
    fn quantiles_are_among_the_values() {
        let values: Vec<_> = (0..=100).map(f64::from).collect();
        assert_eq!([0.0, 0.5, 0.99, 1.0].map(|share| quantile(&values, share)), [0.0, 50.0, 99.0, 100.0]);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }

    /// 1, 2, 3 and so on, in no order.
    fn ranks(count: usize) -> Vec<f64> {
        let (mut low, mut high): (Vec<_>, Vec<_>) =
            (1..=count).map(|n| n as f64).partition(|n| n % 3.0 == 0.0);
        high.append(&mut low);
        high
    }

    /// As the tables of the sign test have them (Conover, *Practical Nonparametric Statistics*).
    #[test]
    fn the_intervals_ends_are_those_of_the_tables() {
        for (count, low, high) in [
            (6, 1.0, 6.0),
            (8, 1.0, 8.0),
            (9, 2.0, 8.0),
            (20, 6.0, 15.0),
            (30, 10.0, 21.0),
            (100, 40.0, 61.0),
        ] {
            assert_eq!(interval_of_median(ranks(count)), Some((low, high)), "{count} values");
        }
    }

    #[test]
    fn too_few_values_have_no_interval() {
        for count in 0..6 {
            assert_eq!(interval_of_median(ranks(count)), None, "{count} values");
        }
    }

    /// Drawn again and again, from a distribution that is far from symmetric: the interval misses the
    /// true median in at most one of twenty, and is not so wide that it never does.
    #[test]
    fn the_interval_holds_the_true_median_as_often_as_it_says() {
        let mut state = 42_u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        for count in [7, 15, 30] {
            const DRAWS: usize = 4000;
            let missed = (0..DRAWS).filter(|_| {
                let values = (0..count).map(|_| -(1.0 - uniform()).ln()).collect();
                let (low, high) = interval_of_median(values).expect("there are enough");
                let truth = std::f64::consts::LN_2;
                truth < low || high < truth
            });
            let share = missed.count() as f64 / DRAWS as f64;
            assert!((0.005..=0.05).contains(&share), "{count} values: missed by {share}");
        }
    }
}
