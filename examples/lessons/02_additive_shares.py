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
# # 2. Additive shares
#
# **After this lesson you can** split a number so that no single half says anything about it, add numbers that nobody
# reads, say which parties together undo that, and find all of it in our code.
#
# 20 minutes. Builds on lesson 1.

# %%
from secure_fl.labs.lessons import WrongAnswer, begin_lesson, show

begin_lesson()

import secrets

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from secure_fl.errors import DropoutError, PlanError
from secure_fl.secagg import SCHEMES, plan, simulate
from secure_fl.secagg.additive.client import AdditiveClient
from secure_fl.secagg.additive.holder import ShareHolder
from secure_fl.secagg.additive.server import additive_server
from secure_fl.secagg.hazmat.prg import subtract_mask

# %% [markdown]
# ## One number, two halves
#
# A bank wants to report 41 frauds to a sum, and to nobody. It draws a random number *r*, gives *r* to a *share-holder*
# and 41 - *r* to the aggregator. Both of them add what they get from all banks; at the end they add their two results.
#
# It works with numbers of any size, if one keeps to a *ring*: here the integers from 0 to 2^16 - 1, where counting
# goes on at 0 after the last one. That is what a 16-bit machine word does anyway.

# %%
RING = 1 << 16
frauds = [41, 7, 260]

halves = [secrets.randbelow(RING) for _ in frauds]
rests = [(number - half) % RING for number, half in zip(frauds, halves, strict=True)]
for bank, (number, half, rest) in enumerate(zip(frauds, halves, rests, strict=True), start=1):
    print(f"bank-{bank} has {number:3}: {half:5} to the share-holder, {rest:5} to the aggregator")

held, added = sum(halves) % RING, sum(rests) % RING
print(f"the share-holder's sum {held}, the aggregator's {added}, together {(held + added) % RING}")

# %% [markdown]
# **Before you go on.** The aggregator holds 41 - *r*. It knows that a bank has at most a few hundred frauds. Does that
# help it to guess the number better than before?

# %% [markdown]
# <details><summary>Answer</summary>
#
# No. For every number of frauds there is exactly one *r* that leads to what the aggregator holds, and every *r* is
# equally likely. What it holds fits 41 and 7 and 40,000 equally well. This holds against unlimited computing power; it
# is the one-time pad. It holds for **each half alone**: with both halves, the number is there.
#
# </details>
#
# You can see it. Here the same number is split 20,000 times, and so is another one.

# %%
figure, axes = plt.subplots()
for number in (41, 40_000):
    seen = [(number - secrets.randbelow(RING)) % RING for _ in range(20_000)]
    axes.hist(seen, bins=40, histtype="step", linewidth=1.6, label=f"the bank has {number:,}")
axes.set(xlabel="what the aggregator gets", ylabel="times of 20,000", ylim=(0, 800))
axes.legend(loc="lower right")
plt.show()

# %% [markdown]
# *Figure.* Two histograms of what the aggregator gets, for a bank with 41 and for one with 40,000. Both are flat and
# lie on top of each other: whoever sees a value cannot tell which of the two it came from.

# %% [markdown]
# ## Why a ring, and not ordinary numbers?
#
# **Before you go on.** Suppose *r* is drawn from 0 to 99 and sent without "mod": the aggregator gets 41 - *r* as it is.
# What does it learn when it gets 38? And when it gets 41?

# %% [markdown]
# <details><summary>Answer</summary>
#
# 41 - *r* lies between -58 and 41. From 38 it follows that the bank has at least 38; at 41 the number is *at least* 41,
# and a number of 141 could not have come out below 42. The range of the result moves with the number. In the ring there
# is no border for it to move along: that is what makes the result independent of the number.
#
# Masks that are floating-point numbers have the same fault.
#
# </details>
#
# ## In our code
#
# Prio (Corrigan-Gibbs and Boneh, "Prio: Private, Robust, and Scalable Computation of Aggregate Statistics", NSDI 2017,
# section 3, "A simple scheme") lets clients share their data like that among a few servers, which add. The online
# protocol of SPDZ (Damgard, Pastro, Smart and Zakarias, CRYPTO 2012) starts from the same shares; with checks, and
# multiplication. Our bank does it in `AdditiveClient.respond`: for each share-holder it draws a seed and **subtracts**
# what the seed generates from its vector; what is left is the aggregator's share.

# %%
show(AdditiveClient.respond, subtract_mask)

# %% [markdown]
# Ours has two share-holders, so that the aggregator and one of them still lack a share. Two more things are ours. A
# seed of 32 bytes stands for a whole vector, so that an upload costs one vector and not three. For that, secrecy is no
# longer perfect: it rests on AES-256 in counter mode being hard to tell from random. And the seeds travel *through* the
# aggregator, sealed to a share-holder's public key: banks need no line of their own to it.
#
# The aggregator adds its shares, the share-holder adds its own, and answers **once**:

