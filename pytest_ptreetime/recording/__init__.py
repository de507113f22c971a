"""Events of one run, and the files that they are kept in."""
