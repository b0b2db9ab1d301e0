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
# # 8. What the sum still leaks, and differential privacy
#
# A secure sum shows the sum, and nothing else. This lesson is about the sum.
#
# **After this lesson you can** take a bank's transactions out of a perfectly secure sum, tell from a model who was
# trained on, add the noise that limits both, compute the epsilon that it gives, and say what that promise does not
# cover.
#
# 30 minutes. Builds on lessons 1 and 3. The transactions are simulated: nobody's.

# %%
from secure_fl.labs.lessons import WrongAnswer, begin_lesson, show

begin_lesson()

import math
from collections.abc import Callable

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from secure_fl.attacks.command import AttackSettings, attacked_experiment
from secure_fl.attacks.inversion import rebuild_sum
from secure_fl.attacks.judging import match
from secure_fl.attacks.lira import measure_lira, measure_loss
from secure_fl.attacks.membership import draw_pool, train_federation, train_population
from secure_fl.attacks.raw import undo
from secure_fl.attacks.scene import open_scene
from secure_fl.attacks.trial import Observatory, rows_of
from secure_fl.attacks.victim import LocalStep
from secure_fl.privacy.accounting import SampledGaussian, calibrate, epsilon, epsilon_table
from secure_fl.report.promise import largest_share_of_right_guesses
from secure_fl.training.grid import GridOptimizer, row_factors

Rows = NDArray[np.float64]
rng = np.random.default_rng(8)

# %% [markdown]
# ## Three banks, one masked sum
#
# Each bank trains one step on four transactions. The masked sum of their updates is opened, exactly. We are the
# attacker of lesson 1, who rebuilt rows from a single update. Now all uploads are masked.
#
# **Before you go on.** Who could rebuild bank-1's rows from the sum: the aggregator alone? bank-2 alone? bank-2 and
# bank-3 together?

# %%
settings = AttackSettings(dataset="simulated", batches=(4,))
scene = open_scene(attacked_experiment("inversion", "masked", settings), 4).with_batch(4)
federation = Observatory(scene, LocalStep())  # real banks, real rounds, and a window on them

banks = scene.draw_banks(rng)
sent = federation.values_of(banks, rng)  # what each bank puts into the sum: quantized updates, as integers
opened = federation.sum_of(sent, victim="bank-1").total

assert np.array_equal(opened, sum(sent.values())), "the sum is exact"


def share_found(total: NDArray[np.int64], among: int) -> float:
    """The share of bank-1's rows that inversion finds in the sum of so many banks, of which it is one."""
    rows = rows_of(banks[:among])
    found = rebuild_sum(federation, federation.open_sum(total, among), len(rows), among, rng)
    return float((match(found, rows)[1][:4] < 0.05).mean())


print(f"from the sum of all three:                    {share_found(opened, 3):.0%} of bank-1's rows")
print(f"the sum less what bank-3 itself sent:         {share_found(opened - sent['bank-3'], 2):.0%}")
print(f"the sum less what bank-2 and bank-3 had sent: {share_found(opened - sent['bank-3'] - sent['bank-2'], 1):.0%}")

# %%
left = opened - sent["bank-2"] - sent["bank-3"]
rebuilt = rebuild_sum(federation, federation.open_sum(left, 1), 4, 1, rng)
true = banks[0].examples.features
for place, row in zip(match(rebuilt, true)[0], true, strict=True):
    was, now = undo(row, scene.schema), undo(rebuilt[place], scene.schema)
    print(f"paid {was['amount']:6.2f} at {was['hour']:5.2f} h, rebuilt: {now['amount']:6.2f} at {now['hour']:5.2f} h")

# %% [markdown]
# No mask was broken. The others subtracted their own numbers from a public result, and were left with the victim's.
# Even the sum of all three gives rows away where batches are that small. All schemes open the same sum, so it works
# under each of them, and no cryptography prevents it. Batches of thousands of rows are not rebuilt this way; but
# something of each row is still in there, and so is it in the model.
#
# ## Who was trained on?
#
# The model is published. The attacker holds a record, and asks whether it was in the training set: *membership*.
# Carlini et al. ("Membership Inference Attacks From First Principles", IEEE S&P 2022) train models of their own with
# and without the record, and compare how sure the target is of the record's label. Below, eight federations on random
# halves of one pool; each is the target once, with the others as shadow models. (Few rows and many passes, so that
# models learn rows by heart.) Whoever guesses finds as many members as it accuses others: 0. Whoever knows has 1.

