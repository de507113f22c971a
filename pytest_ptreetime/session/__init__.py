"""What a test session does: builds, rounds, the evaluation of each."""
