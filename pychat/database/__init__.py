"""Postgres: the pool, the migrations, and the server that pychat brings along."""
