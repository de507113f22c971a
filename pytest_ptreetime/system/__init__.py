"""What the machine gives: files, locks, memory, facts of the host."""
