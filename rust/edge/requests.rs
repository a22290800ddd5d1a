//! Requests by route, method and status, and how long their answers took: the edge's own and, told by the application,
//! all others.
//!
//! The counters of the edge's routes are found by index, and each thread has its own. Where requests are to be logged they
//! go, besides, into a bounded channel that Python empties; one that finds it full is counted
//! instead.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::header::HeaderValue;
use parking_lot::RwLock;
use tokio::sync::{Mutex, mpsc};

use crate::hub::stats::{Histogram, HistogramSnapshot};
use crate::hub::tally::{STRIPES, Tally};

/// In microseconds: from a send that finds all in memory to a poll that was held for its full time.
const DURATIONS_US: &[u64] = &[
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000,
    30_000_000, 60_000_000,
];
const FIRST_STATUS: usize = 100;
const LAST_STATUS: usize = 599;

/// Lines that wait to be logged: what a second brings on a busy server that is being debugged.
const MAX_LINES: usize = 10_000;
/// And how many Python takes at a time, so that its loop serves others in between.
const LINES_AT_A_TIME: usize = 100;

/// Stands for the routes of requests that were refused before anybody asked for one, and for methods that none has.
pub const OTHER: &str = "other";

/// The routes that the edge answers itself.
#[derive(Clone, Copy, Debug)]
pub enum Hot {
    Send,
    Start,
    Poll,
    Post,
    /// The next two only where they are refused.
    Login,
    Register,
    Live,
    Ready,
}

impl Hot {
    const ALL: [Self; 8] =
        [Self::Send, Self::Start, Self::Poll, Self::Post, Self::Login, Self::Register, Self::Live, Self::Ready];

    fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::Send => ("POST", "/v1/messages/send"),
            Self::Start => ("POST", "/v1/messages/poll/start"),
            Self::Poll => ("GET", "/v1/messages/poll/{session_id}"),
            Self::Post => ("POST", "/v2/chats/{chat_id}/messages"),
            Self::Login => ("POST", "/v1/users/login"),
            Self::Register => ("POST", "/v1/users/register"),
            Self::Live => ("GET", "/service/live"),
            Self::Ready => ("GET", "/service/ready"),
        }
    }
}

/// One route's, under one method.
pub struct Route {
    pub method: String,
    /// As it is written in the API's description, parameters in braces.
    pub template: String,
    statuses: Tally,
    duration_us: Histogram,
}

/// A route's counts at an instant.
pub struct RouteCounts {
    pub route: Arc<Route>,
    /// Those that have been answered, and how often.
    pub statuses: Vec<(u16, u64)>,
    pub duration_us: HistogramSnapshot,
}

/// A request to be logged.
pub struct Line {
    pub route: Arc<Route>,
    pub status: u16,
    pub took: Duration,
    pub request_id: String,
}

/// See the module's text.
pub struct Requests {
    hot: [Arc<Route>; Hot::ALL.len()],
    routes: RwLock<HashMap<(String, String), Arc<Route>>>,
    lines: Option<Lines>,
}

struct Lines {
    sender: mpsc::Sender<Line>,
    receiver: Mutex<mpsc::Receiver<Line>>,
    lost: AtomicU64,
}

impl Route {
    fn new(method: &str, template: &str, stripes: usize) -> Self {
        Self {
            method: method.to_owned(),
            template: template.to_owned(),
            statuses: Tally::new(LAST_STATUS - FIRST_STATUS + 1, stripes),
            duration_us: Histogram::new(DURATIONS_US, stripes),
        }
    }

    fn count(&self, status: u16, took: Duration) {
        let status = usize::from(status).clamp(FIRST_STATUS, LAST_STATUS);
        self.statuses.add(status - FIRST_STATUS, 1);
        self.duration_us.record(took.as_micros() as u64);
    }
}

impl Requests {
    /// `logged`: whether requests are kept for `next_lines`.
    pub fn new(logged: bool) -> Self {
        let lines = || {
            let (sender, receiver) = mpsc::channel(MAX_LINES);
            Lines { sender, receiver: Mutex::new(receiver), lost: AtomicU64::new(0) }
        };
        let hot = Hot::ALL.map(|route| {
            let (method, template) = route.name();
            Arc::new(Route::new(method, template, STRIPES))
        });
        let named = hot.iter().map(|route| ((route.method.clone(), route.template.clone()), Arc::clone(route)));
        Self { routes: RwLock::new(named.collect()), hot, lines: logged.then(lines) }
    }

