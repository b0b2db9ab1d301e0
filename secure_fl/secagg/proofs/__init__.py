"""Additive sums of proven inputs: a bank proves, without showing it, that its vector lies in range and is not too long.

Prio3 with several proofs over a 64-bit field (draft-irtf-cfrg-vdaf, section 7; Boneh, Boyle, Corrigan-Gibbs, Gilboa,
Ishai, "Zero-Knowledge Proofs on Secret-Shared Data via Fully Linear PCPs", CRYPTO 2019), with the L2 bound of libprio's
FixedPointBoundedL2VecSum. The share-holders are those of `additive`, the aggregator is one of them. One sum, in three
stages:

    upload      each bank shares the bits of its values, and a proof about them
    verify      the aggregator draws where proofs are queried; each holder answers for each bank with its share of the
                verifier's message, from which the aggregator decides
    sum_shares  each holder adds its shares of the accepted banks, and answers with their sum, once

What is proved is exact, in integers: no value outside [0, 2**bits), no squared distance from the middle of the range
above the bound. What differs from the draft: seeds are expanded by AES-256-CTR and hashed by SHA-256, since TurboSHAKE
is not in `cryptography`; query randomness is drawn once an attempt, after uploads are in, by the aggregator; the
holders' sums carry masks that cancel only if all were asked for the same banks. PINE (Rothblum, Omri, Chen, Talwar,
USENIX Security 2024) proves the L2 bound without bits of each value, at a few percent more bytes than the vector itself
has; it proves no range of single values, and trades its bits for a small statistical error.

`field` and `polynomials` compute, `circuit` says what is valid, `flp` proves and verifies, `fiat_shamir` derives what
is random; `shares`, `wire`, `client`, `holder`, `server` are the protocol and `deployment` puts all together.
"""
