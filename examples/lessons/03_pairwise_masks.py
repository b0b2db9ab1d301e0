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
# # 3. Pairwise masks
#
# **After this lesson you can** hide a vector under masks that cancel in a sum, let two banks agree on a mask while the
# aggregator carries their messages, say what goes wrong when a mask is used twice, and read Bonawitz et al. beside our
# code.
#
# 25 minutes. Builds on lesson 2.
#
# > What you build in the first half is **not a protocol**: one bank that vanishes makes its sum worthless, and nobody
# > signs a key. Lesson 4 mends the first; the second half of this page shows the real thing.

# %%
from secure_fl.labs.lessons import WrongAnswer, begin_lesson, show

begin_lesson()

import secrets
from collections.abc import Mapping
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from secure_fl.attacks.held import uploaded
from secure_fl.federation.exhibit import Overheard
from secure_fl.secagg import SCHEMES, plan
from secure_fl.secagg.hazmat.agreement import AgreementKey
from secure_fl.secagg.hazmat.prg import SEED_BYTES, add_mask, subtract_mask
from secure_fl.secagg.masked import wire
from secure_fl.secagg.masked.client import MaskedClient
from secure_fl.secagg.protocol import run_protocol
from secure_fl.secagg.transcript import Transcript
from secure_fl.secagg.turns import new_session

# %% [markdown]
# ## Without a share-holder
#
# In lesson 2, two parties beside the aggregator held shares, and somebody has to run them. Can the banks do without?
#
# Take two banks. They agree on a random vector *s*, in private. One sends its update plus *s*, the other its update
# minus *s*. Each upload alone is random; in the sum of both, *s* is gone. With more banks, *every pair* does that:
#
# ```text
# y_u  =  x_u  +  sum of s(u,v) over v > u  -  sum of s(v,u) over v < u     modulo R
# ```
#
# This is how Bonawitz, Ivanov, Kreuter, Marcedone, McMahan, Patel, Ramage, Segal and Seth begin ("Practical Secure
# Aggregation for Privacy-Preserving Machine Learning", CCS 2017, section 4, "Masking with One-Time Pads").
#
# **Before you go on.** Write down by hand, for three banks, which masks bank 2 adds and which it subtracts. Why does
# every mask appear exactly twice in the sum?

# %% [markdown]
# <details><summary>Answer</summary>
#
# Bank 2 adds `s(2,3)` and subtracts `s(1,2)`. The mask of a pair (*u*, *v*) with *u* < *v* is added by *u* and
# subtracted by *v*, and by nobody else. So each appears twice, once with each sign.
#
# </details>

# %%
updates = np.array([[3, 14, 15, 92], [65, 35, 89, 79], [32, 38, 46, 26]], dtype=np.uint16)
uploads = updates.copy()
for one, other in ((0, 1), (0, 2), (1, 2)):
    seed = secrets.token_bytes(SEED_BYTES)  # 32 bytes stand for a mask of any length
    add_mask(uploads[one], seed)
    subtract_mask(uploads[other], seed)
for bank, (update, upload) in enumerate(zip(updates, uploads, strict=True), start=1):
    print(f"bank-{bank} has {update}, sends {upload}")
print("the sum of uploads:", uploads.sum(axis=0, dtype=np.uint16))
print("the sum of updates:", updates.sum(axis=0, dtype=np.uint16))

# %% [markdown]
# ## A secret through the hands of the aggregator
#
# Banks have no lines to each other: all messages go through the aggregator. How do two of them agree on a seed that it
# does not learn? By a Diffie-Hellman key agreement: each makes a secret number and publishes a *public key* made from
# it; from the own secret and the other's public key both compute the same value, and nobody can from the two public
# keys alone, as far as anybody knows. We use X25519 (RFC 7748).

# %%
north, south = AgreementKey(), AgreementKey()
print("through the aggregator:", north.public.hex()[:24], "... and", south.public.hex()[:24], "...")
at_north = north.agree(south.public, b"round 1")
at_south = south.agree(north.public, b"round 1")
print(
    "both derive the same seed:",
    at_north == at_south,
    "| for round 2 another:",
    north.agree(south.public, b"round 2") != at_north,
)
show(AgreementKey.agree, wire.mask_purpose)

