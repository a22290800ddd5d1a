//! What the two maps share of the mapping protocol.

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::pyclass::CompareOp;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

/// `==`: whether `other` is a mapping with the same entries, or `NotImplemented` where it is no mapping.
pub fn equal<'py>(own: &Bound<'py, PyDict>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    static MAPPING: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = own.py();
    if !other.is_instance(MAPPING.import(py, "collections.abc", "Mapping")?)? {
        return Ok(py.NotImplemented().into_bound(py));
    }
    // Through `items`, which for a map of ours is one copy: `dict(other)` would ask again for each key, and find it
    // gone.
    let other = py.get_type::<PyDict>().call1((other.call_method0("items")?,))?;
    own.rich_compare(other, CompareOp::Eq)
}

/// For an argument whose absence is not `None`.
#[expect(clippy::unnecessary_wraps, reason = "the shape that PyO3 asks for")]
pub fn given<'py>(argument: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    Ok(Some(argument.clone()))
}

pub fn missing(key: &Bound<'_, PyAny>) -> PyErr {
    PyKeyError::new_err((key.clone().unbind(),))
}
