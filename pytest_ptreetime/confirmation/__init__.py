"""A suspect is measured alone: its command is captured on both sides and replayed in turns, in a sandbox."""
