# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 5. CKKS, from encoding to rounding
#
# **After this lesson you can** turn numbers into a polynomial and back, open a small ciphertext with a key, predict the
# error of CKKS from its scale, and say why a sum is rounded before anybody sees it.
#
# 30 minutes. Builds on lesson 1; some complex numbers help.
#
# > The first half builds a **toy**: 16 coefficients, a modulus of 24 bits, random numbers from numpy. It is broken in
# > milliseconds by anybody and is there to be looked at. The second half is the real thing, with 4,096 coefficients.

# %%
from secure_fl.labs.lessons import WrongAnswer, begin_lesson, show

begin_lesson()

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from secure_fl.secagg import SCHEMES, plan, simulate
from secure_fl.secagg.budget import HeParameters
from secure_fl.secagg.budget.ckks import NOISE
from secure_fl.secagg.hazmat.he_public import PublicContext
from secure_fl.secagg.hazmat.he_secret import SecretContext
from secure_fl.secagg.hazmat.he_words import data_moduli
from secure_fl.secagg.he.encoding import decode_slots, encode_slots
from secure_fl.secagg.he.server import he_server

# %% [markdown]
# ## Encrypt, add, open
#
# Masks and shares are undone by all parties together. Here is another idea: one party, the *key authority*, holds a
# secret key; banks encrypt under its public key; the aggregator adds **ciphertexts** that it cannot read, and the key
# authority opens the sum alone. That takes an encryption in which adding ciphertexts adds what is inside. CKKS is one
# (Cheon, Kim, Kim and Song, "Homomorphic Encryption for Arithmetic of Approximate Numbers", ASIACRYPT 2017).
#
# ## Step 1: numbers become a polynomial
#
# What is encrypted is a polynomial with *N* whole coefficients. Section 3 of the paper ("Plaintext Encoding for
# Packing") puts *N*/2 numbers into it: they are its *values* at complex points `z_k`, roots of X^N + 1. To encode
# is to find the polynomial with these values, times a large *scale* *D* (`SCALE`), rounded to whole coefficients.

