"""The dynamic config: settings that change while the server runs."""
