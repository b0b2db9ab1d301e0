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
# # 4. Dropouts and Shamir's shares
#
# **After this lesson you can** say why one vanished bank spoils a sum of masks, share a secret so that any *t* of *n*
# open it, explain why a bank needs *two* kinds of mask, and count how many banks may vanish or lie.
#
# 30 minutes. Builds on lessons 2 and 3.

# %%
from secure_fl.labs.lessons import WrongAnswer, begin_lesson, show

begin_lesson()

import secrets
from collections.abc import Mapping
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np

from secure_fl.errors import DropoutError
from secure_fl.secagg import plan, simulate
from secure_fl.secagg.hazmat import shamir
from secure_fl.secagg.hazmat.prg import SEED_BYTES, add_mask, subtract_mask
from secure_fl.secagg.masked.client import MaskedClient
from secure_fl.secagg.masked.unmasking import take_off_masks

# %% [markdown]
# ## One bank is missing
#
# Four banks have agreed on masks, as in lesson 3. Bank 2 loses its line before it sends anything.

# %%
updates = np.array([[3, 14, 15], [65, 35, 89], [32, 38, 46], [11, 12, 13]], dtype=np.uint16)
seeds = {pair: secrets.token_bytes(SEED_BYTES) for pair in combinations(range(4), 2)}
uploads = updates.copy()
for (one, other), seed in seeds.items():
    add_mask(uploads[one], seed)
    subtract_mask(uploads[other], seed)

there = [0, 2, 3]
print("the sum over the others should be:", updates[there].sum(axis=0, dtype=np.uint16))
print("the sum of what arrived:          ", uploads[there].sum(axis=0, dtype=np.uint16))

# %% [markdown]
# The masks of bank 2 with the three others are still in the sum, and it is noise. In a federation of a hundred banks or
# a million phones, somebody vanishes in every round.
#
# **Before you go on.** The aggregator could ask the three others for the seeds that they share with bank 2, and take
# those masks off. That gives the right sum. Now suppose that bank 2 had not vanished: its upload was only *slow*, and
# arrives after the seeds were handed over. What does the aggregator have then?

# %%
opened = uploads[1].copy()  # bank 2's upload, which arrived late
for (one, other), seed in seeds.items():
    if one == 1:
        subtract_mask(opened, seed)
    elif other == 1:
        add_mask(opened, seed)
print("all masks off:", opened, "| bank-2's update:", updates[1])

# %% [markdown]
# It has bank 2's update. And whether an upload was late or the aggregator *says* so, nobody can tell. So the repair has
# to be built such that it cannot be turned against a bank that is there. The paper does that in two steps (Bonawitz et
# al., CCS 2017, section 4: "Efficient Communication and Handling Dropped Users" and "Double-Masking to Protect
# Security"):
#
# 1. Every bank shares the secret key of its masks among all banks *beforehand*, such that *t* of them can open it. So
#    no single bank has to stay.
# 2. Every bank adds one more mask that it has with nobody, the **self-mask**, and shares its seed in the same way. In
#    the end the others open, of each bank, *one of the two*: the self-mask of a bank whose upload arrived, or the key
#    of one that vanished. Never both.
#
# ## Shamir's shares
#
# How does one split a secret into *n* shares of which any *t* give it back and *t* - 1 say nothing? Draw a random
# polynomial of degree *t* - 1 with the secret as its value at 0; the shares are its values at 1, 2, ..., *n* (Shamir,
# "How to Share a Secret", CACM 1979). For *t* = 2 it is a line. To draw it we use ordinary numbers for once:

# %%
points = np.array([0.0, 5.0])
figure, axes = plt.subplots()
for secret, color in ((3.0, "C0"), (6.0, "C1"), (1.0, "C2")):
    slope = (5.0 - secret) / 2
    axes.plot(points, secret + slope * points, color=color)
    axes.plot(0, secret, "s", color=color, label=f"secret {secret:.0f}")
axes.plot(2, 5, "ko", markersize=9)
axes.annotate("share of bank 2", (2, 5), (2.3, 3.4))
axes.set(xlabel="bank", ylabel="share", xticks=range(6))
axes.legend()
plt.show()

# %% [markdown]
# *Figure.* Three straight lines through the one share that bank 2 holds, each with another value at 0. With one share,
# every secret is as possible as any other; a second share picks the line.
#
# **Before you go on.** With ordinary numbers, is every secret really *equally likely* for bank 2? What did lesson 2 do
# about that?

# %% [markdown]
# <details><summary>Answer</summary>
#
# No: the slope would have to be drawn from all numbers evenly, which is impossible; small slopes are likelier, and so
# are secrets near the share. In a finite field, the integers modulo a prime, the slope is drawn evenly, and then one
# share says nothing at all, whatever the computing power. Ours is modulo 2^256 + 297, so that every key of 32 bytes
# is an element.
#
# </details>

# %%
key = secrets.token_bytes(32)
shares = shamir.split(key, points=[1, 2, 3, 4, 5], threshold=3)
for chosen in ([1, 2, 3], [2, 4, 5], [1, 2, 3, 4]):
    print(f"shares {chosen} open it:", shamir.combine({p: shares[p] for p in chosen}, 3) == key)
print("shares [1, 2], taken for a line, give it:", shamir.combine({p: shares[p] for p in (2, 1)}, 2) == key)

# %% [markdown]
# `split` evaluates the polynomial; `combine` computes its value at 0 from any *t* points by Lagrange's formula,
#
# ```text
# f(0)  =  sum over i of  f(x_i)  x  product over all j but i of  x_j / (x_j - x_i)
# ```
#
# where to divide means to multiply by the inverse modulo the prime: `pow(d, -1, prime)`.

