"""Secrets are hidden before anything is kept or shown."""
