//! The class `MpscQueue`: the Rust queue, and whom to wake when something comes in.

use parking_lot::Mutex;
use pyo3::exceptions::{PyIndexError, PyRuntimeError};
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyList;
use pyo3::{PyTraverseError, pyclass};

use super::wait::{Wait, Waiter};
use super::{Full, bound};
use crate::structures;

/// A queue of at most `bound` values for many producers, in any threads, and one consumer, a thread or a coroutine.
///
/// `push` never waits: it says when the queue is full. Values of one producer come out in the order they went in.
/// `len()` is a gauge while others push or pop. Cancelling `wait_pop` loses nothing, since the value is taken only when
/// the waiting coroutine goes on. `__del__` of a value may use the same queue.
///
/// The garbage collector cannot look into the queue: a value that refers back to the queue keeps both alive until it is
/// popped.
///
/// Raises `ValueError` for a bound under 1.
///
/// >>> import asyncio
/// >>> from pychat.structures import Full, MpscQueue
/// >>> queue = MpscQueue[str](bound=2)
/// >>> queue.push("a")
/// >>> queue.push("b")
/// >>> try:
/// ...     queue.push("c")
/// ... except Full:
/// ...     print("full")
/// full
/// >>> queue.pop(), queue.drain(), len(queue)
/// ('a', ['b'], 0)
/// >>> async def consumer():
/// ...     asyncio.get_running_loop().call_soon(queue.push, "d")
/// ...     return await queue.wait_pop()
/// >>> asyncio.run(consumer())
/// 'd'
#[pyclass(frozen, generic, module = "pychat.structures")]
pub struct MpscQueue {
    values: structures::MpscQueue<Py<PyAny>>,
    #[pyo3(get)]
    bound: usize,
    /// A consumer first puts itself here and then looks into the queue; a producer first pushes and then looks here.
    /// The lock orders the two, so that one of them sees the other.
    waiter: Mutex<Option<Waiter>>,
}

impl MpscQueue {
    pub fn take(&self) -> Option<Py<PyAny>> {
        self.values.pop()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Has `waiter` woken by the next push, unless another consumer waits.
    pub fn register(&self, py: Python<'_>, waiter: &Waiter) -> PyResult<()> {
        loop {
            let other = self.waiter.lock().as_ref().map(|other| other.clone_ref(py));
            if let Some(other) = &other
                && !other.is_over(py)?
            {
                return Err(PyRuntimeError::new_err("another consumer waits for this queue"));
            }
            let mut place = self.waiter.lock();
            // It may have changed while Python was asked.
            if place.as_ref().map(Waiter::id) == other.as_ref().map(Waiter::id) {
                let replaced = place.replace(waiter.clone_ref(py));
                drop(place);
                drop(replaced);
                return Ok(());
            }
        }
    }

    /// Has `waiter` not woken any more.
    pub fn unregister(&self, waiter: &Waiter) {
        let mut place = self.waiter.lock();
        let own = if place.as_ref().is_some_and(|other| other.id() == waiter.id()) { place.take() } else { None };
        drop(place);
        drop(own);
    }
}

#[pymethods]
impl MpscQueue {
    #[new]
    #[pyo3(signature = (bound), text_signature = "(bound)")]
    fn new(#[pyo3(from_py_with = bound)] bound: usize) -> Self {
        Self { values: structures::MpscQueue::default(), bound, waiter: Mutex::new(None) }
    }

    #[pyo3(signature = (value, /))]
    fn push(&self, py: Python<'_>, value: Py<PyAny>) -> PyResult<()> {
        let pushed = self.values.push(value, self.bound);
        // Where it is full, there is something too, and the wake of whoever filled it may have failed.
        let waiter = self.waiter.lock().take();
        if let Some(asleep) = waiter.and_then(|waiter| waiter.wake(py)) {
            let mut place = self.waiter.lock();
            // Whoever has come into its place meanwhile has looked into the queue since.
            if place.is_none() {
                *place = Some(asleep);
            }
        }
        pushed.map_err(|structures::Full(_value)| Full::new_err(format!("the queue holds {} values", self.bound)))
    }

    fn pop(&self) -> PyResult<Py<PyAny>> {
        self.take().ok_or_else(|| PyIndexError::new_err("pop from an empty queue"))
    }

    fn wait_pop(slf: Py<Self>) -> Wait {
        Wait::new(slf)
    }

    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let values = PyList::empty(py);
        // No more than there were: producers that are fast enough would keep it going for ever.
        for value in (0..self.values.len()).map_while(|_| self.take()) {
            values.append(value)?;
        }
        Ok(values)
    }

    fn __len__(&self) -> usize {
        self.values.len()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.waiter.lock().as_ref().map_or(Ok(()), |waiter| waiter.traverse(&visit))
    }

    fn __clear__(&self) {
        let waiter = self.waiter.lock().take();
        drop(waiter);
    }
}
