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
# # 6. Packing and the planner
#
# **After this lesson you can** put several numbers into one slot of a ciphertext, say how wide a field must be, follow
# the planner's proof that a sum cannot overflow and rounds right, and read its refusals.
#
# 20 minutes. Builds on lesson 5.

# %%
from secure_fl.labs.lessons import WrongAnswer, begin_lesson, show

begin_lesson()

import secrets
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np

from secure_fl.errors import PlanError
from secure_fl.secagg import plan
from secure_fl.secagg.budget import HeParameters, HePlan, ckks, he
from secure_fl.secagg.budget.plans import sum_bits
from secure_fl.secagg.hazmat.he_public import PublicContext
from secure_fl.secagg.hazmat.he_secret import SecretContext
from secure_fl.secagg.packing import pack_fields, unpack_fields

# %% [markdown]
# ## A slot is wide, a value is not
#
# A ciphertext of lesson 5 takes some 55,000 bytes and has 2,048 slots: 27 bytes for a number that had 8 bits. But a
# slot is much wider than 8 bits. So we lay several values side by side in one slot, like digits of a large number;
# adding two such slots adds every pair of digits, as long as no digit runs over into its neighbour.

# %%
north, south = np.array([200, 7, 255]), np.array([100, 1, 255])
print("200 + 7 x 2**10 + 255 x 2**20 =", pack_fields(north, fields=3, base=2**10))
added = pack_fields(north, 3, 2**10) + pack_fields(south, 3, 2**10)
print("added to the south's, then taken apart:", unpack_fields(added, 3, 2**10, count=3))
show(pack_fields, unpack_fields)

# %% [markdown]
# **Before you go on.** Fields of 10 bits were wide enough for two banks. How many banks can add values of 8 bits in
# fields of 10 bits? What would happen with one bank more than that?

# %%
for banks in (2, 4, 5):
    full = np.array([255, 255, 255])
    total = sum(pack_fields(full, 3, 2**10) for _ in range(banks))
    found, needed = unpack_fields(np.asarray(total), 3, 2**10, 3), sum_bits(8, banks)
    print(f"{banks} banks: {found}, should be {banks * full}, which needs {needed} bits")

# %% [markdown]
# With five banks the fields overflow: the sums are wrong, and nothing says so. *n* banks with values of *b* bits need
# fields of *b* bits and log2(*n*) more, rounded up. BatchCrypt (Zhang, Li, Xia, Wang, Yan and Liu, "BatchCrypt:
# Efficient Homomorphic Encryption for Cross-Silo Federated Learning", USENIX ATC 2020, section 4) packs quantized
# gradients like this into Paillier plaintexts, with padding bits between them; Smart and Vercauteren (2014) had made
# slots before.
#
# ## Exercise: sum in one number
#
# Pack each bank's values into **one** whole number, add these numbers, one for each bank, and take the sum apart.
# Python's whole numbers have any size. Do not waste room: the packed sum must not be larger than fields of the needed
# width make it.


# %% tags=["exercise"]
def packed_sum(rows: Sequence[Sequence[int]], bits: int) -> tuple[int, list[int]]:
    """The sum of the packed rows, and the sums of the values in it.

    `rows`: one a bank, all of one length, of values in [0, 2**bits).
    """
    # BEGIN SOLUTION
    width = bits + (len(rows) - 1).bit_length()
    total = sum(sum(value << (place * width) for place, value in enumerate(row)) for row in rows)
    return total, [(total >> (place * width)) % (1 << width) for place in range(len(rows[0]))]
    # END SOLUTION


# %% tags=["check"]
def check_packed_sum() -> None:
    """Fresh values each time, and the largest ones."""
    for banks, bits, count in ((2, 8, 5), (3, 8, 40), (4, 4, 7), (5, 16, 12), (16, 8, 30), (17, 8, 30), (100, 5, 9)):
        for largest in (False, True):
            top = (1 << bits) - 1
            rows = [[top if largest else secrets.randbelow(1 << bits) for _ in range(count)] for _ in range(banks)]
            total, sums = packed_sum([list(row) for row in rows], bits)
            if list(sums) != [sum(column) for column in zip(*rows, strict=True)]:
                which = "the largest values" if largest else "random values"
                raise WrongAnswer(f"the sums over {banks} banks of {bits} bits are wrong for {which}")
            if total < sum(sums) or (count > 1 and total.bit_length() <= bits * (count - 1)):
                raise WrongAnswer("the first result does not hold all fields")
            if total.bit_length() > count * sum_bits(bits, banks):
                raise WrongAnswer(f"fields are wider than {banks} banks of {bits} bits need")
    print("right")


check_packed_sum()

# %% [markdown]
# Fields need not be whole bits wide. A digit has to hold the largest sum and no more, so the base can be any number
# above it: ten banks of 8 bits need 2,551 values, not 4,096, which are 11.3 bits a field instead of 12. Our planner
# packs to such a base, and leaves 1/256 of the values of a field that no sum can have: garbage, such as what a wrong
# key opens, soon hits one of them.

# %%
for banks in (3, 10, 100):
    base, width = he.field_base(banks, 8), sum_bits(8, banks)
    print(f"{banks:3} banks: base {base:,}, {np.log2(base):.2f} bits a field instead of {width}")

# %% [markdown]
# ## How much fits into a slot?
#
# **Before you go on.** In CKKS a slot's value times the scale must stay below half the modulus *q*, of up to 60 bits
# here. Why not take the smallest scale there is, and have nearly 60 bits for fields?

