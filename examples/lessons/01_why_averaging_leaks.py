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
# # 1. Why averaging leaks
#
# **After this lesson you can** say what federated averaging sends, rebuild a payment from what one bank sends, and name
# what a secure sum takes from an attacker, and what it does not.
#
# 20 minutes. Builds on nothing but Python and some calculus.
#
# > The transactions here are simulated, and every bank trains *one step on very few rows*. That is the worst case for a
# > bank, chosen to be seen with the naked eye; it is not how a usual round looks.

# %%
from secure_fl.labs.lessons import WrongAnswer, begin_lesson, show

begin_lesson()

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from secure_fl.attacks import attack, factorization
from secure_fl.attacks.command import AttackSettings, attacked_experiment
from secure_fl.attacks.raw import undo
from secure_fl.attacks.scene import Scene, open_scene
from secure_fl.attacks.step import first_layer, gradient_of
from secure_fl.attacks.trial import Observatory, Seen
from secure_fl.attacks.victim import LocalStep
from secure_fl.codec.quantization import Contribution
from secure_fl.federation.global_model import GlobalModel
from secure_fl.secagg import simulate

# %% [markdown]
# ## Three banks, one model
#
# Three banks want to detect card fraud. Each has payments that it must not show to the others. In **federated
# averaging** (McMahan, Moore, Ramage, Hampson, Aguera y Arcas, AISTATS 2017, Algorithm 1) an aggregator sends a model
# to all banks; each trains it on its own payments and sends back *what changed in the weights*, its **update**; the
# aggregator takes the mean, weighted by numbers of examples, and adds it to the model. No payment is sent.
#
# The line `w_{t+1} <- sum over k of n_k/n w^k_{t+1}` of Algorithm 1 is split in two in our code. Each bank
# multiplies its update by its own weight; the aggregator adds the mean to the model.

# %%
show(Contribution.weighted, GlobalModel.updated)

# %% [markdown]
# Here is the aggregator's work with three updates of four weights each, as whole numbers and in the clear:

# %%
updates = np.array([[12, 200, 31, 90], [15, 180, 40, 77], [9, 220, 35, 101]])
outcome = simulate("plaintext", updates, bits=8)
print("the sum that it needs: ", outcome.total)
for bank, update in enumerate(updates, start=1):
    print(f"what it gets from bank-{bank}:", update)

# %% [markdown]
# **Before you go on.** The aggregator needs one sum and gets three updates. An update has no payment in it, only
# changes of weights. What could somebody find out from the update of *one* bank?

# %% [markdown]
# <details><summary>Answer</summary>
#
# The payments. A change of weights is computed *from* payments, by a recipe that everybody knows; the next cells run it
# backwards.
#
# </details>
#
# ## One payment, one step
#
# The first layer of the model multiplies the features *x* of a payment (128 numbers: amount, hour, and so on, each
# standardized) by weights *W* and adds biases *b*: neuron *i* gets `z_i = W_i x + b_i`. When the loss *L* is
# traced back to that neuron, with `delta_i = dL/dz_i`, the chain rule says
#
# ```text
# dL/dW_i = delta_i x        dL/db_i = delta_i
# ```
#
# **Before you go on.** Both gradients are in the update. How do you get *x* from them?

# %% [markdown]
# <details><summary>Answer</summary>
#
# Divide: `x = (dL/dW_i) / (dL/db_i)`, for any neuron with `delta_i` other than 0. No weight, no label and no guess is
# needed. This is proposition 3.1 of Geiping, Bauermeister, Droege and Moeller, "Inverting Gradients", NeurIPS 2020.
#
# </details>
#
# We let three banks of a real federation train one step on one payment each, and look at bank-1's message as the
# aggregator sees it. `Observatory` runs our own banks and our own messages; `seen.rows` is bank-1's payment, for you to
# compare, and no aggregator has it.


# %%
def watch(scheme: str, batch: int) -> tuple[Scene, Seen, float]:
    """One honest round of federated SGD: what the aggregator has then, and the learning rate."""
    experiment = attacked_experiment("inversion", scheme, AttackSettings(dataset="simulated"))
    scene = open_scene(experiment, batch)
    seen = Observatory(scene.with_batch(batch), LocalStep("sgd")).watch(np.random.default_rng(1))
    return scene, seen, experiment.learning_rate


scene, seen, learning_rate = watch("plaintext", batch=1)
layer = first_layer(gradient_of(seen.upload, learning_rate, "sgd"))
print(f"the update has {len(seen.upload):,} numbers; those of the first layer: {layer.shape[0]} neurons,")
print(f"each with {layer.shape[1] - 1} gradients of weights and, in the last column, one of a bias")

neuron = int(np.abs(layer[:, -1]).argmax())
rebuilt = layer[neuron, :-1] / layer[neuron, -1]
print(f"largest error over all 128 features: {np.abs(rebuilt - seen.rows[0]).max():.1e}")
for who, row in (("bank-1 has", seen.rows[0]), ("rebuilt", rebuilt)):
    payment = undo(row, scene.schema)
    print(f"{who:10}: a payment of {payment['amount']:.2f} at {payment['hour']:.2f} h")

# %% [markdown]
# A division gave the payment, with its amount and its hour. The code of our attack does the same, for every neuron that
# *one* payment activates by itself: several such neurons agree on the same row, and that is how the attack knows it.

