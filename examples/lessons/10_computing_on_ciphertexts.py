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
# # 10. Computing on ciphertexts, and how a popular tutorial goes wrong
#
# Sums need additions. To have rows scored by a model that its owner keeps, without showing the rows, one needs
# products.
#
# **After this lesson you can** score encrypted rows with a linear model and a small network, say what a
# multiplication costs, find and mend the mistake in a tutorial, and say what scores give away.
#
# 30 minutes. Builds on lesson 5. Rows are simulated payments.

# %%
from secure_fl.labs.lessons import WrongAnswer, begin_lesson, show

begin_lesson()

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import tenseal as ts
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.neural_network import MLPClassifier
from tenseal import sealapi

from secure_fl.attacks.command import AttackSettings, attacked_experiment
from secure_fl.attacks.scene import open_scene
from secure_fl.data import Examples, encode
from secure_fl.scoring import (
    DataOwner,
    Linear,
    ModelOwner,
    Relu,
    compile_model,
    plain_logits,
    plan_batched,
    plan_single,
)
from secure_fl.scoring.circuits import BatchCircuit
from secure_fl.scoring.hazmat.public import Evaluation
from secure_fl.scoring.relu import least_squares_relu

Matrix = NDArray[np.float64]
rng = np.random.default_rng(10)

# %% [markdown]
# ## Two parties
#
# A small bank has payments. A larger one has a model. The small bank draws a key, encrypts its rows and sends them;
# the model's owner computes on what it cannot read; only the small bank can open the answer. First, two models in the
# clear:

# %%
CLIP = 8.0  # no feature is further from its mean, in standard deviations
scene = open_scene(attacked_experiment("inversion", "plaintext", AttackSettings(dataset="simulated")), 1)
known = Examples.pooled([encode(bank.train, scene.schema) for bank in scene.dataset.banks])
new = Examples.pooled([encode(bank.test, scene.schema) for bank in scene.dataset.banks])
used = np.flatnonzero(known.features.any(axis=0))  # what no payment fills of the 128 features is left out
X, X_new = (np.clip(one.features[:, used], -CLIP, CLIP).astype(np.float64) for one in (known, new))
y, y_new = known.fraud, new.fraud

logistic = LogisticRegression(max_iter=1000).fit(X, y)
network = MLPClassifier((8,), alpha=1.0, max_iter=60, early_stopping=True, random_state=1).fit(X, y)
linear = (Linear(logistic.coef_, logistic.intercept_),)
deep = (
    Linear(network.coefs_[0].T, network.intercepts_[0]),
    Relu(),
    Linear(network.coefs_[1].T, network.intercepts_[1]),
)
print(f"{len(X):,} rows of {X.shape[1]} features to train on, {len(X_new):,} new ones")

# %%
model = plan_batched(compile_model(linear, X, CLIP))  # at the model's owner, who publishes model.plan
bank = DataOwner(model.plan)  # at the small bank; its key stays here
scorer = ModelOwner(model, bank.keys())  # gets no key that opens anything


def scored(rows: Matrix) -> Matrix:
    """What the bank gets for its rows; every message is bytes."""
    return np.concatenate([bank.open(scorer.score(request)) for request in bank.encrypt(rows)])


logits = scored(X_new)
plain = logistic.decision_function(X_new)
clear, secret = (average_precision_score(y_new, scores) for scores in (plain, logits))
print(f"AUPRC {secret:.4f} encrypted, {clear:.4f} in plain")
print(f"largest error of a logit {np.abs(logits - plain).max():.1e}, promised {model.plan.error_bound:.1e}")
print(f"{model.plan.upload_bytes / model.plan.rows_per_batch:,.0f} bytes a row up")

# %% [markdown]
# The trick is the layout: a ciphertext for two *features* (slots are complex numbers), with a row in each slot.
# Weights multiply whole ciphertexts, and thousands of rows cost what one costs. A network with squares in the place
# of ReLU (Gilad-Bachrach et al., "CryptoNets", ICML 2016) goes layer by layer. In Cheon et al. (ASIACRYPT 2017),
# section 3.3, the lines of `square` and `rescale` are called Mult and RS:

