//! A source of choices that a seed decides.
//!
//! Invariant: the same seed gives the same choices on every machine and in every
//! version. It is no source of secrets.

/// xorshift64* behind splitmix64: small, seeded, and good enough to choose words.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// A source for the `n`th command of a seed, unlike those of its neighbours.
    pub(super) fn new(seed: u64, n: u64) -> Self {
        // splitmix64 spreads numbers that differ in one bit over all of them.
        let mut state = seed.wrapping_add(n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((state ^ (state >> 31)) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`; 0 where there is none.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).unwrap_or(1);
        usize::try_from((self.next() >> 11) % limit).unwrap_or(0)
    }

    pub(super) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(super) fn choose<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}
