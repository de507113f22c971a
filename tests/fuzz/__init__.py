"""Any bytes, in the place of what others wrote: `make fuzz` tries, tests/test_fuzz.py repeats what was found."""
