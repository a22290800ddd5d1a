"""Accounts: register, login, profiles."""
