//! Numbers that many threads add to, and few read.
//!
//! # Idea
//!
//! Every thread adds to a stripe of its own, in cache lines that hardly another thread writes; whoever reads adds the
//! stripes up. One number for all would move from core to core with every request, and cost each of them some 50 ns.
//!
//! # Invariants
//!
//! - A cell's value is the sum of its stripes, which only grow.
//!
//! # Orderings
//!
//! `Relaxed`: people read it, nothing is concluded from it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

/// More than there are threads that add all the time on the machines this is for; two of a stripe are only slower.
pub const STRIPES: usize = 16;
const CELLS_A_LINE: usize = 16;

type Line = CachePadded<[AtomicU64; CELLS_A_LINE]>;

/// See the module's text.
#[derive(Debug)]
pub struct Tally {
    lines: Box<[Line]>,
    lines_a_stripe: usize,
}

impl Tally {
    /// With a stripe alone where one thread counts.
    pub fn new(cells: usize, stripes: usize) -> Self {
        let lines_a_stripe = cells.div_ceil(CELLS_A_LINE);
        Self { lines: (0..lines_a_stripe * stripes).map(|_| Line::default()).collect(), lines_a_stripe }
    }

    pub fn add(&self, cell: usize, amount: u64) {
        let stripe = own_stripe() % self.stripes();
        self.cell(stripe, cell).fetch_add(amount, Ordering::Relaxed);
    }

    pub fn get(&self, cell: usize) -> u64 {
        let values = (0..self.stripes()).map(|stripe| self.cell(stripe, cell).load(Ordering::Relaxed));
        values.sum()
    }

    /// All cells, and some that were not asked for. Stripe by stripe, as they lie in memory: a scrape reads thousands.
    pub fn all(&self) -> Vec<u64> {
        let mut sums = vec![0; self.lines_a_stripe * CELLS_A_LINE];
        for stripe in self.lines.chunks(self.lines_a_stripe) {
            for (sum, cell) in sums.iter_mut().zip(stripe.iter().flat_map(|line| line.iter())) {
                *sum += cell.load(Ordering::Relaxed);
            }
        }
        sums
    }

    fn stripes(&self) -> usize {
        self.lines.len() / self.lines_a_stripe
    }

    fn cell(&self, stripe: usize, cell: usize) -> &AtomicU64 {
        &self.lines[stripe * self.lines_a_stripe + cell / CELLS_A_LINE][cell % CELLS_A_LINE]
    }
}

/// Threads have their stripes in the order in which they first count something.
fn own_stripe() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    OWN.with(|own| *own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_count_to_one_sum() {
        let tally = Tally::new(20, STRIPES);
        std::thread::scope(|scope| {
            for _ in 0..2 * STRIPES {
                scope.spawn(|| (0..1_000).for_each(|_| tally.add(19, 3)));
            }
        });
        assert_eq!((tally.get(18), tally.get(19)), (0, 2 * STRIPES as u64 * 3_000));
        assert_eq!(tally.all()[..20], std::array::from_fn::<_, 20, _>(|cell| tally.get(cell)));
    }
}
