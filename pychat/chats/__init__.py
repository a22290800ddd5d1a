"""Chats: who talks where."""
