"""Measurements of the whole server, each in a file of its own; see README.md."""
