"""Sums under Ring-LWE with arithmetic of our own. EXPERIMENTAL: nobody has audited it.

Encryption that only has to add needs little: no slots, no products of ciphertexts, no keys for them. A bank draws one
small secret polynomial u and encrypts up to 15 messages under it, each under a public key of its own:

    keys          common a;    b_i = -a s_i + e_i                      s_i ternary, e_i small
    ciphertext    c = a u + e;    d_i = b_i u + e'_i + round(q m_i / t)
    opening       d_i + c s_i = round(q m_i / t) + (e_i u + e'_i + e s_i)    near q m_i / t

(Lyubashevsky, Peikert, Regev, "On Ideal Lattices and Learning with Errors over Rings", EUROCRYPT 2010; one u for many
keys: Peikert, Vaikuntanathan, Waters, "A Framework for Efficient and Composable Oblivious Transfer", CRYPTO 2008,
section 7.2.) Sums of ciphertexts are ciphertexts of sums, as long as noise stays below q / 2t. What lies far below that
limit is not sent: the low bits of c and d_i are cut off, which is more noise and fewer bytes (`budget.rlwe`).

`ring` multiplies polynomials, `sampling` draws them, `encryption` encrypts, `opening` makes keys and opens sums.
Client, server and key authority are those of `he`.
"""
