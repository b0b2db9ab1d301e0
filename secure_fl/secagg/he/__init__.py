"""Additively homomorphic aggregation: the aggregator adds ciphertexts that it cannot read.

Two schemes, `ckks` and `bfv`, that differ in their numbers only. Three roles in three modules that do not import each
other: `client` (a bank encrypts), `server` (the aggregator adds), `authority` (the key authority decrypts sums).
`encoding` is what all three share.
"""
