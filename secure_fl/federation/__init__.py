"""START HERE: `run` is a federation from the first round to its result, `rounds` one round."""
