"""Additively homomorphic aggregation: the aggregator adds ciphertexts that it cannot read.

Three schemes: `ckks` and `bfv`, which differ in their numbers only, and `rlwe`, with arithmetic of our own
(`secagg.rlwe`). Three roles in three modules that do not import each other: `client` (a bank encrypts), `server` (the
aggregator adds), `authority` (the key authority decrypts sums). `encoding` and `words` are what they share.
"""
