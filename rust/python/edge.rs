//! The class `Edge`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict};

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

    fn refuse_sign_ins(&self, refused: bool) {
        self.edge.refuse_sign_ins(refused);
    }

    fn drain(&self) {
        self.edge.drain();
    }

    #[getter]
    fn is_drained(&self) -> bool {
        self.edge.is_drained()
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.edge.close());
    }

    fn refusals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        self.edge.refusals().counts().into_py_dict(py)
    }
}
