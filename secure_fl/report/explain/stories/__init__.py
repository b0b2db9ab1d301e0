"""For each scheme: runs in which everybody follows the protocol, and runs in which somebody lies."""
