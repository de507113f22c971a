"""Stored sessions."""
