"""BFV and CKKS sums under a key that nobody has: a committee holds it in parts, and any quorum opens a sum.

The parts of the key add up to the key (`budget.committee` says who has which), so a public key is the sum of the parts'
public halves, and a ciphertext is opened by adding each part times its second polynomial. What a member gives is
drowned in noise, so that it tells nothing but the sum (`budget.threshold`; `budget.slots` for CKKS).

    keys        members draw their parts, commit to what they publish, publish it, and check what they have in common
    encoding    numbers <-> polynomials: digits in `coefficients` (BFV), or in `slots` by an `embedding` (CKKS)
    rounding    what of first polynomials is sent; `numbers` puts numbers together from residues
    client      a bank adds its numbers to SEAL's encryption of zero under the joint key
    server      adds words modulo the primes, asks members, adds what they give; it holds no key
    member      a part of the key times the summed ciphertext, plus noise; one sum in an attempt

After Mouchet, Troncoso-Pastoriza, Bossuat, Hubaux, "Multiparty Homomorphic Encryption from Ring-Learning-with-Errors",
PoPETs 2021, with parts replicated as in Ito, Saito, Nishizeki, GLOBECOM 1987.
"""
