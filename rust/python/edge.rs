//! The class `Edge`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::core::Core;
use super::requests::Requests;
use crate::edge;

#[pyclass(frozen, module = "pychat._core")]
pub struct Edge {
    edge: edge::Edge,
}

fn parse<T: std::str::FromStr>(what: &str, text: &str) -> PyResult<T> {
    text.parse().map_err(|_| PyValueError::new_err(format!("{what}: not an address: {text}")))
}

#[pymethods]
impl Edge {
    #[new]
    #[pyo3(signature = (core, requests, *, listen, monitor, upstream, threads, max_connections,
        max_connections_per_address, trusted_proxies, watchdog_sec))]
    #[expect(clippy::too_many_arguments, reason = "one keyword a setting")]
    fn new(
        core: &Core,
        requests: &Requests,
        listen: &str,
        monitor: &str,
        upstream: PathBuf,
        threads: usize,
        max_connections: usize,
        max_connections_per_address: usize,
        trusted_proxies: Vec<String>,
        watchdog_sec: u64,
    ) -> PyResult<Self> {
        let trusted = trusted_proxies.iter().map(|address| parse::<IpAddr>("trusted_proxies", address));
        let config = edge::Config {
            listen: parse::<SocketAddr>("listen", listen)?,
            monitor: parse::<SocketAddr>("monitor", monitor)?,
            upstream,
            threads,
            max_connections,
            max_connections_per_address,
            trusted_proxies: trusted.collect::<PyResult<_>>()?,
            watchdog: Duration::from_secs(watchdog_sec),
        };
        Ok(Self { edge: edge::Edge::start(core.api(), requests.requests(), config)? })
    }

    #[getter]
    fn open_connections(&self) -> usize {
        self.edge.open_connections()
    }

    fn beat(&self) {
        self.edge.beat();
    }

    fn drain(&self) {
        self.edge.drain();
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.edge.close());
    }

    fn refusals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let refusals = self.edge.refusals();
        let counts = PyDict::new(py);
        counts.set_item("too_many_connections", refusals.too_many_connections.get())?;
        counts.set_item("too_many_of_address", refusals.too_many_of_address.get())?;
        counts.set_item("too_slow", refusals.too_slow.get())?;
        counts.set_item("malformed", refusals.malformed.get())?;
        counts.set_item("upstream_unavailable", refusals.upstream_unavailable.get())?;
        counts.set_item("overloaded", refusals.overloaded.get())?;
        Ok(counts)
    }
}
