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
# # 9. Poisoning, and Krum on ciphertexts
#
# A secure sum adds what it is given. One bank that sends the wrong thing steers the mean, and nobody sees which bank
# it was: that is what hiding updates means.
#
# **After this lesson you can** say what a poisoned update does to a mean, choose by Krum's rule, follow how distances
# are computed on ciphertexts, and say who learns what from them.
#
# 30 minutes. Builds on lessons 5 and 6.

# %%
from secure_fl.labs.lessons import WrongAnswer, begin_lesson, show

begin_lesson()

from collections.abc import Callable
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from secure_fl import Experiment, run_federation
from secure_fl.federation.checked_sums import choose
from secure_fl.robust.distances import squared_distances
from secure_fl.robust.krum import krum_scores
from secure_fl.robust.multi_krum import multi_krum
from secure_fl.robust.poisoning import updates as poison
from secure_fl.secagg.budget.krum import plan_krum
from secure_fl.secagg.hazmat.he_public import EncryptedVector, PublicContext
from secure_fl.secagg.hazmat.he_secret import SecretContext
from secure_fl.secagg.hazmat.he_totals import total_of_square
from secure_fl.secagg.he.encoding import encode_slots
from secure_fl.secagg.krum.authority import KrumDecryptor
from secure_fl.secagg.krum.deployment import krum_scheme
from secure_fl.secagg.krum.server import krum_server
from secure_fl.secagg.packing import IntVector
from secure_fl.secagg.protocol import run_protocol
from secure_fl.secagg.transcript import Transcript

Matrix = NDArray[np.float64]
rng = np.random.default_rng(9)

# %% [markdown]
# ## One bank against seven
#
# Eight banks with updates of two weights, so that we can draw them. The last two attack: they send minus four times
# what they would honestly send.
#
# **Before you go on.** Two of eight banks attack. Does the mean still point the right way?

# %%
honest = rng.normal([2.0, 1.0], 0.45, size=(8, 2))
sent = honest.copy()
sent[6:] = poison.scaled(honest[6:], -4.0)

plt.scatter(sent[:6, 0], sent[:6, 1], label="honest", color="C0")
plt.scatter(sent[6:, 0], sent[6:, 1], label="poisoned", color="C3", marker="X", s=70)
for point, name, shade in ((honest.mean(axis=0), "mean, all honest", "C0"), (sent.mean(axis=0), "mean of these", "C3")):
    plt.annotate("", point, (0, 0), arrowprops={"arrowstyle": "->", "color": shade, "lw": 2})
    plt.plot([], [], color=shade, lw=2, label=name)
plt.axhline(0, color="lightgrey", zorder=0)
plt.axvline(0, color="lightgrey", zorder=0)
plt.xlabel("first weight")
plt.ylabel("second weight")
plt.legend(loc="lower right", fontsize=9)
plt.show()

# %% [markdown]
# *Figure.* Eight updates in the plane. Six honest ones lie together at the upper right, two poisoned ones far away at
# the lower left. The arrow of the mean of all has lost nearly all of its length, or points backwards; that of the
# honest mean points to the cluster.

# %% [markdown]
# One bank that sends minus four times its update takes out four others.
#
# ## Krum: who is close to many?
#
# Poisoned updates that pull hard lie far from the honest ones. Blanchard, El Mhamdi, Guerraoui and Stainer (NeurIPS
# 2017), section 4: of `n` updates, `f` may be bad. The *score* of an update is the sum of squared distances to its
# `n-f-2` closest others. An honest update has at least `n-f-1` honest others near it; a bad one that stands apart has
# not. *Krum* takes the lowest score, *Multi-Krum* the mean of the `n-f` lowest. The promise needs `n >= 2f+3`.
#
# **Exercise.** Compute the scores from squared distances.


# %% tags=["exercise"]
def scores_of(squared: Matrix, f: int) -> Matrix:
    """[n] from squared distances [n, n], whose diagonal is 0: each row's sum over its n - f - 2 closest others."""
    # BEGIN SOLUTION
    n = len(squared)
    apart = squared + np.diag(np.full(n, np.inf))
    scores: Matrix = np.sort(apart, axis=1)[:, : n - f - 2].sum(axis=1)
    return scores
    # END SOLUTION


# %% tags=["check"]
def check_scores(answer: Callable[[Matrix, int], Matrix]) -> None:
    """On random points, for several n and f."""
    fresh = np.random.default_rng()
    for _ in range(20):
        f = int(fresh.integers(1, 4))
        n = 2 * f + 3 + int(fresh.integers(0, 4))
        squared = squared_distances(fresh.normal(size=(n, 5)))
        given = np.asarray(answer(squared.copy(), f))
        if given.shape != (n,):
            raise WrongAnswer(f"{n} updates have {n} scores; the answer has the shape {given.shape}")
        right = krum_scores(squared, n - f - 2)
        if (given < right * (1 - 1e-9)).all():
            raise WrongAnswer(f"n = {n}, f = {f}: all scores are too low; whose distance to whom is 0?")
        if (given > right * (1 + 1e-9)).all():
            raise WrongAnswer(f"n = {n}, f = {f}: all scores are too high; how many others count?")
        if not np.allclose(given, right):
            raise WrongAnswer(f"n = {n}, f = {f}: some scores are wrong")
    print("right")