# %%
show(additive_server, ShareHolder)

# %% [markdown]
# **Before you go on.** Why must a share-holder answer only once in an attempt, and never for fewer banks than the
# threshold?

# %% [markdown]
# <details><summary>Answer</summary>
#
# Two sums that differ in one bank differ by that bank's share. Whoever has both, and the other shares of that bank, has
# its update. A "sum" over one bank is its share at once.
#
# </details>
#
# ## The real protocol

# %%
updates = np.random.default_rng(2).integers(0, 256, size=(4, 1_000))
outcome = simulate("additive", updates, bits=8)
assert np.array_equal(outcome.total, updates.sum(axis=0))
print(f"{outcome.plan.derived()['ring_bits']} bits suffice: 4 banks x 255 = {4 * 255} < {RING:,}. The sum is exact.")
for message in outcome.transcript:
    if message.recipient == "aggregator" or (message.sender == "aggregator" and "holder" in message.recipient):
        print(f"{message.stage:10} {message.sender:>14} -> {message.recipient:14} {message.nbytes:>6,} bytes")

# %% [markdown]
# Who can read what, and what breaks it, stands in the scheme itself:

# %%
custody = SCHEMES["additive"].custody
for party, reads in custody.can_decrypt.items():
    print(f"{party:14} reads: {'; '.join(reads) or 'nothing'}")
print("\nBroken by:")
for breach in custody.broken_by:
    print(f"  - {breach}")

# %% [markdown]
# ## What the planner refuses
#
# The sum must fit the ring: with *n* banks and values of *b* bits it needs *b* bits and log2(*n*) more, rounded up. A
# sum that does not fit would wrap around and be wrong without a word, so it is refused before anything is sent.

# %%
for banks, bits in [(3, 8), (256, 8), (257, 8), (1_000, 24)]:
    try:
        ring_bits = plan("additive", banks, 1_000, bits).derived()["ring_bits"]
    except PlanError as refusal:
        print(f"{banks:5} banks x {bits:2} bits: refused. {refusal}")
    else:
        print(f"{banks:5} banks x {bits:2} bits: a ring of {ring_bits} bits")

# %% [markdown]
# And one silent bank is left out, while too many stop the sum:

# %%
print("in the sum:", ", ".join(simulate("additive", updates, bits=8, drop={1: "upload"}).names))
try:
    simulate("additive", updates, bits=8, drop={1: "upload", 2: "upload"})
except DropoutError as refusal:
    print("refused:", refusal)

# %% [markdown]
# ## Exercise: three holders
#
# Split a vector into `parties` shares in the ring modulo 2**16, such that all of them together add up to it and any
# `parties - 1` of them are random numbers that say nothing about it.


# %% tags=["exercise"]
def split(values: NDArray[np.int64], parties: int) -> list[NDArray[np.int64]]:
    """`parties` vectors, each of integers in [0, 2**16), whose sum modulo 2**16 is `values`."""
    # BEGIN SOLUTION
    shares = [np.array([secrets.randbelow(1 << 16) for _ in values]) for _ in range(parties - 1)]
    return [*shares, (values - sum(shares)) % (1 << 16)]
    # END SOLUTION


# %% tags=["check"]
def check_split() -> None:
    """Fresh numbers each time."""
    for parties in (2, 3, 5):
        values = np.array([secrets.randbelow(1 << 16) for _ in range(400)])
        first, second = split(values.copy(), parties), split(values.copy(), parties)
        if len(first) != parties:
            raise WrongAnswer(f"{parties} shares were asked for, and {len(first)} came back")
        if not np.array_equal(sum(first) % RING, values):
            raise WrongAnswer("the shares do not add up to the values")
        if any(((share < 0) | (share >= RING)).any() for share in first):
            raise WrongAnswer("some shares lie outside of the ring, and so say something about the values")
        for place, (share, again) in enumerate(zip(first, second, strict=True), start=1):
            if np.array_equal(share, again):
                raise WrongAnswer(f"share {place} is the same each time: that is no random number")
            if (share == share[0]).all() or not 20_000 < share.mean() < 46_000 or share.std() < 10_000:
                raise WrongAnswer(f"share {place} is not spread evenly over the ring")
        known = sum(first[:-1]) % RING
        if len(np.unique((values - known) % RING)) < 300:
            raise WrongAnswer("the last share hides all values behind one number: whoever knows one value has all")
    print("right")


check_split()

# %% [markdown]
# ## What you have now
#
# - A value is safe as long as **one** of aggregator and share-holders keeps apart from the others; with a seed in place
#   of a vector, under the assumption that AES-256 is a good generator. Nobody proves to be honest: a share-holder that
#   lies spoils the sum, unseen.
# - A share-holder answers one question; the sum itself hides nothing of what it is.
# - Next: lesson 3, where no share-holder is needed. To break: lab 2, two banks (`secure-fl lab list`). Every number of
#   it: `examples/00_every_number.py`.