# %%
show(shamir.split, shamir.combine, shamir._weights_at_zero)

# %% [markdown]
# ## Never both
#
# Here is the bank's side of the end, round 4 ("Unmasking") of figure 4 in the paper, and what the aggregator does with
# the shares. `pair` holds a bank's share of two secrets of another bank: first its mask key, then its self-mask seed.

# %%
show(MaskedClient._unmask, take_off_masks)

# %% [markdown]
# **Before you go on.** The aggregator decides who "arrived", and tells the banks. It could tell one half that bank 2
# arrived and the other half that it vanished, and collect shares of *both* its secrets. What stops that?

# %% [markdown]
# <details><summary>Answer</summary>
#
# Two things. Banks sign the list that they were told, and give out shares only when at least *t* banks signed the same
# list (the consistency check, which the paper has for the case that the aggregator lies). And *t* is more than half:
# two lists with *t* signatures each need 2*t* signers, so at least 2*t* - *n* of them signed twice, and honest banks do
# not. With 2*t* - *n* banks on the aggregator's side it works, and the custody statement of the scheme says so.
#
# </details>
#
# ## The real protocol, with three banks gone

# %%
many = np.random.default_rng(4).integers(0, 256, size=(7, 2_000))
drop = {0: "share_keys", 1: "masked_input", 5: "unmask"}  # row 0 is bank-1's
outcome = simulate("masked", many, bits=8, drop=drop)
rows = sorted(outcome.contributors)
assert np.array_equal(outcome.total, many[rows].sum(axis=0)), "a secure sum is exact or an error"
print("in the sum, exactly:", ", ".join(outcome.names))

# %% [markdown]
# **Before you go on.** bank-6 vanished too, at `unmask`. Why is it in the sum all the same, and whose shares took off
# its self-mask?

# %% [markdown]
# <details><summary>Answer</summary>
#
# Its masked upload had arrived. From then on nobody needs it: at least *t* = 4 of the others hold shares of its
# self-mask seed, and open that. bank-2 vanished *before* its upload; of it they opened the mask key.
#
# </details>

# %%
for gone, further in (("bank-3", {2: "masked_input"}), ("bank-3 and bank-4", {2: "masked_input", 3: "masked_input"})):
    try:
        print(f"{gone} too:", ", ".join(simulate("masked", many, bits=8, drop={**drop, **further}).names))
    except DropoutError as refusal:
        print(f"{gone} too: refused. {refusal}")

# %% [markdown]
# Once four uploads had arrived, and three banks were left to open them; once only three had arrived. Either way the sum
# is refused, not wrong, and never opened over fewer banks than the threshold. What a threshold buys and costs,
# the planner says: a higher one stands more colluders and fewer dropouts.

# %%
print("banks  threshold  may vanish  may collude if curious  ... if the aggregator lies")
for banks, threshold in [(3, 2), (7, 4), (7, 5), (10, 6), (10, 7), (10, 10)]:
    planned = plan("masked", banks, 1_000, 8, threshold)
    curious, lying = planned.may_collude_curious, planned.may_collude_lying
    print(f"{banks:5} {threshold:10} {planned.may_vanish:11} {curious:23} {lying:27}")

# %% [markdown]
# ## Exercise: open a secret
#
# Given shares `{x: f(x)}` of a polynomial modulo a prime, compute *f*(0). There are exactly as many shares as are
# needed.


# %% tags=["exercise"]
def opened_secret(shares: Mapping[int, int], prime: int) -> int:
    """The value at 0 of the polynomial of degree len(shares) - 1, modulo `prime`, that goes through all shares."""
    # BEGIN SOLUTION
    total = 0
    for x, value in shares.items():
        numerator = denominator = 1
        for other in shares:
            if other != x:
                numerator = numerator * other % prime
                denominator = denominator * (other - x) % prime
        total += value * numerator * pow(denominator, -1, prime)
    return total % prime
    # END SOLUTION


# %% tags=["check"]
def check_opened_secret() -> None:
    """Fresh polynomials each time, of all degrees, at points that are no neighbours."""
    prime = 2**61 - 1
    for threshold in (1, 2, 3, 3, 5, 8):
        coefficients = [secrets.randbelow(prime) for _ in range(threshold)]
        points = secrets.SystemRandom().sample(range(1, 40), threshold)
        values = {x: sum(c * pow(x, k, prime) for k, c in enumerate(coefficients)) % prime for x in points}
        found = opened_secret(dict(values), prime)
        if not isinstance(found, int):
            raise WrongAnswer(f"the secret is a whole number, and the answer is a {type(found).__name__}")
        if not 0 <= found < prime:
            raise WrongAnswer("the answer is not reduced modulo the prime")
        if found != coefficients[0]:
            raise WrongAnswer(f"{threshold} shares do not give the secret that was shared {threshold} ways")
    print("right")


check_opened_secret()

# %% [markdown]
# ## What you have now
#
# - *n* - *t* banks may vanish at any stage, and the sum over the others is exact; below the threshold it is refused.
# - It holds against *t* - 2 curious banks with the aggregator, and against the smaller of that and 2*t* - *n* - 1 with
#   one that lies, as long as banks know each other's identity keys. A bank that sends garbage is named and left out;
#   one that sends a *readable, wrong* update is not noticed.
# - Next: lesson 5, where nobody masks, and one party holds a key. To break: lab 6, survivors that nobody checks. In the
#   clear: `examples/04_dropouts_and_masks.py`.