check_scores(scores_of)

# %%
outcome = multi_krum(sent, byzantine=2)  # the package's rule, on updates in the clear
for number, score in enumerate(scores_of(squared_distances(sent), 2), start=1):
    print(f"bank-{number}: score {score:8.2f}")
print(f"Multi-Krum's mean {outcome.aggregate.round(2)}, of the honest six {honest[:6].mean(axis=0).round(2)}")

# %% [markdown]
# ## The same, on ciphertexts
#
# The rule needs to *see* distances, and we hide updates. But a distance is one number, and can be computed on
# ciphertexts: subtract, square, add up all slots. Then somebody opens that one number.
#
# **Before you go on.** The aggregator can subtract and square ciphertexts. Adding up slots usually takes rotations,
# with keys of several megabytes. Is there a sum of all slots that needs no rotation? (Lesson 5: slots are values of a
# polynomial at the roots of X^N + 1.)
#
# <details><summary>Answer</summary>
#
# The sum of a polynomial's values at all N roots is N times its constant coefficient. So one coefficient of the
# squared difference *is* the squared distance, up to a factor. The aggregator sends that coefficient, masked by a
# fresh encryption of zero, and leaves out the other N - 1, in which single squares lie.
#
# </details>
#
# First by hand. `SecretContext` is the key authority's, `PublicContext` what banks and aggregator have.

# %%
BITS, WEIGHTS = 8, 40
plan = plan_krum(8, WEIGHTS, BITS, threshold=5)
parameters = plan.parameters_of_context

direction = rng.normal(0, 12, WEIGHTS)
values = np.clip(128 + direction + rng.normal(0, 10, (8, WEIGHTS)), 0, 255)
values[6:] = np.clip(128 - 4 * direction + rng.normal(0, 10, (2, WEIGHTS)), 0, 255)
quantized = values.round().astype(np.int64)  # [banks, weights], in [0, 2**8)

authority = SecretContext(parameters)
public = PublicContext.load(authority.public_key(), parameters)


def encrypted(values: IntVector) -> EncryptedVector:
    slots = encode_slots(plan, values)  # one ciphertext of 40 values, and zeros up to its end
    c0, c1 = public.encrypt(slots)  # the words that a bank sends
    return public.vector(np.stack([c0, c1]).reshape(2, plan.data_primes, -1))


for one, other in ((0, 1), (0, 7)):
    first, second = encrypted(quantized[one]), encrypted(quantized[other])
    square = first.squared_difference(second)  # at the aggregator, which has no key
    total = total_of_square(parameters, square, public)  # one coefficient of it, to the key authority
    distance = authority.open_total(total) * plan.unit
    exact = ((quantized[one] - quantized[other]) ** 2).sum()
    print(f"bank-{one + 1} and bank-{other + 1}: opened {distance:.3f}, from the updates {exact}")

# %%
show(krum_server)

# %% [markdown]
# The server half reads like section 4 with encryption around it: uploads, distances (`_totals`), a choice that is
# made elsewhere, and the sum of the chosen. The key authority's part, where the rule is applied:

# %%
show(KrumDecryptor._choose, choose)

# %% [markdown]
# Now the whole protocol, every message serialized:

# %%
scheme = krum_scheme(partial(choose, byzantine=2))
names = tuple(f"bank-{number}" for number in range(1, 9))
cohort = scheme.cohort(plan, 1, names)
deployed, transcript = scheme.deploy(plan), Transcript()
clients = {name: deployed.client(cohort, name, quantized[row]) for row, name in enumerate(names)}
done = run_protocol(cohort, deployed.server(cohort), {**clients, **deployed.trustees(cohort)}, transcript)

print("in the sum:", ", ".join(sorted(done.sum.contributors)))
print("left out:  ", ", ".join(sorted(done.sum.passed_over)))
chosen = [row for row, name in enumerate(names) if name in done.sum.contributors]
assert np.array_equal(done.sum.total, quantized[chosen].sum(axis=0)), "the sum of the chosen is exact"
for line in transcript.so_far:
    if line.recipient == "key-authority" or line.sender == "key-authority":
        print(f"{line.stage:8} {line.sender:>13} -> {line.recipient:13} {line.nbytes:>10,} bytes")

# %% [markdown]
# ## Who learns what
#
# **Before you go on.** The aggregator learns who was chosen, and the sum. The key authority sees no update, only how
# far each two are apart, and how long each is. Is that harmless? What if it also *knows* the updates of some banks?

# %%
for party, reads in scheme.custody.can_decrypt.items():
    print(f"{party} can read: {'; '.join(reads)}")

