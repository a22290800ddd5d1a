//! The class `Core`.

use std::sync::Arc;

use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;

use super::awaitable::awaitable;
use super::load::{self, LoadBatch, MemberRow};
use super::reply::Answer;
use crate::api::Api;
use crate::api::token::{KeyTooShort, Verifier};
use crate::hub::directory::ChatNumber;
use crate::hub::settings::{HistorySettings, LimiterSettings, Settings};
use crate::hub::stats::{HistogramSnapshot, Metric};
use crate::hub::{Micros, RELEASE_REST, UserId};

const SECOND: Micros = 1_000_000;

/// Name, help, bounds, counts, sum.
type HistogramRow = (&'static str, &'static str, Vec<u64>, Vec<u64>, u64);

#[pyclass(frozen, module = "pychat._core")]
pub struct Core {
    api: Arc<Api>,
}

impl Core {
    pub fn api(&self) -> Arc<Api> {
        Arc::clone(&self.api)
    }
}

#[pyclass(frozen, get_all, module = "pychat._core")]
pub struct Identity {
    user_id: UserId,
    username: String,
    token_generation: i32,
}

#[pymethods]
impl Core {
    #[new]
    #[pyo3(signature = (*, signing_key))]
    fn new(signing_key: &[u8]) -> PyResult<Self> {
        let verifier = Verifier::new(signing_key)
            .map_err(|KeyTooShort| PyValueError::new_err("signing_key must have at least 32 bytes"))?;
        Ok(Self { api: Arc::new(Api::new(verifier)) })
    }

