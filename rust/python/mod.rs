//! The module `pychat._core`: the only code that names PyO3. Documented in `pychat/_core.pyi`.

mod awaitable;
mod core;
mod edge;
mod load;
mod reply;

use pyo3::prelude::*;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("ApiError", module.py().get_type::<reply::ApiError>())?;
    module.add_class::<core::Core>()?;
    module.add_class::<core::Identity>()?;
    module.add_class::<edge::Edge>()?;
    module.add_class::<load::LoadBatch>()?;
    module.add_class::<reply::Reply>()
}
