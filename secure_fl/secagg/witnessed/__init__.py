"""Homomorphic sums whose key authority opens what witnesses vouch for (`secure-fl run --witnesses 1`).

A key authority must not have single uploads, so it cannot see what a ciphertext sums. A witness can: it has no key. It
gets the uploads that banks committed to and signed (`secagg.committed`), adds them up as the aggregator does, and signs
that this is the sum of so many banks. The key authority opens nothing that not every witness signed.
"""
