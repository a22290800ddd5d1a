//! How the benches run an operation: on one thread, or on two at once.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode};

/// An operation on what is measured, and what it found; the number grows from call to call.
pub type Operation<'a> = &'a (dyn Fn(u64) -> Option<u64> + Sync);

/// Measures the operations under their names, each alone and on two threads.
pub fn measure(criterion: &mut Criterion, name: &str, operations: &[(&str, Operation<'_>)]) {
    let mut group = criterion.benchmark_group(format!("{name}, quiet"));
    for (name, operation) in operations {
        let mut number = 0;
        group.bench_function(*name, |bencher| {
            bencher.iter(|| {
                number += 1;
                operation(number)
            });
        });
    }
    group.finish();
    let mut group = contended(criterion, name);
    for (name, operation) in operations {
        group.bench_function(*name, |bencher| {
            bencher.iter_custom(|iterations| {
                let work =
                    |first| move || (first..first + iterations).map(operation).for_each(|found| _ = black_box(found));
                together(work(0), work(iterations))
            });
        });
    }
    group.finish();
}

/// A group of benches that run on two threads. Few long samples: what it takes to start two threads does not count.
pub fn contended<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(format!("{name}, contended"));
    group.sampling_mode(SamplingMode::Flat).sample_size(30);
    group
}

/// Starts both at the same instant, each on a thread of its own; the time until both are done. Each thread has a core to
/// itself where there are two: on one core they would take turns, and nothing would be contended.
pub fn together(one: impl FnOnce() + Send, other: impl FnOnce() + Send) -> Duration {
    fn timed(core: usize, start: &Barrier, work: impl FnOnce()) -> Duration {
        if let Some(core) = core_affinity::get_core_ids().unwrap_or_default().get(core) {
            core_affinity::set_for_current(*core);
        }
        start.wait();
        let began = Instant::now();
        work();
        began.elapsed()
    }
    let start = &Barrier::new(2);
    std::thread::scope(|scope| {
        let threads = (scope.spawn(move || timed(0, start, one)), scope.spawn(move || timed(1, start, other)));
        let ended = |took: std::thread::Result<Duration>| took.expect("a thread that panicked has said so");
        ended(threads.0.join()).max(ended(threads.1.join()))
    })
}
