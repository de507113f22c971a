"""Events to a tree of processes."""
