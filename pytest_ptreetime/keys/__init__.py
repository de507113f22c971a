"""The parts of keyer.py: what of a node's arguments belongs into its key.

``subjects`` tells what a known program works on, ``arguments`` makes directories relative, ``wrappers`` knows
what only passes a command on, ``substitutions`` are the user's.
"""
