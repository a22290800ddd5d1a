//! The Python tests, run from a Rust one: tarpaulin counts what its tests run, and much of the Rust is run by the
//! servers of the Python tests alone.

use std::env;
use std::path::Path;
use std::process::Command;

/// What pytest says where tests failed: how well the rest reached the code is known all the same.
const SOME_FAILED: i32 = 1;

#[test]
#[ignore = "part of `make coverage`, which puts an instrumented extension in its place before"]
fn the_python_tests_reach_what_they_reach() {
    let profile = env::var("LLVM_PROFILE_FILE").expect("tarpaulin says where the counters go");
    let folder = Path::new(&profile).parent().expect("a file in a folder");
    let status = Command::new(".venv/bin/pytest")
        .args(["-n", "logical", "--cov", "--cov-report=html", "--cov-report=term"])
        .arg("--cov-report=json:target/coverage/python.json")
        // A file a process, written through (%c): servers end in _exit, or are killed.
        .env("LLVM_PROFILE_FILE", folder.join("python-%p%c.profraw"))
        .status()
        .expect("pytest is in .venv");
    assert!(matches!(status.code(), Some(0 | SOME_FAILED)), "pytest ended with {status}");
}
