//! When a send is due.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use rustix::fd::OwnedFd;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Semaphore;

/// The shortest tick: at higher rates each brings several sends, late by at most this.
const SHORTEST_TICK: Duration = Duration::from_micros(50);

/// Gives every send the time at which it is due, counted from the start of the run.
pub enum Pace {
    /// At a fixed rate, whatever becomes of the sends before.
    Open(Open),
    /// Whenever a connection is free, until the time is over.
    Closed { start: Instant, length: Duration },
}

pub struct Open {
    start: Instant,
    rate: f64,
    length: Duration,
    /// Those that are due and not begun.
    due: Semaphore,
    begun: Cell<u64>,
}

impl Pace {
    pub fn new(rate: Option<f64>, start: Instant, length: Duration) -> Self {
        match rate {
            Some(rate) => Self::Open(Open { start, rate, length, due: Semaphore::new(0), begun: Cell::new(0) }),
            None => Self::Closed { start, length },
        }
    }

    /// Waits for the next send to be due; `None` after the last one.
    pub async fn next(&self) -> Option<Duration> {
        match self {
            Self::Open(open) => {
                open.due.acquire().await.ok()?.forget();
                let number = open.begun.replace(open.begun.get() + 1);
                Some(open.due_at(number))
            }
            Self::Closed { start, length } => {
                let now = start.elapsed();
                (now < *length).then_some(now)
            }
        }
    }

    /// Runs the clock to the end of the run. Sends that are due and not begun by then are given up.
    pub async fn run(&self) -> io::Result<()> {
        match self {
            Self::Open(open) => open.run().await,
            Self::Closed { start, length } => {
                tokio::time::sleep_until((*start + *length).into()).await;
                Ok(())
            }
        }
    }

    /// When those were due that were not begun at the end, since no connection was free.
    pub fn given_up(&self) -> impl Iterator<Item = Duration> {
        let open = match self {
            Self::Open(open) => Some(open),
            Self::Closed { .. } => None,
        };
        open.into_iter().flat_map(|open| (open.begun.get()..open.total()).map(|number| open.due_at(number)))
    }
}

impl Open {
    fn total(&self) -> u64 {
        (self.length.as_secs_f64() * self.rate) as u64
    }

    fn due_at(&self, number: u64) -> Duration {
        Duration::from_secs_f64(number as f64 / self.rate)
    }

    /// tokio's timers go by the millisecond, which is as long as what is measured: the kernel's do not.
    async fn run(&self) -> io::Result<()> {
        let timer = ticking(Duration::from_secs_f64(1.0 / self.rate).max(SHORTEST_TICK), self.start)?;
        let total = self.total();
        let mut released = 0;
        while released < total {
            let ticks = |timer: &OwnedFd| rustix::io::read(timer, &mut [0; 8]).map_err(io::Error::from);
            timer.async_io(Interest::READABLE, ticks).await?;
            let due = ((self.start.elapsed().as_secs_f64() * self.rate) as u64 + 1).min(total);
            self.due.add_permits((due - released) as usize);
            released = due;
        }
        let rest = self.length.saturating_sub(self.start.elapsed());
        tokio::time::sleep(rest).await;
        self.due.close();
        Ok(())
    }
}

/// Ticks at whole multiples of `every` after `start`.
fn ticking(every: Duration, start: Instant) -> io::Result<AsyncFd<OwnedFd>> {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    let first = every.as_nanos() - start.elapsed().as_nanos() % every.as_nanos();
    let ticks = Itimerspec { it_interval: timespec(every), it_value: timespec(Duration::from_nanos(first as u64)) };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &ticks)?;
    // SAFETY: the descriptor is the timer's own, open as long as the `AsyncFd` owns it.
    unsafe { AsyncFd::register(timer) }.map_err(io::Error::from)
}

fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: duration.as_secs() as i64, tv_nsec: duration.subsec_nanos().into() }
}
