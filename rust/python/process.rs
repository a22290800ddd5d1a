//! Functions of the module that are about the whole process.

use pyo3::prelude::*;

use crate::{process, signals};

#[pyfunction]
pub fn release_memory(py: Python<'_>) {
    py.detach(process::release_memory);
}

#[pyfunction]
pub fn give_way() -> PyResult<()> {
    Ok(process::give_way()?)
}

#[pyfunction]
pub fn open_files(py: Python<'_>) -> PyResult<usize> {
    Ok(py.detach(process::open_files)?)
}

#[pyfunction]
pub fn end_at_second_signal() -> PyResult<()> {
    Ok(signals::end_at_second()?)
}

#[pyfunction]
pub fn end_along(group: u32, number: u8) {
    signals::end_along(group, number);
}
