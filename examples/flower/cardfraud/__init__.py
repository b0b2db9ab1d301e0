"""A Flower app whose updates are summed by secure_fl."""
