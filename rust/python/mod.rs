//! The module `pychat._core`: the only code that names PyO3. Documented in `pychat/_core.pyi`, and the
//! classes of `structures` in `pychat/structures.pyi`.

mod awaitable;
mod core;
mod edge;
mod journal;
mod load;
mod process;
mod reply;
mod requests;
mod structures;

use pyo3::prelude::*;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("ApiError", module.py().get_type::<reply::ApiError>())?;
    module.add_function(wrap_pyfunction!(process::end_along, module)?)?;
    module.add_function(wrap_pyfunction!(process::end_at_second_signal, module)?)?;
    module.add_function(wrap_pyfunction!(process::give_way, module)?)?;
    module.add_function(wrap_pyfunction!(process::open_files, module)?)?;
    module.add_function(wrap_pyfunction!(process::release_memory, module)?)?;
    module.add_class::<core::Core>()?;
    module.add_class::<core::Identity>()?;
    module.add_class::<edge::Edge>()?;
    module.add_class::<journal::Journal>()?;
    module.add_class::<journal::Batch>()?;
    module.add_class::<journal::Repeats>()?;
    module.add_class::<load::LoadBatch>()?;
    module.add_class::<reply::Reply>()?;
    module.add_class::<requests::Requests>()?;
    module.add("Full", module.py().get_type::<structures::Full>())?;
    module.add_class::<structures::MpscQueue>()?;
    module.add_class::<structures::RcuMap>()?;
    module.add_class::<structures::ShardedMap>()
}