# %% [markdown]
# `purpose` binds a seed to one use: to the pair, to the attempt, and to the model that the banks were shown. The lines
# of `mask_purpose` are two additions to the paper. The pair is in it so that a bank that *copies* another's public key
# does not get its masks; the model, so that banks that were shown different models have masks that do not cancel
# (Pasquini, Francati and Ateniese, "Eluding Secure Aggregation in Federated Learning via Model Inconsistency", CCS
# 2022).
#
# **Before you go on.** Suppose two banks save themselves the trouble and use the same mask in two rounds. What does an
# eavesdropper learn who keeps both uploads of bank 1?

# %%
first, second = np.array([10, 20, 30, 40], dtype=np.uint16), np.array([11, 25, 30, 90], dtype=np.uint16)
change = second - first
seed = secrets.token_bytes(SEED_BYTES)
add_mask(first, seed)
add_mask(second, seed)
print("round 1:", first, "| round 2:", second)
print("difference of the two uploads:", second - first, "- how the update changed:", change)

# %% [markdown]
# The mask falls out of the difference. A seed is for **one** vector: a one-time pad that is used twice is none. That is
# lab 1, for you to break.
#
# ## The real protocol, watched
#
# Now three banks run our whole protocol, and we listen as the aggregator does. So that one can see something, each
# "update" is a picture of 24 x 24 numbers.