# %%
show(factorization._alone)

# %% [markdown]
# ## More payments, and a picture
#
# With several payments in the batch, each neuron has a mixture of them, and a division gives nonsense. But ReLU
# switches each payment off at some neurons, and from that pattern the payments come apart again (Dimitrov, Baader,
# Mueller and Vechev, "SPEAR", NeurIPS 2024). Real training takes a step of Adam, not of SGD; that can be undone as
# well. All of it is in our attack, which runs against any scheme; `ckks`, `bfv` and `additive` give what `masked`
# gives:

# %%
for scheme in ("plaintext", "masked"):
    report = attack("inversion", scheme, dataset="simulated", batches=(4,), trials=2)
    (found,) = report.results
    print(f"{scheme:10} {found['success_rate']:4.0%} of 4 payments rebuilt; by guessing {found['guessing']:.0%}")

# %% [markdown]
# What does the aggregator have under `masked`? It has a message of the same kind, and runs the same division on it:

# %%
hidden = watch("masked", batch=1)[1]
masked_layer = first_layer(gradient_of(hidden.upload, learning_rate, "sgd"))
neuron = int(np.abs(masked_layer[:, -1]).argmax())
from_mask = masked_layer[neuron, :-1] / masked_layer[neuron, -1]

figure, axes = plt.subplots(1, 2, sharex=True, sharey=True)
shown = np.flatnonzero(seen.rows[0])
for axis, found_row, title in zip(axes, (rebuilt, from_mask), ("plaintext", "masked"), strict=True):
    axis.axline((0, 0), slope=1, color="0.8", zorder=0)
    axis.scatter(seen.rows[0][shown], found_row[shown], s=22)
    axis.set(title=title, xlabel="true feature", ylim=(-4, 4))
axes[0].set_ylabel("rebuilt feature")
plt.show()

# %% [markdown]
# *Figure.* Each point is a feature of bank-1's payment, the true value against the rebuilt one. From plaintext all
# points lie on the diagonal: every feature is right. From a masked message they lie anywhere.
#
# ## What a secure sum takes away, and what not
#
# The aggregator needs the sum only. The lessons to come give it the sum and keep the single updates from it. That does
# not make the *sum* harmless: over three banks with one payment each it is a step on three payments.

# %%
for batch in (1, 4):
    (found,) = attack("inversion", "masked", dataset="simulated", batches=(batch,), trials=3).results
    opened = found["opened_sum"]
    from_one, from_sum = found["success_rate"], opened["success_rate"]
    print(
        f"{opened['rows']:2} payments in the sum: {from_one:4.0%} rebuilt from a message, {from_sum:4.0%} from the sum"
    )

# %% [markdown]
# A secure sum hides *which bank* an update came from, and each update among the others. It does not hide what the sum
# says, and with few payments that is a lot. Against that stands differential privacy: lesson 8.
#
# ## Exercise: run it backwards yourself
#
# You get the first layer's gradient after a step on **one** payment: one row a neuron, the bias in the last column. As
# in real life, most neurons are dead for this payment: their gradients are nothing but rounding noise of about
# 1e-9, and they may come first. Give back the payment's features.


# %% tags=["exercise"]
def features_of(gradient: NDArray[np.float64]) -> NDArray[np.float64]:
    """The features [f] of the one payment behind a first layer's gradient [neurons, f + 1]."""
    # BEGIN SOLUTION
    live = np.abs(gradient[:, -1]).argmax()
    features: NDArray[np.float64] = gradient[live, :-1] / gradient[live, -1]
    return features
    # END SOLUTION


# %% tags=["check"]
def check_features_of() -> None:
    """Fresh payments each time, and neurons that die at random."""
    rng = np.random.default_rng()
    for _ in range(50):
        payment, flows = rng.normal(size=20), rng.normal(size=30)
        flows[rng.permutation(30)[:25]] = 0.0
        if rng.random() < 0.5:
            flows = -np.abs(flows)
        gradient = np.outer(flows, np.append(payment, 1.0)) + rng.normal(scale=1e-9, size=(30, 21))
        found = features_of(gradient.copy())
        if np.shape(found) != payment.shape:
            raise WrongAnswer(f"the payment has {payment.shape} features, and the answer has {np.shape(found)}")
        if not np.isfinite(found).all():
            raise WrongAnswer("some features are not finite: was there a division by a dead neuron's zero?")
        cosine = abs(found @ payment) / np.linalg.norm(found) / np.linalg.norm(payment)
        if cosine < 0.99:
            raise WrongAnswer("this is no payment but noise: look at which neuron you take")
        if not np.allclose(found, payment, atol=1e-4):
            raise WrongAnswer("the direction is right, and the scale or the sign is not")
    print("right")


check_features_of()

# %% [markdown]
# ## What you have now
#
# - An update is computed from payments, and a division gives a single one back. "No data leave the bank" protects
#   nobody by itself, whoever reads updates.
# - A secure sum keeps single updates from the aggregator. It does not hide the sum, and it does not hide from anybody
#   what they put in themselves.
# - Next: lesson 2, how to add numbers that nobody reads. More of it: `examples/05_what_an_update_gives_away.py` and
#   `docs/attacks.md`, where the same is measured on real transactions.
