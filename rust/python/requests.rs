//! The class `Requests`.

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;

use super::awaitable::awaitable;
use crate::edge::requests::{self, Line, RouteCounts};

#[pyclass(frozen, module = "pychat._core")]
pub struct Requests {
    requests: Arc<requests::Requests>,
}

impl Requests {
    pub fn requests(&self) -> Arc<requests::Requests> {
        Arc::clone(&self.requests)
    }
}

/// Method, route, counts by status, bounds, counts, sum.
type CountsRow = (String, String, Vec<(u16, u64)>, Vec<u64>, Vec<u64>, u64);

/// Method, route, status, seconds, request id.
type LineRow = (String, String, u16, f64, String);

#[pymethods]
impl Requests {
    #[new]
    #[pyo3(signature = (*, logged))]
    fn new(logged: bool) -> Self {
        Self { requests: Arc::new(requests::Requests::new(logged)) }
    }

    fn count(&self, method: &str, route: &str, status: u16, seconds: f64) {
        // A clock that goes wrong is no reason to lose a count.
        let took = Duration::try_from_secs_f64(seconds).unwrap_or_default();
        self.requests.count(method, route, status, took);
    }

    fn counts(&self, py: Python<'_>) -> Vec<CountsRow> {
        let counts = py.detach(|| self.requests.counts());
        let row = |RouteCounts { route, statuses, duration_us }: RouteCounts| {
            let (method, template) = (route.method.clone(), route.template.clone());
            (method, template, statuses, duration_us.bounds.to_vec(), duration_us.counts, duration_us.sum)
        };
        counts.into_iter().map(row).collect()
    }

    fn next_lines<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let requests = self.requests();
        awaitable(py, async move {
            let (lines, lost) = requests.next_lines().await;
            let row = |Line { route, status, took, request_id }: Line| -> LineRow {
                (route.method.clone(), route.template.clone(), status, took.as_secs_f64(), request_id)
            };
            Ok((lines.into_iter().map(row).collect::<Vec<_>>(), lost))
        })
    }
}
