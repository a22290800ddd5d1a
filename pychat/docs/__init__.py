"""The OpenAPI description and its page."""