    #[pyo3(signature = (*, polling_max_size, polling_time_sec, max_users_amount, max_queue_size, max_queue_bytes,
        session_idle_timeout_sec, max_sessions_amount, limiter_is_enabled, limiter_token_refill_amount,
        limiter_max_rps_per_user, limiter_idle_timeout_sec, history_is_enabled, history_max_pending))]
    #[expect(clippy::too_many_arguments, reason = "one keyword a setting")]
    fn apply_settings(
        &self,
        polling_max_size: usize,
        polling_time_sec: u32,
        max_users_amount: usize,
        max_queue_size: usize,
        max_queue_bytes: usize,
        session_idle_timeout_sec: u32,
        max_sessions_amount: usize,
        limiter_is_enabled: bool,
        limiter_token_refill_amount: u32,
        limiter_max_rps_per_user: u32,
        limiter_idle_timeout_sec: u32,
        history_is_enabled: bool,
        history_max_pending: usize,
    ) {
        let seconds = |seconds: u32| Micros::from(seconds) * SECOND;
        self.api.hub.apply(Settings {
            polling_max_size,
            polling_time: seconds(polling_time_sec),
            max_users_amount,
            max_queue_size,
            max_queue_bytes,
            session_idle_timeout: seconds(session_idle_timeout_sec),
            max_sessions_amount,
            limiter: LimiterSettings {
                is_enabled: limiter_is_enabled,
                refill: limiter_token_refill_amount,
                burst: limiter_max_rps_per_user,
                idle_timeout: seconds(limiter_idle_timeout_sec),
            },
            history: HistorySettings { is_enabled: history_is_enabled, max_pending: history_max_pending },
        });
    }

    fn now(&self) -> f64 {
        self.api.clock.now() as f64 / SECOND as f64
    }

    fn set_clock_offset(&self, offset_sec: f64) {
        self.api.clock.set_offset((offset_sec * SECOND as f64) as Micros);
    }

    #[pyo3(signature = (authorization, body))]
    fn send<'py>(&self, py: Python<'py>, authorization: Option<String>, body: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let (api, body) = (Arc::clone(&self.api), body.to_vec());
        awaitable(py, async move { Ok(Answer(api.send(authorization.as_deref(), &body).await)) })
    }

    #[pyo3(signature = (authorization, chat_id, body))]
    fn post_message<'py>(
        &self,
        py: Python<'py>,
        authorization: Option<String>,
        chat_id: String,
        body: &[u8],
    ) -> PyResult<Bound<'py, PyAny>> {
        let (api, body) = (Arc::clone(&self.api), body.to_vec());
        awaitable(py, async move { Ok(Answer(api.post_message(authorization.as_deref(), &chat_id, &body).await)) })
    }

    #[pyo3(signature = (authorization))]
    fn start<'py>(&self, py: Python<'py>, authorization: Option<String>) -> PyResult<Bound<'py, PyAny>> {
        let api = Arc::clone(&self.api);
        awaitable(py, async move { Ok(Answer(api.start(authorization.as_deref()).await)) })
    }

    #[pyo3(signature = (authorization, session_id))]
    fn poll<'py>(
        &self,
        py: Python<'py>,
        authorization: Option<String>,
        session_id: String,
    ) -> PyResult<Bound<'py, PyAny>> {
        let api = Arc::clone(&self.api);
        awaitable(py, async move { Ok(Answer(api.poll(authorization.as_deref(), &session_id).await)) })
    }

    #[pyo3(signature = (authorization))]
    fn authenticate<'py>(&self, py: Python<'py>, authorization: Option<String>) -> PyResult<Bound<'py, PyAny>> {
        let api = Arc::clone(&self.api);
        awaitable(py, async move {
            let user = api.identify(authorization.as_deref(), api.clock.now()).await?;
            let token_generation = user.token_generation;
            Ok(Identity { user_id: user.id, username: user.username.to_string(), token_generation })
        })
    }

    fn next_load<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let api = Arc::clone(&self.api);
        awaitable(py, async move {
            let batch = api.hub.directory.next_batch().await;
            Ok(LoadBatch::new(Arc::clone(&api), batch))
        })
    }

    fn put_user(
        &self,
        py: Python<'_>,
        user_id: UserId,
        username: String,
        revision: i32,
        token_generation: i32,
        deleted: bool,
    ) {
        let hub = &self.api.hub;
        py.detach(|| {
            hub.directory.put_user(load::user((user_id, username, revision, token_generation, deleted)));
            // Parked polls whose token has become void end.
            hub.wake_user(user_id);
            if deleted {
                hub.close_user(user_id, self.api.clock.now());
            }
        });
    }

    fn forget_user(&self, user_id: UserId) {
        self.api.hub.directory.forget_user(user_id);
    }

    fn put_chat(&self, py: Python<'_>, chat_id: String, number: ChatNumber, members: Vec<MemberRow>) {
        py.detach(|| self.api.hub.directory.put_chat(load::chat((chat_id, number, members))));
    }

    fn refuse(&self) {
        self.api.hub.refuse();
    }

    fn stop(&self, py: Python<'_>) {
        py.detach(|| self.api.hub.stop());
    }

    #[getter]
    fn is_stopping(&self) -> bool {
        self.api.hub.is_refusing()
    }

    #[getter]
    fn shard_count(&self) -> usize {
        self.api.hub.shard_count()
    }

    fn sweep(&self, py: Python<'_>, shard: usize) -> PyResult<usize> {
        let hub = &self.api.hub;
        if shard >= hub.shard_count() {
            return Err(PyIndexError::new_err(format!("shards are 0 to {}", hub.shard_count() - 1)));
        }
        Ok(py.detach(|| hub.sweep(shard, self.api.clock.now())))
    }

    fn release_swept(&self, py: Python<'_>) {
        py.detach(|| self.api.hub.release_swept(|| std::thread::sleep(RELEASE_REST)));
    }

    fn reset(&self, py: Python<'_>) {
        py.detach(|| self.api.hub.reset(self.api.clock.now()));
    }

    fn numbers(&self, py: Python<'_>) -> Vec<(&'static str, &'static str, u64)> {
        let hub = &self.api.hub;
        let numbers = py.detach(|| [hub.stats.numbers(), hub.sizes()].concat());
        numbers.into_iter().map(|number| (number.name, number.help, number.value)).collect()
    }

    fn histograms(&self, py: Python<'_>) -> Vec<HistogramRow> {
        let hub = &self.api.hub;
        let histograms = py.detach(|| [hub.stats.histograms(), hub.census()].concat());
        let row = |metric: Metric<HistogramSnapshot>| {
            let HistogramSnapshot { bounds, counts, sum } = metric.value;
            (metric.name, metric.help, bounds.to_vec(), counts, sum)
        };
        histograms.into_iter().map(row).collect()
    }
}
