//! Waiting in a coroutine until a queue has something.
//!
//! # Idea
//!
//! The consumer awaits an asyncio future that means no more than "look again"; the value is taken in the consumer's own
//! step. So a wait that is cancelled at any instant has taken nothing.

use parking_lot::Mutex;
use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyIterator;
use pyo3::{PyTraverseError, intern, wrap_pyfunction};

use super::MpscQueue;

/// The loop that runs in this thread, or `None`.
fn running_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static FUNCTION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    FUNCTION.import(py, "asyncio", "_get_running_loop")?.call0()
}

/// Ends a future; runs in the future's loop.
#[pyfunction]
fn finish(future: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = future.py();
    // A cancelled one is done too.
    if !future.call_method0(intern!(py, "done"))?.is_truthy()? {
        future.call_method1(intern!(py, "set_result"), (py.None(),))?;
    }
    Ok(())
}

/// A future that a consumer awaits, and the loop it belongs to.
pub struct Waiter {
    event_loop: Py<PyAny>,
    future: Py<PyAny>,
}

impl Waiter {
    fn in_running_loop(py: Python<'_>) -> PyResult<Self> {
        let event_loop = running_loop(py)?;
        if event_loop.is_none() {
            return Err(PyRuntimeError::new_err("wait_pop needs a running event loop"));
        }
        let future = event_loop.call_method0(intern!(py, "create_future"))?;
        Ok(Self { event_loop: event_loop.unbind(), future: future.unbind() })
    }

    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        Self { event_loop: self.event_loop.clone_ref(py), future: self.future.clone_ref(py) }
    }

    /// No two waiters alive have the same.
    pub fn id(&self) -> usize {
        self.future.as_ptr() as usize
    }

    /// Whether nobody can go on from it: it is done or cancelled, or its loop is closed.
    pub fn is_over(&self, py: Python<'_>) -> PyResult<bool> {
        let is_done = self.future.bind(py).call_method0(intern!(py, "done"))?.is_truthy()?;
        Ok(is_done || self.is_loop_closed(py)?)
    }

    fn is_loop_closed(&self, py: Python<'_>) -> PyResult<bool> {
        self.event_loop.bind(py).call_method0(intern!(py, "is_closed"))?.is_truthy()
    }

    /// Lets the consumer look again. The value is in the queue already, so no error here may reach who pushed it; where
    /// one kept a consumer asleep that could go on, it is returned, for the next push to wake.
    pub fn wake(self, py: Python<'_>) -> Option<Self> {
        let error = self.try_wake(py).err()?;
        if matches!(self.is_loop_closed(py), Ok(true)) {
            return None;
        }
        error.write_unraisable(py, Some(self.future.bind(py)));
        Some(self)
    }

    fn try_wake(&self, py: Python<'_>) -> PyResult<()> {
        let future = self.future.bind(py);
        // In the consumer's own thread the loop need not be woken through its pipe.
        if running_loop(py)?.is(&self.event_loop) {
            return finish(future);
        }
        let arguments = (wrap_pyfunction!(finish, py)?, future);
        self.event_loop.bind(py).call_method1(intern!(py, "call_soon_threadsafe"), arguments)?;
        Ok(())
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        visit.call(&self.future)
    }
}

/// What `MpscQueue.wait_pop` returns: to be awaited once.
#[pyclass(frozen)]
pub struct Wait {
    queue: Py<MpscQueue>,
    /// What is awaited now, and its `__await__`. Taken out while Python runs.
    step: Mutex<Option<(Waiter, Py<PyIterator>)>>,
}

impl Wait {
    pub fn new(queue: Py<MpscQueue>) -> Self {
        Self { queue, step: Mutex::new(None) }
    }
}

#[pymethods]
impl Wait {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let queue = self.queue.get();
        let mut step = self.step.lock().take();
        loop {
            if let Some((waiter, iterator)) = step.take()
                && let Some(yielded) = iterator.bind(py).clone().next()
            {
                let yielded = yielded?;
                let replaced = self.step.lock().replace((waiter, iterator));
                drop(replaced);
                return Ok(yielded);
            }
            if let Some(value) = queue.take() {
                return Err(PyStopIteration::new_err((value,)));
            }
            let waiter = Waiter::in_running_loop(py)?;
            queue.register(py, &waiter)?;
            if queue.is_empty() {
                let iterator = waiter.future.bind(py).call_method0(intern!(py, "__await__"))?.try_iter()?.unbind();
                step = Some((waiter, iterator));
            } else {
                queue.unregister(&waiter);
            }
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.queue)?;
        if let Some((waiter, iterator)) = self.step.lock().as_ref() {
            waiter.traverse(&visit)?;
            visit.call(iterator)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let step = self.step.lock().take();
        drop(step);
    }
}

impl Drop for Wait {
    /// A coroutine that was closed without its future being cancelled is no consumer any more.
    fn drop(&mut self) {
        if let Some((waiter, _)) = self.step.get_mut() {
            self.queue.get().unregister(waiter);
        }
    }
}
