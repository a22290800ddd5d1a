//! The writer's side of the journal.

use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use hashbrown::HashMap;
use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pyo3_async_runtimes::tokio::get_runtime;

use super::awaitable::awaitable;
use super::core::Core;
use crate::api::{Api, Clock};
use crate::hub::UserId;
use crate::hub::journal::{self, Claim, MessageId};

/// Wakes an event loop that watches it, without the interpreter.
struct EventFd(OwnedFd);

impl EventFd {
    fn new() -> io::Result<Self> {
        // SAFETY: it takes two numbers and returns a descriptor that is nobody's yet, or -1.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it was just opened, and nobody else knows of it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }
}

impl Wake for EventFd {
    fn wake(self: Arc<Self>) {
        let one = 1_u64.to_ne_bytes();
        // It fails only where it is as high as it can be, and then the loop is awake.
        // SAFETY: `one` is as long as it is said to be, and `self` keeps the descriptor open.
        let _ = unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }
}

#[pyclass(frozen, module = "pychat._core")]
pub struct Journal {
    api: Arc<Api>,
    signal: Arc<EventFd>,
    waker: Waker,
}

#[pymethods]
impl Journal {
    #[new]
    fn new(core: &Core) -> PyResult<Self> {
        let signal = Arc::new(EventFd::new()?);
        Ok(Self { api: core.api(), waker: Arc::clone(&signal).into(), signal })
    }

    fn fileno(&self) -> i32 {
        self.signal.0.as_raw_fd()
    }

    fn open(&self, last_id: MessageId) {
        self.api.hub.journal.open(last_id);
    }

    fn close(&self) {
        self.api.hub.journal.close();
    }

    fn give_up(&self, py: Python<'_>) {
        py.detach(|| self.api.hub.give_up_gathered());
    }

    #[getter]
    fn pending(&self) -> usize {
        self.api.hub.journal.pending()
    }

    fn take(&self, py: Python<'_>) -> Option<Batch> {
        let hub = &self.api.hub;
        let taken = py.detach(|| hub.journal.poll_batch(&Context::from_waker(&self.waker), Clock::machine()));
        let Poll::Ready(batch) = taken else { return None };
        hub.stats.journal_batch_size.record(batch.len() as u64);
        for wait in batch.waits() {
            hub.stats.journal_gather_us.record(wait.max(0) as u64);
        }
        Some(Batch { size: batch.len(), api: Arc::clone(&self.api), batch: Mutex::new(Some(batch)) })
    }
}

#[pyclass(frozen, module = "pychat._core")]
pub struct Batch {
    #[pyo3(get)]
    size: usize,
    api: Arc<Api>,
    /// `None` once it is settled.
    batch: Mutex<Option<journal::Batch>>,
}

impl Batch {
    fn with<R>(&self, look: impl FnOnce(&mut journal::Batch) -> R) -> PyResult<R> {
        self.batch.lock().as_mut().map(look).ok_or_else(|| PyRuntimeError::new_err("the batch is settled"))
    }

    fn settle(&self) -> PyResult<journal::Batch> {
        self.take().ok_or_else(|| PyRuntimeError::new_err("the batch is settled"))
    }

    /// Whatever became of it: those that took so long that they failed are what an operator looks for.
    fn take(&self) -> Option<journal::Batch> {
        let batch = self.batch.lock().take()?;
        let written = Clock::machine() - batch.taken_at;
        self.api.hub.stats.journal_write_us.record(written.max(0) as u64);
        Some(batch)
    }
}

/// `(senders, client_ids, message_ids)`.
type ClaimColumns = (String, String, String);

#[pymethods]
impl Batch {
    #[getter]
    fn message_ids(&self) -> PyResult<Vec<MessageId>> {
        self.with(|batch| batch.ids().collect())
    }

    #[getter]
    fn last_id(&self) -> PyResult<MessageId> {
        self.with(|batch| batch.ids().last().unwrap_or(0))
    }

    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let rows = py.detach(|| self.with(|batch| batch.rows()))?;
        Ok(PyBytes::new(py, &rows))
    }

    fn claims(&self) -> PyResult<(usize, ClaimColumns)> {
        let claims = self.with(|batch| batch.claims())?;
        Ok((claims.count, (claims.senders, claims.client_ids, claims.message_ids)))
    }

    fn take_repeats(&self, claimed: Vec<MessageId>) -> PyResult<Repeats> {
        let repeats = self.with(|batch| batch.take_repeats(&claimed))?;
        Ok(Repeats { api: Arc::clone(&self.api), repeats: Mutex::new(Some(repeats)) })
    }

    fn publish<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (api, batch) = (Arc::clone(&self.api), self.settle()?);
        let mut publishing = Box::pin(async move {
            let began = Instant::now();
            api.hub.publish(batch, api.clock.now()).await;
            api.hub.stats.journal_publish_us.record(began.elapsed().as_micros() as u64);
        });
        let _runtime = get_runtime().enter();
        // Detached: it is the work of hundreds of deliveries, and seldom has to wait for anything.
        let polled = py.detach(|| publishing.as_mut().poll(&mut Context::from_waker(Waker::noop())));
        match polled {
            Poll::Ready(()) => awaitable(py, std::future::ready(Ok(()))),
            Poll::Pending => awaitable(py, async move {
                publishing.await;
                Ok(())
            }),
        }
    }

    fn doubt(&self, py: Python<'_>) {
        py.detach(|| {
            if let Some(batch) = self.batch.lock().as_mut() {
                self.api.hub.doubt(batch, self.api.clock.now());
            }
        });
    }

    fn give_up(&self, py: Python<'_>) -> PyResult<()> {
        let batch = self.settle()?;
        py.detach(|| self.api.hub.give_up(batch));
        Ok(())
    }

    fn abandon(&self, py: Python<'_>) {
        py.detach(|| self.leave());
    }
}

impl Batch {
    fn leave(&self) {
        if let Some(batch) = self.take() {
            self.api.hub.lose(batch, self.api.clock.now());
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.leave();
    }
}

#[pyclass(frozen, module = "pychat._core")]
pub struct Repeats {
    api: Arc<Api>,
    /// `None` once they are answered.
    repeats: Mutex<Option<journal::Repeats>>,
}

impl Repeats {
    fn answer(&self, first: impl Fn(&Claim) -> Option<MessageId>) {
        let repeats = self.repeats.lock().take();
        if let Some(repeats) = repeats {
            self.api.hub.answer_repeats(repeats, first);
        }
    }
}

#[pymethods]
impl Repeats {
    fn claims(&self) -> Vec<(UserId, String)> {
        let repeats = self.repeats.lock();
        let claims = repeats.iter().flat_map(journal::Repeats::claims);
        claims.map(|(sender, client_id)| (sender, client_id.to_owned())).collect()
    }

    fn answer_with(&self, first: Vec<(UserId, String, MessageId)>) {
        let first: HashMap<Claim, MessageId> =
            first.into_iter().map(|(sender, client_id, message)| ((sender, client_id.into()), message)).collect();
        self.answer(|claim| first.get(claim).copied());
    }
}

impl Drop for Repeats {
    /// They are to try again.
    fn drop(&mut self) {
        self.answer(|_| None);
    }
}
