"""Messages on their way into Postgres, and what keeps their tables in shape."""
