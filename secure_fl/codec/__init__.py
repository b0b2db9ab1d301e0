"""Updates as numbers, and the bounded integers that a secure sum adds: both ways, with and without noise."""