# %%
N, Q, SCALE = 16, (1 << 24) - 3, 1 << 10  # Q is a prime
roots = np.exp(1j * np.pi * (2 * np.arange(N // 2) + 1) / N)
powers = roots[:, None] ** np.arange(N)  # row k: 1, z, z**2, ... at root k


def encode(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """N // 2 real numbers -> N coefficients."""
    return np.asarray(np.rint(SCALE * 2 / N * (powers.conj().T @ values).real), dtype=np.int64)


def decode(polynomial: NDArray[np.int64]) -> NDArray[np.float64]:
    """The values at the roots, without the scale."""
    return np.asarray((powers @ polynomial).real / SCALE)


update = np.array([0.5, -1.25, 3.0, 0.0, 0.1, 2.0, -0.7, 1.0])
print("coefficients:", encode(update))
print("decoded:     ", decode(encode(update)).round(3))

# %% [markdown]
# **Before you go on.** The numbers come back nearly, not exactly: 0.1 is perhaps 0.101. Where does that first error
# come from, and what happens to it when *D* is doubled?

# %% [markdown]
# <details><summary>Answer</summary>
#
# From rounding coefficients to whole numbers. Rounding is off by at most 1/2 in each coefficient, whatever *D* is,
# and decoding divides by *D*: doubling it halves the error. Adding two encoded polynomials adds the numbers,
# because the value of a sum is the sum of the values.
#
# </details>
#
# ## Step 2: hide it
#
# The secret key *s* is a polynomial with coefficients -1, 0 and 1. To encrypt *m*, draw a uniformly random polynomial
# *a* and a small error *e*, and send (section 3, "Leveled Homomorphic Encryption", simplified to a secret key)
#
# ```text
# c0 = m + e - a s        c1 = a        modulo q
# ```
#
# Products are taken modulo X^N + 1: what goes beyond X^(N-1) comes back at the front with a minus. Without *e*,
# solving linear equations would give *s*; with it, nobody knows how to (Ring-LWE; Lyubashevsky, Peikert, Regev,
# EUROCRYPT 2010), if *N* is large enough for *q*. Here it is not.


# %%
def times(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    """The product modulo X**N + 1 and Q."""
    full = np.convolve(one.astype(object), other.astype(object))
    folded = full[:N].copy()
    folded[: N - 1] -= full[N:]
    return np.array(folded % Q, dtype=np.int64)


def encrypt(message: NDArray[np.int64], key: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """A toy ciphertext (c0, c1)."""
    rng = np.random.default_rng()
    a, error = rng.integers(0, Q, size=N), np.rint(rng.normal(scale=3.2, size=N)).astype(np.int64)
    return (message + error - times(a, key)) % Q, a


key = np.random.default_rng().integers(-1, 2, size=N)
c0, c1 = encrypt(encode(update), key)
print("c0:", c0)
print("c1:", c1)

# %% [markdown]
# ## Exercise: open it
#
# Compute *m* + *e* from `c0`, `c1` and *s*. Coefficients modulo *Q* are numbers from 0 to *Q* - 1; give them back as
# numbers around zero, since *m* has negative ones. `times` is yours to use; *N* and *Q* are those of the toy. The rest
# of the page uses your function.


# %% tags=["exercise"]
def opened(c0: NDArray[np.int64], c1: NDArray[np.int64], key: NDArray[np.int64]) -> NDArray[np.int64]:
    """The message with its error, each coefficient in [-Q/2, Q/2)."""
    # BEGIN SOLUTION
    message = (c0 + times(c1, key)) % Q
    return np.where(message < Q // 2, message, message - Q)
    # END SOLUTION


# %% tags=["check"]
def check_opened() -> None:
    """Fresh keys and messages each time."""
    rng = np.random.default_rng()
    for _ in range(20):
        secret, message = rng.integers(-1, 2, size=N), rng.integers(-100_000, 100_000, size=N)
        found = np.asarray(opened(*encrypt(message, secret), secret))
        if found.shape != (N,):
            raise WrongAnswer(f"a message has {N} coefficients, and the answer has the shape {found.shape}")
        if np.abs((found - message + Q // 2) % Q - Q // 2).max() > 100:
            raise WrongAnswer("this is not the message plus a small error: it looks as random as the ciphertext")
        if np.abs(found - message).max() > 100:
            raise WrongAnswer("it is right modulo Q; now give the coefficients as numbers around zero")
    print("right")


check_opened()

# %% [markdown]
# ## Step 3: add
#
# Adding ciphertexts, part by part, adds messages, and errors.

# %%
others = [np.linspace(-1, 1, N // 2), np.full(N // 2, 0.25)]
sum0, sum1 = c0, c1
for other in others:
    more0, more1 = encrypt(encode(other), key)
    sum0, sum1 = (sum0 + more0) % Q, (sum1 + more1) % Q
print("true sum:  ", (update + sum(others)).round(3))
print("opened sum:", decode(opened(sum0, sum1, key)).round(3))

# %% [markdown]
# ## The real thing
#
# Ours are TenSEAL's and SEAL's polynomials of *N* = 4096 coefficients with a modulus of up to 106 bits, which the
# guidelines of Bossuat et al. (2024) rate at 128-bit security. `SecretContext` is the key authority's, `PublicContext`
# everybody's; the second refuses to be made from anything that holds a secret key. Out of both come words: 4,096 of
# `c0` and 4,096 of `c1`, each below *q*. Whoever adds them modulo *q*, in numpy or by hand, has added the ciphertexts,
# and needs no key for it, not even the public one.

# %%
parameters = HeParameters("ckks", prime_bits=54, scale_bits=20)
authority = SecretContext(parameters)
public = PublicContext.load(authority.public_key(), parameters)

values = np.arange(2048) % 256
first, second = public.encrypt(values[None]), public.encrypt(values[None])
(modulus,) = data_moduli(parameters)
print(f"{len(values):,} numbers -> {len(first[0]):,} + {len(first[1]):,} words of {parameters.prime_bits} bits")
print("the first words:", first[0][:3])
total = [(half + other) % modulus for half, other in zip(first, second, strict=True)]
print("twice the values, opened:", authority.decrypt(*total)[:4].round(5))

# %% [markdown]
# (These words are not the coefficients themselves. SEAL keeps a polynomial by its values at the roots of X^N + 1
# *modulo q*, where a product takes one step for each value. Sums are sums there too.)
#
# **Before you go on.** The error *e* is added to the coefficients, and decoding divides by *D* = 2^20. What
# becomes of the error in the opened numbers at *D* = 2^10? At which *D* can we no longer round to the right
# integer?

# %%
measured, scales = [], range(2, 25, 2)
for scale_bits in scales:
    chosen = HeParameters("ckks", prime_bits=54, scale_bits=scale_bits)
    owner = SecretContext(chosen)
    sent = PublicContext.load(owner.public_key(), chosen).encrypt(values[None])
    measured.append(float((owner.decrypt(*sent) - values).std()))

figure, axes = plt.subplots()
axes.semilogy(scales, measured, "o", label="measured")
axes.semilogy(scales, [NOISE / 2**bits for bits in scales], color="C0", linewidth=1, label="the planner's formula")
axes.axhline(0.5, color="0.5", linestyle="--", label="half an integer")
axes.set(xlabel="bits of the scale", ylabel="error of a number", xticks=list(scales))
axes.legend()
plt.show()

# %% [markdown]
# *Figure.* The standard deviation of the error of an opened number against the bits of the scale, on a logarithmic
# axis. It halves with each bit and lies on the line that the planner computes. It crosses half an integer near 10 bits;
# for *every* number of a large sum to round right, the planner takes several bits more.
#
# The line is not fitted: `NOISE` is derived in the text of `secure_fl/secagg/budget/ckks.py`, from the rounding that
# SEAL does and from the number of coefficients.
#
# ## Step 4: round
#
# Updates are integers (they were quantized), so their sum is an integer, and the nearest one to the opened number is
# *the* sum: exact, but for a probability that the plan states. Here is how values get into slots, and how the key
# authority gets the integers out. `centre` makes the sum lie around zero, which uses the whole modulus.

# %%
show(encode_slots, decode_slots)

# %% [markdown]
# **Before you go on.** Floating-point users of CKKS publish the opened numbers as they are, with their small error. Why
# does our key authority never do that?

# %% [markdown]
# <details><summary>Answer</summary>
#
# The error *is* *e*, and `c0 = m + e - a s`. Whoever has the ciphertext and *m* + *e* knows *a s* and *a*, and divides:
# that is the secret key (Li and Micciancio, "On the Security of Homomorphic Encryption on Approximate Numbers",
# EUROCRYPT 2021). Rounding to the exact integer takes *e* away before anything leaves the key authority. That is a
# safeguard, and **no proof** of security against somebody who sees opened results (IND-CPA-D). Lab 10 has the attack.
#
# </details>
#
# In the toy, elimination as in school does it. What it starts from is one ciphertext and what an *honest* reader was
# given for it.


# %%
def solve(rows: list[list[int]]) -> list[int]:
    """Gauss' elimination modulo Q: N equations, the right side in the last column."""
    for place in range(N):
        pivot = next(row for row in range(place, N) if rows[row][place])
        rows[place], rows[pivot] = rows[pivot], rows[place]
        inverse = pow(rows[place][place], -1, Q)
        rows[place] = [number * inverse % Q for number in rows[place]]
        for row in set(range(N)) - {place}:
            factor = rows[row][place]
            rows[row] = [(x - factor * y) % Q for x, y in zip(rows[row], rows[place], strict=True)]
    return [(row[-1] + 1) % Q - 1 for row in rows]


released = opened(c0, c1, key)  # "the result, with a small error"
product = (released - c0) % Q  # c1 * key, exactly
shifted = np.array([times(c1, unit) for unit in np.eye(N, dtype=np.int64)]).T
print("found:", solve([[*map(int, row), int(right)] for row, right in zip(shifted, product, strict=True)]))
print("key:  ", key.tolist())

# %% [markdown]
# ## The whole protocol
#
# The aggregator's half adds words modulo *q* as they arrive and has the sum opened. It holds no key, not even the
# public one; an import rule of the house keeps it from the modules that have secret ones.

# %%
show(he_server)

# %%
outcome = simulate("ckks", np.random.default_rng(5).integers(0, 256, size=(3, 10_000)), bits=8)
for message in outcome.transcript:
    if "bank-1" in (message.sender, message.recipient) or "key-authority" in (message.sender, message.recipient):
        print(f"{message.stage:11} {message.sender:>13} -> {message.recipient:13} {message.nbytes:>8,} bytes")
planned = plan("ckks", 3, 10_000, 8).derived()
print(f"scale: {planned['scale_bits']} bits; a wrong sum has a probability of at most {planned['failure_probability']}")
print("Broken by:")
for breach in SCHEMES["ckks"].custody.broken_by:
    print("  -", breach)

# %% [markdown]
# ## What you have now
#
# - A ciphertext is a message hidden under *a s* and a small error; adding ciphertexts adds messages and errors.
#   Decoding divides the error by the scale.
# - Rounding makes sums exact and keeps the error, which tells of the key, from everybody. Aggregator and key authority
#   must not work together: the authority opens whatever it is given, a single upload too.
# - Next: lesson 6, how several numbers share a slot. To break: labs 4, 8, 9 and 10 (`secure-fl lab list`).