# %% [markdown]
# <details><summary>Answer</summary>
#
# Because the scale keeps the error small (lesson 5): with a small one, slots round to wrong integers. Fields and scale
# share the bits of the modulus. This is the *budget* that the planner divides: the bits of fields and scale, and one
# for the sign, are at most those of *q*.
#
# </details>
#
# How wrong, and how often? The planner's text says that the error of a slot follows a Laplace distribution with the
# standard deviation *sigma* of `NOISE` over the scale, so that a slot is wrong with probability `exp(-sqrt(2) / 2 /
# sigma)`. We count, over keys and ciphertexts:

# %%
scales, wrong = list(range(6, 14)), []
values = np.arange(2048) % 256
for scale_bits in scales:
    parameters = HeParameters("ckks", prime_bits=54, scale_bits=scale_bits)
    counts = []
    for _ in range(8):
        authority = SecretContext(parameters)
        public = PublicContext.load(authority.public_key(), parameters)
        counts.append((np.rint(authority.decrypt(*public.encrypt(values[None]))) != values).mean())
    wrong.append(float(np.mean(counts)))

predicted = [np.exp(-np.sqrt(2) * 0.5 / (ckks.NOISE / 2**bits)) for bits in scales]
figure, axes = plt.subplots()
axes.semilogy(scales, predicted, label="the planner's formula")
axes.semilogy(scales, [share or np.nan for share in wrong], "o", label="counted")
axes.set(xlabel="bits of the scale", ylabel="share of wrong slots", ylim=(1e-6, 2))
axes.legend()
plt.show()

# %% [markdown]
# *Figure.* The share of slots that round to a wrong integer, against the bits of the scale, on a logarithmic axis:
# counted points lie on the planner's curve, which falls faster and faster. Where no slot was wrong there is no point.
#
# Nobody can count to 2^-40, but the formula goes on. By the union bound over all slots the planner takes only layouts
# whose *whole sum* fails with a probability of at most 2^-40. Where a single ciphertext is added in the place of all
# banks', its errors all point the same way, and the plan says how often such a sum fails.
# The paper of CKKS bounds the same noise in a lemma of section 3 ("Leveled Homomorphic Encryption") and asks that
# message and noise stay below the modulus; ours asks more, since it needs the *exact* integer.

# %%
show(ckks.plan_ckks, ckks._failure_bits, he.smallest_exact)

# %% [markdown]
# The planner tries all numbers of fields and all sizes of *q*, keeps what is exact, and takes the smallest upload. What
# comes out of that:

# %%
for scheme in ("ckks", "bfv"):
    for banks, bits in ((3, 8), (16, 8), (100, 8), (3, 16)):
        planned = plan(scheme, banks, 1_000_000, bits)
        assert isinstance(planned, HePlan)
        figures, fields = planned.derived(), planned.fields_per_slot
        print(
            f"{scheme:4} {banks:3} banks x {bits:2} bits: {fields} fields to the base {planned.field_base:7,},", end=" "
        )
        print(f"{figures['bytes_per_parameter']:5.2f} bytes a number, wrong at most {figures['failure_probability']}")

# %% [markdown]
# **Before you go on.** BFV takes less than half of CKKS. Both have the same polynomials and the same noise. Where does
# CKKS lose?

# %% [markdown]
# <details><summary>Answer</summary>
#
# Three times. CKKS puts its numbers into *N*/2 complex slots and uses the real part of each; BFV puts integers modulo
# *t* into all *N* coefficients (it could make slots of them too, which sums do not need). The error of a CKKS slot is a
# mixture of *all* coefficients' errors, sqrt(*N*/2) times as large as one of them, so that the scale costs more bits
# than BFV's *q*/*t*. And BFV need not send the lowest bits of its words: what they held is a little more error, and the
# planner says for how many there is room (`dropped_bits`). CKKS's words are values at roots, each of which touches all
# coefficients, so it sends them whole. CKKS is there for real numbers and for products; for sums of integers BFV is the
# better tool.
#
# </details>
#
# ## What the planner refuses

# %%
for scheme, banks, bits in (("ckks", 1_000, 24), ("ckks", 10_000, 24), ("masked", 1_000, 24), ("bfv", 2, 8)):
    try:
        figures = plan(scheme, banks, 1_000_000, bits).derived()
    except PlanError as refusal:
        print(f"{scheme:6} {banks:6,} x {bits:2}: refused. {refusal}")
    else:
        print(f"{scheme:6} {banks:6,} x {bits:2}: {figures['bytes_per_parameter']:.2f} bytes a number")

# %% [markdown]
# Each refusal names the number to change. Nothing falls back to something else by itself: a sum that was asked for
# under `ckks` runs under `ckks` or not at all.
#
# ## What you have now
#
# - Values lie side by side in a slot or a coefficient, in fields wide enough for the largest sum: *b* bits and
#   log2(*n*) more, rounded up, or a little less where the base is no power of two.
# - Fields, scale and sign share the modulus. The planner proves, before anything runs, that no field overflows and that
#   noise rounds away but for a stated probability. It does not prove that banks keep to the range: a value beyond it is
#   refused by an honest bank, and a lying bank's spoils the sum, which is noticed if the sum leaves its range.
# - Next: lesson 7, which scheme for whom. To see the same for other numbers: `secure-fl plan --scheme ckks --banks 10`,
#   and `examples/03_what_the_planner_refuses.py`.