# %%
stage = open_scene(attacked_experiment("membership", "plaintext", AttackSettings(dataset="simulated")), 4)
pool = draw_pool(stage, 100, rng)
trained = train_population(stage, pool, 8, rng, lambda done, of: None, train_federation)

everyone = np.ones(len(trained.fraud), dtype=bool)
for name, among in (("all records", everyone), ("frauds", trained.fraud)):
    lira, loss = (measure(trained, among, (0.1,)).advantage.mean() for measure in (measure_lira, measure_loss))
    print(f"{name:12} members found less others accused: {lira:.2f} by likelihood ratios, {loss:.2f} by the loss alone")


# %%
def mean_where(chosen: NDArray[np.bool_]) -> Rows:
    """Of each fraud: how sure those models are of its label that are chosen for it."""
    sums: Rows = (trained.confidence * chosen).sum(axis=0) / np.maximum(chosen.sum(axis=0), 1)
    return sums[trained.fraud]


inside, outside = mean_where(trained.member), mean_where(~trained.member)
ends = [min(inside.min(), outside.min()), max(inside.max(), outside.max())]
plt.scatter(outside, inside, s=14, alpha=0.7)
plt.plot(ends, ends, color="grey", linestyle="--")
plt.xlabel("logit for fraud, by models that never saw it")
plt.ylabel("by models that did")
plt.show()

# %% [markdown]
# *Figure.* A point for each fraud: how sure models are that it is one, those trained on it upwards, all others to the
# right. Most points lie above the dashed diagonal: having seen a fraud shows, most of all where the others are
# unsure.

# %% [markdown]
# ## A limit to both
#
# Look at the sum in one training step: over rows of gradients. How much can *one* row change it? Without a limit, by
# anything. Abadi et al. (CCS 2016), algorithm 1, give it one: each row's gradient is clipped to L2 norm *C*.
# Directions stay, only long rows become shorter.
#
# **Exercise.** Clip rows.


# %% tags=["exercise"]
def clipped(rows: Rows, norm_bound: float) -> Rows:
    """[n, d]: each row that is longer than `norm_bound` (L2) is shortened to it; all others stay as they are."""
    # BEGIN SOLUTION
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    shortened: Rows = rows * np.minimum(1.0, norm_bound / np.maximum(lengths, 1e-300))
    return shortened
    # END SOLUTION


# %% tags=["check"]
def check_clipped(answer: Callable[[Rows, float], Rows]) -> None:
    """On rows of all lengths: what a row may change, and what must not change."""
    fresh = np.random.default_rng()
    for _ in range(20):
        rows, bound = fresh.normal(size=(9, 6)), fresh.uniform(0.5, 4)
        rows *= np.geomspace(0.01, 30, 9)[:, None]
        rows[4] = 0
        given = np.asarray(answer(rows.copy(), bound))
        if given.shape != rows.shape:
            raise WrongAnswer(f"the answer has the shape {given.shape}, the rows {rows.shape}")
        long = np.linalg.norm(rows, axis=1) > bound
        lengths = np.linalg.norm(given, axis=1)
        if not np.isfinite(given).all():
            raise WrongAnswer("a row of zeros became something that is no number")
        if (lengths > bound * (1 + 1e-9)).any():
            raise WrongAnswer(f"a row is {lengths.max():.2f} long where {bound:.2f} is allowed")
        if not np.allclose(given[~long], rows[~long]):
            raise WrongAnswer("a row that was short enough has changed")
        if not np.allclose(lengths[long], bound):
            raise WrongAnswer("a long row became shorter than it had to")
        if not np.allclose((given * rows).sum(axis=1), lengths * np.linalg.norm(rows, axis=1)):
            raise WrongAnswer("a row points in another direction than before")
    print("right")


