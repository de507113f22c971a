"""Findings, comparisons and measurements in words: the only place where sentences about them are made."""
