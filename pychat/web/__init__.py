"""The page that people chat with in their browser."""