# %%
show(BatchCircuit.logit, Evaluation.square, Evaluation.rescale)

# %% [markdown]
# ## A network needs something other than ReLU
#
# Ciphertexts add and multiply; what is computed on them is a polynomial. "Is it above zero?" is none.
#
# **Before you go on.** Fit a parabola to ReLU on the range that values have. What happens to a row that leaves the
# range?

# %%
z = np.linspace(-6, 6, 200)
parabola = least_squares_relu(3.0, 1)
plt.plot(z, np.maximum(z, 0), label="ReLU")
plt.plot(z, parabola(z[:, None])[:, 0], "--", label="parabola fitted on [-3, 3]")
plt.axvspan(-3, 3, color="lightgrey", alpha=0.4, zorder=0)
plt.xlabel("what a neuron gets")
plt.ylabel("what it passes on")
plt.legend()
plt.show()

# %% [markdown]
# *Figure.* ReLU, and the parabola that fits it best on a shaded interval around 0. Inside they lie close together.
# Outside, the parabola climbs on both sides, also where ReLU is 0.

# %% [markdown]
# So the range is taken from training rows, and whether that serves is checked on training rows that were held out.

# %%
compiled = compile_model(deep, X, CLIP)
assert compiled.replacement is not None
print(f"logits differ by {compiled.replacement.mean_difference:.3f} in the mean from those with ReLU, on held-out rows")

model = plan_batched(compiled)
bank = DataOwner(model.plan)
scorer = ModelOwner(model, bank.keys())
by_ciphertext, in_plain = scored(X_new), compiled.network.logits(X_new[:, list(compiled.positions)])
with_relu = average_precision_score(y_new, plain_logits(deep, X_new))
print(f"AUPRC {average_precision_score(y_new, by_ciphertext):.4f} encrypted, {with_relu:.4f} in plain with ReLU")
print(f"largest error of a logit {np.abs(by_ciphertext - in_plain).max():.1e}, promised {model.plan.error_bound:.1e}")

# %%
for name, planned in (("linear", plan_batched(compile_model(linear, X, CLIP))), ("one square", model)):
    figures = planned.plan.derived()
    print(
        f"{name:10}: N = {figures['poly_modulus_degree']}, primes of {figures['coeff_mod_bit_sizes']} bits, "
        f"{figures['upload_bytes_per_row']:,.0f} bytes a row, keys of {figures['key_bytes']:,} bytes"
    )

# %% [markdown]
# Between the two AUPRCs lies what the parabola lost, and not encryption: the promise is about the parabola's logits.
# Whoever trains with squares from the start (`secure-fl run --activation square`) has nothing to replace.
#
# A product squares the scale, and to bring it down again a prime of the modulus is divided away. So every square in a
# row needs a further prime, a larger modulus needs a larger ring for the same security, and a product has three
# polynomials until a key folds it back to two.
#
# ## One row at a time, and the tutorial
#
# Batches are for many rows. For one row most tutorials, TenSEAL's among them, put the *row* into one ciphertext and
# write a network as you would in numpy: `x.mm(W1) + b1`, square, `.mm(W2) + b2`. Here it is, with TenSEAL's
# parameters of tutorial 4, on a network so small that you can check it: 4 inputs, 3 neurons, 2 outputs, and no square
# yet.

# %%
context = ts.context(ts.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[31, 26, 26, 26, 26, 26, 26, 31], n_threads=1)
context.global_scale = 2**26
context.generate_galois_keys()

row = np.array([0.5, -1.0, 0.25, 0.75])
W1, b1 = rng.normal(size=(4, 3)), np.array([1.0, -0.5, 0.25])
W2, b2 = rng.normal(size=(3, 2)), np.array([0.5, 0.5])

