//! Rust futures for asyncio, without a trip through its loop where nothing has to be waited for.

use std::future::Future;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use pyo3_async_runtimes::tokio::{future_into_py, get_runtime};

/// Polls the future once; if that was enough the awaitable is finished already, else the future goes on in the runtime
/// and the awaitable is an asyncio future, whose cancelling drops it.
pub fn awaitable<'py, F, T>(py: Python<'py>, future: F) -> PyResult<Bound<'py, PyAny>>
where
    F: Future<Output = PyResult<T>> + Send + 'static,
    T: for<'a> IntoPyObject<'a> + Send + 'static,
{
    // The runtime's timers must be there for the first poll.
    let _runtime = get_runtime().enter();
    let mut future = Box::pin(future);
    // Whoever would wake this waker finds the future polled again: the runtime polls it first thing.
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(value)) => {
            let value = value.into_py_any(py)?;
            Ok(Bound::new(py, Finished { value: Mutex::new(Some(Ok(value))) })?.into_any())
        }
        Poll::Ready(Err(error)) => Ok(Bound::new(py, Finished { value: Mutex::new(Some(Err(error))) })?.into_any()),
        Poll::Pending => future_into_py(py, future),
    }
}

/// An awaitable that is done: its first step is its end.
#[pyclass(frozen)]
struct Finished {
    value: Mutex<Option<PyResult<Py<PyAny>>>>,
}

#[pymethods]
impl Finished {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self) -> PyResult<()> {
        let value = self.value.lock().take();
        match value {
            Some(Ok(value)) => Err(PyStopIteration::new_err((value,))),
            Some(Err(error)) => Err(error),
            None => Err(pyo3::exceptions::PyRuntimeError::new_err("cannot reuse already awaited result")),
        }
    }
}
