"""The options: one table, and what the texts of their values mean."""
