"""A chat server for Python whose data plane is Rust."""
