"""The parts of keyer.py: what of a node's arguments belongs into its key.

``compilers`` reduces compiler driver internals, ``arguments`` replaces what varies from run to run, ``wrappers`` knows
what only passes a command on, ``substitutions`` are the user's.
"""
