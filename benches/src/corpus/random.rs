//! Random numbers that are the same everywhere and for ever: splitmix64, written down here so that no update changes them.

/// A stream of numbers.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn wide(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }

    /// From 0 to `end - 1`. The bias of the multiplication does not matter at these sizes.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// In [0, 1).
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// About normal, with mean 0 and deviation 1: the sum of twelve, which never strays beyond 6.
    pub(super) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// Ranks from 0, each the less frequent the higher it is: rank `r` comes in proportion to `1 / (r + 1)`.
#[derive(Debug)]
pub(super) struct Zipf {
    /// The share of all ranks up to this one.
    up_to: Vec<f64>,
}

impl Zipf {
    pub(super) fn new(ranks: usize) -> Zipf {
        let mut sum = 0.0;
        let mut up_to: Vec<f64> = (0..ranks)
            .map(|rank| {
                sum += 1.0 / (rank + 1) as f64;
                sum
            })
            .collect();
        up_to.iter_mut().for_each(|share| *share /= sum);
        Zipf { up_to }
    }

    pub(super) fn draw(&self, random: &mut Random) -> usize {
        let at = random.unit();
        self.up_to.partition_point(|share| *share <= at).min(self.up_to.len() - 1)
    }
}