    /// Counts an answer of the application's.
    pub fn count(&self, method: &str, template: &str, status: u16, took: Duration) {
        self.route(method, template).count(status, took);
    }

    /// Counts an answer of the edge's own, and keeps it for the log where that is wanted. No route: the request was
    /// refused before anybody asked for one.
    pub fn answered(&self, route: Option<Hot>, method: &str, status: u16, took: Duration, request_id: &HeaderValue) {
        let other;
        let route = if let Some(route) = route {
            &self.hot[route as usize]
        } else {
            other = self.route(method, OTHER);
            &other
        };
        route.count(status, took);
        if let Some(lines) = &self.lines {
            let request_id = String::from_utf8_lossy(request_id.as_bytes()).into_owned();
            if lines.sender.try_send(Line { route: Arc::clone(route), status, took, request_id }).is_err() {
                lines.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Routes are never forgotten: there must be a bounded number of them.
    fn route(&self, method: &str, template: &str) -> Arc<Route> {
        let key = (method.to_owned(), template.to_owned());
        if let Some(route) = self.routes.read().get(&key) {
            return Arc::clone(route);
        }
        let mut routes = self.routes.write();
        // The application counts under the interpreter's lock, and refusals are few.
        Arc::clone(routes.entry(key).or_insert_with(|| Arc::new(Route::new(method, template, 1))))
    }

    /// Waits for requests to log: some of them, and how many were lost since the last call. Never returns where
    /// requests are not logged.
    pub async fn next_lines(&self) -> (Vec<Line>, u64) {
        let Some(lines) = &self.lines else { return std::future::pending().await };
        let mut taken = Vec::new();
        lines.receiver.lock().await.recv_many(&mut taken, LINES_AT_A_TIME).await;
        (taken, lines.lost.swap(0, Ordering::Relaxed))
    }

    /// Every route's counts, ordered by route and method.
    pub fn counts(&self) -> Vec<RouteCounts> {
        let mut routes: Vec<_> = self.routes.read().values().cloned().collect();
        routes.sort_by(|a, b| (&a.template, &a.method).cmp(&(&b.template, &b.method)));
        routes.into_iter().map(RouteCounts::of).collect()
    }
}

impl RouteCounts {
    fn of(route: Arc<Route>) -> Self {
        let counted = (FIRST_STATUS as u16..).zip(route.statuses.all());
        let statuses = counted.filter(|(_, count)| *count > 0).collect();
        let duration_us = route.duration_us.snapshot();
        Self { route, statuses, duration_us }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_route_method_and_status() {
        let requests = Requests::new(false);
        let id = HeaderValue::from_static("1");
        requests.answered(Some(Hot::Send), "POST", 202, Duration::from_micros(60), &id);
        requests.answered(Some(Hot::Send), "POST", 429, Duration::from_micros(40), &id);
        // The application serves the same route where there is no edge.
        requests.count("POST", "/v1/messages/send", 202, Duration::from_secs(100));
        requests.count("GET", "/ping", 200, Duration::ZERO);
        requests.answered(None, "GET", 503, Duration::ZERO, &id);
        let counts = requests.counts();
        let of = |template: &str| counts.iter().find(|counts| counts.route.template == template).expect("it is there");
        assert_eq!(of("/ping").statuses, [(200, 1)]);
        assert_eq!(of(OTHER).statuses, [(503, 1)]);
        let sends = of("/v1/messages/send");
        assert_eq!(sends.statuses, [(202, 2), (429, 1)]);
        assert_eq!((sends.duration_us.counts[0], sends.duration_us.counts[1]), (1, 1));
        assert_eq!(sends.duration_us.counts.last(), Some(&1));
        assert_eq!(sends.duration_us.sum, 100_000_100);
    }

    #[tokio::test]
    async fn what_does_not_fit_into_the_log_is_counted() {
        let requests = Requests::new(true);
        for number in 0..MAX_LINES + 5 {
            let id = HeaderValue::from(number);
            requests.answered(Some(Hot::Start), "POST", 200, Duration::ZERO, &id);
        }
        let (lines, lost) = requests.next_lines().await;
        assert_eq!((lines.len(), lost), (LINES_AT_A_TIME, 5));
        assert_eq!(lines[3].request_id, "3");
        assert_eq!(requests.next_lines().await.1, 0);
    }
}
