//! What is shown while a run goes on.

use std::rc::Rc;
use std::time::Duration;

use crate::run::Run;

/// Writes a line a second to standard error, until it is dropped.
pub async fn show(run: Rc<Run>) {
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let figures = run.figures.borrow();
        let seconds = run.start.elapsed().as_secs();
        let warm_up = if run.start.elapsed() < run.warm_up { "  (warm-up)" } else { "" };
        let (sends, delivery) = (figures.sends.good.summary(), figures.delivery.summary());
        eprintln!(
            "{seconds:>4} s  {:>7} sends/s  p99 {:.2} ms  delivered p99 {:.2} ms{warm_up}",
            figures.so_far - before,
            sends.p99,
            delivery.p99
        );
        before = figures.so_far;
    }
}
