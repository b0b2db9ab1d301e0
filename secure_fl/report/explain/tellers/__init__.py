"""For each scheme: what its messages hold, and what its parties compute."""