check_clipped(clipped)

# %% [markdown]
# Then algorithm 1 adds Gaussian noise of deviation sigma x *C* to the sum. Sigma is the *noise multiplier*. Here is
# how the package does both, in integers (floats would let a row change the sum by a little more than *C*):

# %%
show(row_factors, GridOptimizer.clip_and_accumulate, GridOptimizer.add_noise)

# %% [markdown]
# In the paper's algorithm 1: "Clip gradient" is `row_factors`, "Add noise" is `add_noise`. Opacus' class, on which
# this is built, computes the gradient of every row by itself.
#
# ## What the noise does to an attacker
#
# Give the attacker all other rows, and the noisy sum. It asks: was this row there? It subtracts what it knows and
# looks along the row's own gradient. Without the row it sees noise around 0, with it noise around *C*.
#
# **Before you go on.** With noise of deviation *C* (sigma 1), how often is the attacker right, where a coin is right
# 50 %?

# %%
seen = np.linspace(-4, 5, 400)
figure, places = plt.subplots(1, 3, figsize=(8, 2.6))
for place, sigma in zip(places, (0.5, 1.0, 4.0), strict=True):
    place.plot(seen, norm.pdf(seen, 1, sigma), label="row was there")
    place.plot(seen, norm.pdf(seen, 0, sigma), "--", label="it was not")
    place.set_title(f"sigma {sigma:g}: right {norm.cdf(0.5 / sigma):.0%}")
    place.set_yticks([])
    place.set_xlabel("sum along the row, in C")
places[0].legend(fontsize=8)
plt.show()

# %% [markdown]
# *Figure.* What the attacker sees along the row's gradient, with the row and without it, for noise multipliers of
# 0.5, 1 and
# 4. The hills move into each other, and the share of right guesses of the best attacker, in the titles, falls towards
#    a coin's.

# %% [markdown]
# That is one sum. *Differential privacy* puts a limit on it whatever the attacker computes: with (epsilon, delta), no
# outcome is more than e^epsilon times as likely with the row as without it, but for a probability of delta. From the
# two hills one can compute epsilon; an accountant does, and several must agree:

# %%
DELTA = 1e-5
for sigma in (0.5, 1.0, 4.0):
    table = epsilon_table([SampledGaussian(sigma, sample_rate=1.0, steps=1)], DELTA)
    most = largest_share_of_right_guesses(table["prv"], DELTA)
    figures = ", ".join(f"{name} {value:.3f}" for name, value in table.items())
    print(f"sigma {sigma:g}: epsilon {figures}; right at most {most:.1%}, really {norm.cdf(0.5 / sigma):.1%}")

# %% [markdown]
# The bound is no promise that so much can be guessed. It holds for every attack, also for one that nobody has thought
# of.
#
# ## Many steps, on samples
#
# Training takes hundreds of steps. In each, every row takes part with a small probability only.
#
# **Before you go on.** Four times as many steps: is epsilon four times as large? And what does it help if a row is in
# one of twenty steps only?

# %%
STEPS = [1, 4, 16, 64, 256, 1024]
for rate, mark in ((1.0, "s"), (0.2, "o"), (0.05, "^")):
    spent = [epsilon([SampledGaussian(4.0, rate, steps)], DELTA) for steps in STEPS]
    plt.loglog(STEPS, spent, marker=mark, label=f"each row in {rate:.0%} of the steps")
plt.xlabel("steps, each with sigma 4")
plt.ylabel("epsilon at delta 1e-5")
plt.xticks(STEPS, [str(steps) for steps in STEPS])
plt.legend()
plt.show()

# %% [markdown]
# *Figure.* Epsilon against the number of steps, both axes logarithmic, for rows that are in all steps, in a fifth and
# in a twentieth of them. Four times the steps about doubles epsilon; smaller samples lie far below.

