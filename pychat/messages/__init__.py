"""The hot routes, as Litestar serves them."""