# %% [markdown]
# A squared distance to a known point is an equation. For two known points *a* and *b* and an unknown *x*,
#
# ```text
# |x - a|^2  -  |x - b|^2   =   |a|^2  -  |b|^2  -  2 (a - b) x
# ```
#
# and that is *linear* in *x*. Enough known points, and *x* is found, as a phone finds its place.
#
# **Exercise.** You are the key authority, and the banks in `known` work with you. From the squared distances that you
# opened, compute the update of the one bank that does not.


# %% tags=["exercise"]
def located(known: Matrix, squared: Matrix) -> Matrix:
    """x [d] from points `known` [k, d], k > d, and the squared distances [k] of x to each of them."""
    # BEGIN SOLUTION
    first, others = known[0], known[1:]
    right_side = (others**2).sum(axis=1) - (first**2).sum() - squared[1:] + squared[0]
    found: Matrix = np.linalg.lstsq(2 * (others - first), right_side, rcond=None)[0]
    return found
    # END SOLUTION


# %% tags=["check"]
def check_located(answer: Callable[[Matrix, Matrix], Matrix]) -> None:
    """Measures how far your point is from the updates, and from the one you look for."""
    fresh = np.random.default_rng()
    for _ in range(10):
        d = int(fresh.integers(2, 13))
        points = fresh.normal(128, 40, size=(d + 2 + int(fresh.integers(0, 4)), d))
        known, hidden = points[:-1], points[-1]
        squared = squared_distances(points)[-1, :-1]
        given = np.asarray(answer(known.copy(), squared.copy()))
        if given.shape != (d,):
            raise WrongAnswer(f"the update has {d} weights; the answer has the shape {given.shape}")
        if not np.allclose(((known - given) ** 2).sum(axis=1), squared, atol=1e-3):
            raise WrongAnswer("your update is not as far from the known ones as the distances say")
        if not np.allclose(given, hidden, atol=1e-4):
            raise WrongAnswer("the distances fit, and it is another update")
    print("right")


check_located(located)

# %% [markdown]
# With *d* weights it takes *d + 1* banks on its side; the fraud model has 10,369. Even a single known update tells
# which of two guesses is the true one. So the custody report says that a key authority that knows the updates of many
# banks breaks this, and that it must not work with the aggregator, who has the ciphertexts.
#
# ## Does it help?
#
# A small federation on simulated payments, eight banks of which two flip signs:

# %%
base = Experiment(dataset="simulated", transactions=20_000, fraud_share=0.03, banks=8, scheme="ckks", rounds=5)
attacked = base.with_(byzantine=2, attack="sign-flip")
runs = {
    "nobody attacks, mean": (run_federation(base), "o-"),
    "two attack, mean": (run_federation(attacked), "X-"),
    "two attack, Multi-Krum": (run_federation(attacked.with_(robust="multi-krum")), "s--"),
}
for name, (result, mark) in runs.items():
    left_out = sorted({bank for record in result.rounds for bank in record.excluded})
    print(f"{name:23} AUPRC {result.final.auprc:.2f}; left out in some round: {', '.join(left_out) or 'nobody'}")
    plt.plot([record.round for record in result.rounds], [record.auprc for record in result.rounds], mark, label=name)
plt.xticks(range(1, 6))
plt.ylim(0)
plt.xlabel("round")
plt.ylabel("AUPRC")
plt.legend()
plt.show()

# %% [markdown]
# *Figure.* AUPRC by round of three federations: without attackers and under Multi-Krum with attackers it rises alike;
# under the mean with attackers it stays near what guessing would give.

# %% [markdown]
# **Before you go on.** The attackers know the rule. What would you send in their place?
#
# <details><summary>Answer</summary>
#
# Something that is not far from anybody: the mean less a little, within the spread of the others (Baruch, Baruch and
# Goldberg, "A Little Is Enough", NeurIPS 2019, algorithm 1).
#
# </details>

# %%
crowd = rng.normal(0, 1, size=(10, 200)) + rng.normal(0, 1, size=200)  # ten updates of 200 weights; the last two attack
for deviations in (0.3, 1.0, 3.0):
    crowd[8:] = poison.a_little(crowd[:8], deviations)[:2]  # here attackers are told the honest updates
    taken = multi_krum(crowd, byzantine=2).chosen
    print(f"{deviations:g} deviations off the mean: banks 9 and 10 are {'in' if {8, 9} <= {*taken} else 'out'}")

# %% [markdown]
# Rules like Krum bound how far *off* a chosen update can be. They do not see one that lies within the spread of
# honest ones, and they may leave out an honest bank that is unlike the others. `docs/poisoning.md` has maps of which
# rule bears what, measured on ULB.
#
# ## What you have now
#
# - A mean has no defence against one bank that pulls hard; Krum's rule compares, and for that it needs distances.
#   They can be computed on ciphertexts without rotations, and opened one number a pair.
# - The price is what the key authority learns, which with updates that it knows are equations. And attacks within the
#   spread of honest updates pass.
# - Next: lesson 10. To run: `secure-fl attack poisoning --quick`, which maps rules and attacks. To read:
#   `docs/robust.md`, for rules on groups and proofs of range. To break: lab 8, a key holder that opens anything.