# %% [markdown]
# So epsilon depends on noise, sample rate and steps together. "Noise 1.1 means epsilon 3" is true for one training
# and false for the next. It has to be computed.
#
# **Exercise.** Find the noise. A training of `steps` steps takes each row with probability `rate` into each. Which
# noise multiplier keeps it within `target`, and is not larger than it must be? `spent(noise)` is there already: what
# a noise costs, and it falls as noise grows.


# %% tags=["exercise"]
def noise_for(target: float, rate: float, steps: int, delta: float) -> float:
    """The smallest noise multiplier, to 1 %, whose epsilon is at most `target`; it lies between 0.3 and 100."""

    def spent(noise: float) -> float:
        return epsilon([SampledGaussian(noise, rate, steps)], delta, "rdp")

    # BEGIN SOLUTION
    low, high = 0.3, 100.0
    while high > 1.005 * low:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if spent(middle) > target else (low, middle)
    return high
    # END SOLUTION


# %% tags=["check"]
def check_noise(answer: Callable[[float, float, int, float], float]) -> None:
    """Asks the accountant: enough, and not too much."""
    fresh = np.random.default_rng()
    for _ in range(3):
        target, rate = fresh.uniform(0.8, 6), fresh.uniform(0.01, 0.3)
        steps, delta = int(fresh.integers(20, 400)), 10.0 ** -int(fresh.integers(4, 8))
        noise = answer(target, rate, steps, delta)
        reached, less = (epsilon([SampledGaussian(s * noise, rate, steps)], delta, "rdp") for s in (1, 0.98))
        case = f"target {target:.2f}, rate {rate:.3f}, {steps} steps, delta {delta:g}: noise {noise:.3f}"
        if reached > target:
            raise WrongAnswer(f"{case} spends {reached:.2f}")
        if less <= target:
            raise WrongAnswer(f"{case} is more than needed: with 2 % less, epsilon is still {less:.2f}")
    print("right")


check_noise(noise_for)

# %% [markdown]
# The package does it for all rounds of a run before it starts (`--epsilon 3 --delta 1e-5`), and with a closer
# accountant.
#
# ## What it costs
#
# The noise in a step does not depend on how many rows are in the sum. So in the *mean* gradient it shrinks with the
# batch: large banks hide a row cheaply.

# %%
sigma = calibrate(lambda noise: [SampledGaussian(noise, sample_rate=1 / 20, steps=100)], 3.0, DELTA)
for rows in (1_000, 10_000, 100_000):
    batch = rows // 20
    print(
        f"{rows:>7,} rows, batches of {batch:>5,}: noise in the mean gradient {sigma / batch:.5f} C in each coordinate"
    )

# %% [markdown]
# What is left of a fraud model was measured on ULB for epsilon 1, 3 and 8, with intervals: `docs/privacy.md`. It
# costs much there. Fraud is rare, and what few rows say is what such noise hides first.
#
# **Before you go on.** Three banks train under DP-SGD, epsilon 3 for each row. Does it hide from the aggregator that
# bank-2 has hardly any fraud? That a customer of 300 payments was there at all?
#
# <details><summary>Answer</summary>
#
# Neither. The promise is for *one row* of a bank. Facts that hold for thousands of rows stay visible, and that is
# what one trains for. A customer with 300 rows is protected far less than a row, and numbers of rows are taken to be
# public. To hide what a whole bank did is another mechanism, `distributed`: each bank adds a share of noise, and only
# the sum has it all (Kairouz, Liu, Steinke, ICML 2021; example 07). It needs many banks.
#
# </details>
#
# Do they need the secure sum as well? Under `dp-sgd` each bank's update is noisy enough by itself, so the promise
# holds without one. The sum then hides what DP does not: everything about a bank beyond single rows.
#
# ## What you have now
#
# - A secure sum hides who sent what, not what the sum says: all others can subtract.
# - Clipping limits what a row can change, noise hides that much, and an accountant says what it comes to: an epsilon,
#   of a training with its noise, rate and steps, and for a unit, here the row.
# - Next: lesson 9. To break: lab 7, whose noise comes from a clock. To run: `secure-fl attack membership` and
#   `secure-fl attack audit-epsilon`. To read: `docs/privacy.md`.