neurons = ts.ckks_vector(context, row.tolist()).mm(W1.tolist()) + b1.tolist()
print("three neurons, encrypted", np.round(neurons.decrypt(), 3), "in plain", (row @ W1 + b1).round(3))

# %% [markdown]
# Right, up to CKKS's noise. **Before you go on.** The next layer takes these three numbers. What could go wrong?

# %%
outputs = neurons.mm(W2.tolist()) + b2.tolist()
print("two outputs, encrypted", np.round(outputs.decrypt(), 3), "in plain", ((row @ W1 + b1) @ W2 + b2).round(3))

# %% [markdown]
# One output is right. The other is wrong, silently: no error, no warning, a number like any other. More bits do not
# help; try `[60, 40, 40, 40, 40, 40, 60]` at 16384 with a scale of 2^40 if you like. Look at what `decrypt()` does
# not show you, all slots:


# %%
def all_slots(vector: Any, count: int) -> Matrix:
    """The first slots of a ciphertext, beyond the vector's own length too."""
    seal, plaintext = context.seal_context().data, sealapi.Plaintext()
    sealapi.Decryptor(seal, context.secret_key().data).decrypt(vector.ciphertext()[0], plaintext)
    return np.array(sealapi.CKKSEncoder(seal).decode_double(plaintext)[:count])


product = ts.ckks_vector(context, row.tolist()).mm(W1.tolist())
print("row          ", all_slots(ts.ckks_vector(context, row.tolist()), 8).round(2))
print("row W1       ", all_slots(product, 9).round(2))
print("row W1 + b1  ", all_slots(neurons, 9).round(2))

# %% [markdown]
# TenSEAL repeats a short vector until the slots are full, because `.mm` multiplies *diagonals* of the matrix with
# rotations of the vector (Halevi and Shoup, "Algorithms in HElib", CRYPTO 2014), and a rotation must bring the
# vector's beginning in again behind its end. The product of the first layer repeats as well. The bias was added once.
# So what rotates in, for every output but the first, are neurons *without* their bias. (It is issue 462 of TenSEAL's
# repository.)
#
# **Exercise.** Mend it without touching the library: make the bias part of the matrix. A 1 is sent behind the row;
# the layer must add the bias to the outputs *and* pass the 1 on, so that the next layer finds it again.


# %% tags=["exercise"]
def with_bias_inside(weights: Matrix, bias: Matrix) -> Matrix:
    """[in + 1, out + 1] from weights [in, out] and bias [out]: (x, 1) times it is (x W + b, 1)."""
    # BEGIN SOLUTION
    above = np.column_stack([weights, np.zeros(len(weights))])
    return np.vstack([above, [*bias, 1.0]])
    # END SOLUTION


# %% tags=["check"]
def check_bias(answer: Callable[[Matrix, Matrix], Matrix]) -> None:
    """Two layers on ciphertexts, with a square between, on fresh numbers."""
    fresh = np.random.default_rng()
    for _ in range(2):
        x, first, second = (fresh.uniform(-1, 1, shape) for shape in (4, (4, 3), (3, 2)))
        biases = fresh.uniform(0.5, 1, 3), fresh.uniform(0.5, 1, 2)
        layers = [np.asarray(answer(w.copy(), b.copy())) for w, b in zip((first, second), biases, strict=True)]
        if [layer.shape for layer in layers] != [(5, 4), (4, 3)]:
            raise WrongAnswer("a matrix [4, 3] must become [5, 4]; yours becomes " + str(list(layers[0].shape)))
        hidden = ts.ckks_vector(context, [*x, 1.0]).mm(layers[0].tolist())
        found = np.array(hidden.decrypt())
        if not np.allclose(found[:3], x @ first + biases[0], atol=0.02):
            raise WrongAnswer("the first layer's neurons are wrong")
        if not np.isclose(found[3], 1.0, atol=0.02):
            raise WrongAnswer(f"the 1 arrives as {found[3]:.2f} behind the first layer")
        hidden.square_()
        found = np.array(hidden.mm(layers[1].tolist()).decrypt())
        if not np.allclose(found[:2], (x @ first + biases[0]) ** 2 @ second + biases[1], atol=0.2):
            raise WrongAnswer("the second layer is wrong, behind a first one that is right")
    print("right")


