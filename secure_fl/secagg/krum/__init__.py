"""Multi-Krum on CKKS ciphertexts: the banks closest to each other are summed, and nobody sees a single update.

Krum (Blanchard, El Mhamdi, Guerraoui, Stainer, "Machine Learning with Adversaries: Byzantine Tolerant Gradient
Descent", NeurIPS 2017) needs nothing but the pairwise distances of updates. One sum, in three stages:

    upload    each bank encrypts its update under the key authority's public key, as in `ckks`
    select    the aggregator squares differences of ciphertexts and sends each pair's total, encrypted; the key
              authority opens distances, chooses banks by a rule, and answers with the chosen ones only
    decrypt   the aggregator adds the ciphertexts of the chosen banks; the key authority opens that sum, once

No rotation or relinearization keys: a square stays a ciphertext of three polynomials, and one coefficient of it is the
total of its slots (`hazmat.he_totals`). Banks are `he.client.HeClient`; `server` is the aggregator, `authority` the key
authority; `wire` and `distances` are what they share, `selection` what a rule is. `deployment` puts all together.
"""
