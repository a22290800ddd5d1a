//! Replies, and the one conversion from a refusal to a Python exception.

use parking_lot::Mutex;
use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::api;

create_exception!(pychat._core, ApiError, PyException);

#[pyclass(frozen, module = "pychat._core")]
pub struct Reply {
    #[pyo3(get)]
    status: u16,
    #[pyo3(get)]
    media_type: &'static str,
    #[pyo3(get)]
    body: Py<PyBytes>,
    #[pyo3(get)]
    retry_after: Option<u32>,
    /// What `commit` commits. Taken out before it runs: no lock is held while the hub's are taken.
    uncommitted: Mutex<Option<api::Polled>>,
}

impl Reply {
    pub fn new(py: Python<'_>, mut reply: api::Reply) -> Self {
        Self {
            status: reply.status,
            media_type: reply.media_type,
            body: PyBytes::new(py, &reply.body).unbind(),
            retry_after: reply.retry_after,
            uncommitted: Mutex::new(reply.take_polled()),
        }
    }
}

#[pymethods]
impl Reply {
    fn commit(&self) {
        let uncommitted = self.uncommitted.lock().take();
        if let Some(polled) = uncommitted {
            polled.commit();
        }
    }
}

/// A reply that becomes its Python object only where it is handed over.
pub struct Answer(pub api::Reply);

impl<'py> IntoPyObject<'py> for Answer {
    type Target = Reply;
    type Output = Bound<'py, Reply>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        Bound::new(py, Reply::new(py, self.0))
    }
}

impl From<api::Refusal> for PyErr {
    fn from(refusal: api::Refusal) -> Self {
        Python::attach(|py| {
            let reply = Bound::new(py, Reply::new(py, refusal.reply(api::Contract::V1)))?;
            let error = py.get_type::<ApiError>().call1((reply.get().status,))?;
            error.setattr("reply", reply)?;
            error.setattr("problem", Reply::new(py, refusal.reply(api::Contract::V2)))?;
            Ok(PyErr::from_value(error))
        })
        .unwrap_or_else(|error| error)
    }
}