# %%
rows, columns = np.mgrid[0:24, 0:24]
pictures = np.array(
    [
        np.where((rows // 4) % 2 == 0, 200, 20),
        np.where((columns // 4) % 2 == 0, 200, 20),
        np.where((rows - 11.5) ** 2 + (columns - 11.5) ** 2 < 81, 230, 10),
    ]
).reshape(3, -1)

scheme, banks = SCHEMES["masked"], ("bank-1", "bank-2", "bank-3")
planned = plan("masked", 3, pictures.shape[1], bits=8)
cohort = scheme.cohort(planned, 1, banks, session=new_session())
deployed = scheme.deploy(planned)
parties = {
    bank: Overheard(deployed.client(cohort, bank, picture), cohort, bank, wire.MASKED_INPUT)
    for bank, picture in zip(banks, pictures, strict=True)
}
transcript = Transcript()
outcome = run_protocol(cohort, deployed.server(cohort), parties, transcript)
sent = [uploaded(cohort, parties[bank].payload).words for bank in banks]

figure, axes = plt.subplots(2, 4, figsize=(6.4, 3.6))
for place in range(3):
    axes[0, place].imshow(pictures[place].reshape(24, 24), cmap="gray")
    axes[1, place].imshow(sent[place].reshape(24, 24), cmap="gray")
    axes[0, place].set_title(banks[place])
axes[0, 3].imshow(pictures.sum(axis=0).reshape(24, 24), cmap="gray")
axes[1, 3].imshow(outcome.sum.total.reshape(24, 24), cmap="gray")
axes[0, 3].set_title("sum")
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("has")
axes[1, 0].set_ylabel("sends")
plt.show()
assert np.array_equal(outcome.sum.total, pictures.sum(axis=0)), "a secure sum is exact or an error"

# %% [markdown]
# *Figure.* Above, three pictures (horizontal stripes, vertical stripes, a disc) and their sum. Below, what the
# aggregator gets of each bank: noise, three times; and at the right what it computes from that, which is the sum,
# exactly.
#
# What a bank did is in `MaskedClient._masked_input`: the formula above is its last lines, with one more mask of the
# bank alone (`self._seed`), whose purpose is lesson 4. In the paper's figure 4 it is round 2, MaskedInputCollection.

# %%
show(MaskedClient._masked_input)

# %% [markdown]
# **Before you go on.** Bank 1 and bank 2 are curious and work with the aggregator. What do the three of them know of
# bank 3's picture? And two banks of ten?

# %% [markdown]
# <details><summary>Answer</summary>
#
# Everything: they subtract their own pictures from the sum. No protocol can stop that, since the sum is its very
# result; this is why three banks are the fewest that we sum, and why three are few. Two of ten know the masks that they
# share with bank 3, and take those off; seven masks remain. They know the *sum* of the other eight, and no more.
#
# </details>
#
# ## What it costs

# %%
stages: dict[str, int] = {}
for message in transcript.deliveries:
    if message.sender == "bank-1":
        stages[message.stage] = message.nbytes
print("bank-1 sends, in bytes:", stages, f"for {planned.parameters} numbers of 8 bits")

vector = np.zeros(1_000_000, dtype=np.uint16)
started = perf_counter()
for _ in range(9):
    add_mask(vector, secrets.token_bytes(SEED_BYTES))
print(f"nine masks of a million numbers, for ten banks: {1000 * (perf_counter() - started):.0f} ms")

for number in (10, 100, 1_000, 10_000):
    figures = plan("masked", number, 1_000_000, 8).derived()
    width = figures["bytes_per_parameter"]
    print(f"{number:6,} banks: each masks with {figures['degree']:3} others, {width:.2f} bytes a number")

# %% [markdown]
# A mask with *everybody* costs each bank *n* - 1 key agreements and masks. Beyond a hundred banks each masks with a
# random few only (Bell, Bonawitz, Gascon, Lepoint and Raykova, CCS 2020): how many that is, and how many banks may then
# work with the aggregator, holds but for a probability of 2^-40; `secure_fl/secagg/graph.py` has the argument.
#
# ## Exercise: mask a vector
#
# Bank number `me` holds a 32-byte seed with each other bank. Write its upload, such that the sum over all banks is the
# sum of their values. Banks do not talk about signs: each must know by itself.


# %% tags=["exercise"]
def masked(me: int, values: NDArray[np.uint16], seeds: Mapping[int, bytes]) -> NDArray[np.uint16]:
    """The upload of bank `me`; `seeds`: other bank's number -> the seed that only the two of them have.

    `add_mask(vector, seed)` and `subtract_mask(vector, seed)` change a vector in place; leave `values` as they are.
    """
    # BEGIN SOLUTION
    upload = values.copy()
    for other, seed in seeds.items():
        (add_mask if me < other else subtract_mask)(upload, seed)
    return upload
    # END SOLUTION


# %% tags=["check"]
def check_masked() -> None:
    """Fresh banks, values and seeds each time."""
    for count in (2, 3, 6):
        values = np.array([[secrets.randbelow(256) for _ in range(500)] for _ in range(count)], dtype=np.uint16)
        seeds: list[dict[int, bytes]] = [{} for _ in range(count)]
        pairs = [(one, other) for one in range(count) for other in range(one)]
        secrets.SystemRandom().shuffle(pairs)  # nobody hears of the others in order
        for one, other in pairs:
            seeds[one][other] = seeds[other][one] = secrets.token_bytes(SEED_BYTES)
        before = values.copy()
        uploads = np.array([masked(me, values[me], seeds[me]) for me in range(count)])
        if not np.array_equal(values, before):
            raise WrongAnswer("it changes the bank's own values; work on a copy")
        if not np.array_equal(uploads.sum(axis=0, dtype=np.uint16), values.sum(axis=0, dtype=np.uint16)):
            raise WrongAnswer(f"with {count} banks the masks do not cancel in the sum")
        if (uploads == values).mean() > 0.1:
            raise WrongAnswer("an upload shows values as they are")
        for me in range(count):
            for other in seeds[me]:
                known = {each: theirs for each, theirs in seeds[me].items() if each != other}
                if np.array_equal(masked(me, values[me], known), uploads[me]):
                    raise WrongAnswer(
                        f"the seed with bank {other} makes no difference: that one does not protect anything"
                    )
    print("right")


check_masked()

# %% [markdown]
# ## What you have now
#
# - Masks hide each upload from whoever does not hold the seeds, computationally (X25519, HKDF, AES-256), and cost the
#   sum nothing: integers cancel exactly.
# - They hide nothing from all banks but one together, and nothing of the sum. Where keys are not signed, the aggregator
#   can put its own in their place (lab 5); our banks sign them.
# - Next: lesson 4, where a bank vanishes with its masks in the sum. To break: labs 1, 2, 3 and 5 (`secure-fl lab
#   list`). Every number of it: `examples/00_every_number.py`.
