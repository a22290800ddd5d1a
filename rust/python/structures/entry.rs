//! A key with its value, as the two maps hold them.

use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;

pub struct Entry {
    pub key: Py<PyAny>,
    pub value: Py<PyAny>,
}

impl Entry {
    pub fn clone_ref(&self, py: Python<'_>) -> Self {
        Self { key: self.key.clone_ref(py), value: self.value.clone_ref(py) }
    }

    /// Whether the key is `key` or equal to it: as `dict` decides. The hashes are known to be equal.
    pub fn has_key(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        if self.key.is(key) {
            return Ok(true);
        }
        self.key.bind(key.py()).eq(key)
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.key)?;
        visit.call(&self.value)
    }
}