check_bias(with_bias_inside)

# %% [markdown]
# Why 1? The neuron goes through the square, and 1 stays 1. `secure-fl bench scoring --peers` runs the tutorial as it
# is, with more bits, and mended like this, and says which scores are right; the results are in
# `docs/encrypted-computing.md`. The package's own layout for single rows repeats the bias itself, and promises an
# error:

# %%
single = plan_single(compiled)
bank = DataOwner(single.plan)
scorer = ModelOwner(single, bank.keys())
for place in range(2):
    (request,) = bank.encrypt(X_new[place : place + 1])
    logit = bank.open(scorer.score(request))[0]
    print(f"row {place}: {logit:.3f}, in plain {in_plain[place]:.3f}; {len(request):,} bytes up")

# %% [markdown]
# ## What the scores give away
#
# The rows stayed secret, and so did the weights, in the protocol. Then the bank opens scores.
#
# **Before you go on.** A logistic regression's logit is w x + b. How many rows must the bank send to learn all of w
# and b?
#
# **Exercise.** Take the model. `score` is all that you have: rows in, logits out, computed on ciphertexts.


# %% tags=["exercise"]
def stolen(score: Callable[[Matrix], Matrix], features: int) -> tuple[Matrix, float]:
    """(w [features], b) of a linear model from its logits; rows may hold any numbers in [-8, 8]."""
    # BEGIN SOLUTION
    answers = score(np.vstack([np.zeros(features), np.eye(features)]))
    return answers[1:] - answers[0], float(answers[0])
    # END SOLUTION


# %% tags=["check"]
def check_stolen(answer: Callable[[Callable[[Matrix], Matrix], int], tuple[Matrix, float]]) -> None:
    """Fresh models behind a real encrypted scoring; then your copy scores new rows beside the original."""
    fresh = np.random.default_rng()
    for _ in range(3):
        features = int(fresh.integers(3, 9))
        layer = Linear(fresh.normal(size=(1, features)), fresh.normal(size=1) + 2)
        hidden = plan_batched(compile_model((layer,), None, CLIP))
        owner = DataOwner(hidden.plan)
        server = ModelOwner(hidden, owner.keys())

        def score(rows: Matrix, owner: DataOwner = owner, server: ModelOwner = server) -> Matrix:
            return np.concatenate([owner.open(server.score(request)) for request in owner.encrypt(rows)])

        weights, bias = answer(score, features)
        rows = fresh.uniform(-CLIP, CLIP, (50, features))
        if np.shape(weights) != (features,):
            raise WrongAnswer(f"there are {features} weights; yours have the shape {np.shape(weights)}")
        off = np.abs(rows @ weights + bias - (rows @ layer.weights[0] + layer.bias[0])).max()
        if off > 0.01:
            raise WrongAnswer(f"on new rows your copy's logits are off by up to {off:.2f}")
    print("right")


check_stolen(stolen)

# %% [markdown]
# One row more than there are features. No encryption prevents this: the scores are what was paid for. (Tramer et al.,
# USENIX Security 2016, section 4.1, did it to prediction services.) `secure_fl.scoring.custody` says so, and
# `--hide-model` hides only what answers tell *beyond* scores.
#
# ## What you have now
#
# - Ciphertexts compute polynomials; every square behind another costs a prime, and thousands of rows in the slots
#   cost as much as one. A library can compute a wrong number without a word: compare with plain, and ask for a bound.
# - Encrypted scoring hides rows from the model's owner. It does not hide a linear model from whoever reads its
#   scores.
# - Next: lesson 11. To run: examples 12 and 13, which trains on encrypted rows. To break: lab 10, where results that
#   were released unrounded give the key away. To read: `docs/encrypted-computing.md`, on when you need any of it.
