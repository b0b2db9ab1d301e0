"""Differential privacy: what it costs, who has spent it, and the noise of rows and of sums."""
