//! The class `RcuMap`: the Rust map from a key's hash and the key object's address to its entry. The address tells keys
//! of one hash apart; that no two of them are equal is decided on the version that is replaced.

use std::sync::Arc;

use pyo3::PyTraverseError;
use pyo3::exceptions::PyKeyError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::entry::Entry;
use super::{Full, bound, mapping};
use crate::structures;

/// A hash, and an address that no other key can have while the entry lives.
type Id = (isize, usize);
type Version = Arc<Vec<(Id, Arc<Entry>)>>;

/// A small mapping of at most `bound` entries, read far more often than it is changed (read-copy-update).
///
/// Readers never wait: they search the version that is in force. `insert` and `remove` make a copy with the change and
/// put it in force if nobody else was faster, else begin again; a change takes time in proportion to the number of
/// entries, of which some tens are meant. None of your code runs under a lock: `__hash__`, `__eq__` and `__del__` may
/// use the same map. Keys are told apart as in a `dict`.
///
/// Iterating, `keys()`, `values()`, `items()` and `==` work on a copy of one version (see `snapshot`). The order of the
/// entries is not defined. The garbage collector sees what the map holds.
///
/// Raises `ValueError` for a bound under 1.
///
/// >>> from pychat.structures import Full, RcuMap
/// >>> routes = RcuMap[str, int](bound=2)
/// >>> routes.insert("a", 1)
/// >>> routes.insert("b", 2)
/// >>> try:
/// ...     routes.insert("c", 3)
/// ... except Full:
/// ...     print("full")
/// full
/// >>> before = routes.snapshot()
/// >>> routes.remove("a")
/// 1
/// >>> sorted(before), sorted(routes)
/// (['a', 'b'], ['b'])
/// >>> routes.get("a") is None, routes["b"]
/// (True, 2)
#[pyclass(frozen, generic, mapping, module = "pychat.structures")]
pub struct RcuMap {
    entries: structures::RcuMap<Id, Arc<Entry>>,
    #[pyo3(get)]
    bound: usize,
}

/// The key's entry in a version, if it is there.
fn find<'a>(version: &'a Version, hash: isize, key: &Bound<'_, PyAny>) -> PyResult<Option<&'a (Id, Arc<Entry>)>> {
    let first = version.partition_point(|((other, _), _)| *other < hash);
    for found in version[first..].iter().take_while(|((other, _), _)| *other == hash) {
        if found.1.has_key(key)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

impl RcuMap {
    fn value<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (hash, version) = (key.hash()?, self.entries.snapshot());
        Ok(find(&version, hash, key)?.map(|(_, entry)| entry.value.bind(key.py()).clone()))
    }
}

#[pymethods]
impl RcuMap {
    #[new]
    #[pyo3(signature = (bound), text_signature = "(bound)")]
    fn new(#[pyo3(from_py_with = bound)] bound: usize) -> Self {
        Self { entries: structures::RcuMap::default(), bound }
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.value(key)?.ok_or_else(|| mapping::missing(key))
    }

    #[pyo3(signature = (key, default = None, /))]
    fn get<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.value(key)?.or(default))
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.value(key)?.is_some())
    }

    #[pyo3(signature = (key, value, /))]
    fn insert(&self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let id = (key.hash()?, key.as_ptr() as usize);
        let entry = Arc::new(Entry { key: key.clone().unbind(), value: value.clone().unbind() });
        loop {
            let version = self.entries.snapshot();
            if find(&version, id.0, key)?.is_some() {
                return Err(PyKeyError::new_err(("the key is in the map", key.clone().unbind())));
            }
            if version.len() >= self.bound {
                return Err(Full::new_err(format!("the map holds {} entries", self.bound)));
            }
            let place = version.partition_point(|(other, _)| *other < id);
            let next = structures::with_one_more(&version, place, (id, Arc::clone(&entry)));
            if self.entries.replace(&version, next) {
                return Ok(());
            }
        }
    }

    #[pyo3(signature = (key, /))]
    fn remove<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let hash = key.hash()?;
        loop {
            let version = self.entries.snapshot();
            let Some((id, _)) = find(&version, hash, key)? else { return Err(mapping::missing(key)) };
            // Another thread may have removed it, and even put this very key back with another value: that one goes.
            if let Some(removed) = self.entries.remove(id) {
                return Ok(removed.value.bind(key.py()).clone());
            }
        }
    }

    fn __len__(&self) -> usize {
        self.entries.len()
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let snapshot = PyDict::new(py);
        for (_, entry) in self.entries.snapshot().iter() {
            snapshot.set_item(&entry.key, &entry.value)?;
        }
        Ok(snapshot)
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.snapshot(py)?.call_method0("__iter__")
    }

    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.snapshot(py)?.call_method0("keys")
    }

    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.snapshot(py)?.call_method0("values")
    }

    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.snapshot(py)?.call_method0("items")
    }

    fn __eq__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        mapping::equal(&self.snapshot(other.py())?, other)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.entries.read(|entries| entries.iter().try_for_each(|(_, entry)| entry.traverse(&visit)))
    }

    fn __clear__(&self) {
        while !self.entries.replace(&self.entries.snapshot(), Vec::new()) {}
    }
}
