"""What the key's holder can compute of ciphertexts, exactly: coefficients of polynomials as Python's integers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tenseal import sealapi

from secure_fl.scoring import DataOwner, Linear, ModelOwner, PlannedModel, ScoringPlan, compile_model, plan_hidden
from secure_fl.scoring.hazmat.objects import SealObject, chain_of, changed, context, loaded
from secure_fl.scoring.messages import Kind, open_message
from secure_fl.scoring.network import Matrix, SquareNetwork
from secure_fl.secagg.hazmat.he_layout import uncompressed
from secure_fl.secagg.hazmat.he_words import saved
from tests.scoring.scene import CLIP, random_layers, random_rows

Words = NDArray[np.uint64]
"""uint64 [primes, N]: a polynomial by its values at roots, modulo each prime."""


def hidden_linear(weights: list[float], bias: float, like: PlannedModel | None = None) -> PlannedModel:
    """A hidden logistic regression; `like`: with the plan and the scales of another one."""
    layer = Linear(np.array([weights]), np.array([bias]))
    if like is not None:
        return replace(like, network=SquareNetwork((layer,)))
    corners = CLIP * np.vstack([np.eye(len(weights)), np.ones(len(weights))])
    return plan_hidden(compile_model([layer], corners, CLIP))


def planned_hidden(seed: int, widths: tuple[int, ...]) -> PlannedModel:
    """A hidden plan of a random model."""
    rng = np.random.default_rng(seed)
    return plan_hidden(compile_model(random_layers(rng, widths), random_rows(rng, 500, widths[0]), CLIP), 1e9)


def request_parts(plan: ScoringPlan, request: bytes) -> list[Words]:
    """Both polynomials of each ciphertext of a request, [2, primes, N]."""
    parts = open_message(plan, Kind.ROWS, request, session=None, parts=plan.ciphertexts).parts
    return [polynomials(plan, loaded("new ciphertext", plan.parameters, part)) for part in parts]


def answer_parts(plan: ScoringPlan, reply: bytes) -> Words:
    """Both polynomials of an answer, [2, primes, N]."""
    (part,) = open_message(plan, Kind.SCORES, reply, session=None, parts=1).parts
    return polynomials(plan, loaded("ciphertext", plan.parameters, part, primes=plan.answer_primes))


def polynomials(plan: ScoringPlan, value: SealObject) -> Words:
    found: list[Words] = []
    changed(value, plan.parameters, lambda words: found.append(words.copy()))
    return found[0]


def decrypted(owner: DataOwner, pair: Words) -> list[int]:
    """c_0 + c_1 s, each coefficient, centred."""
    plan = owner._plan
    moduli = np.array(chain_of(plan.parameters).data[: pair.shape[1]], dtype=object)[:, None]
    secret = _plaintext(owner._key._key, plan, len(plan.parameters.coeff_mod_bit_sizes))[: pair.shape[1]]
    first, second = pair.astype(object)
    return coefficients(owner, ((first + second * secret.astype(object)) % moduli).astype(np.uint64))


def encoded(owner: DataOwner, values: NDArray[np.float64]) -> list[int]:
    """The polynomial that the data owner encrypts for these slots."""
    plan, plain = owner._plan, sealapi.Plaintext()
    encoder = sealapi.CKKSEncoder(context(plan.parameters))
    encoder.encode(values.tolist(), 2.0**plan.input_scale_bits, plain)
    return coefficients(owner, _plaintext(plain, plan, len(plan.parameters.data_bits)))


def imaginary_unit(plan: ScoringPlan) -> Words:
    """X**(N/4) + X**(3 N/4), which is sqrt(2) i in every slot."""
    plain = sealapi.Plaintext()
    sealapi.CKKSEncoder(context(plan.parameters)).encode(2**0.5 * 1j, 1.0, plain)
    return _plaintext(plain, plan, len(plan.parameters.data_bits))


def coefficients(owner: DataOwner, values: Words) -> list[int]:
    """The polynomial with these values at roots; SEAL transforms it inside of a ciphertext."""
    plan = owner._plan
    evaluator = sealapi.Evaluator(context(plan.parameters))
    vessel = loaded("new ciphertext", plan.parameters, memoryview(owner._key.encrypt(np.zeros(1), 2.0**20)))
    while vessel.coeff_modulus_size() > len(values):
        evaluator.mod_switch_to_next_inplace(vessel)

    def fill(words: Any) -> None:
        words[0] = values

    vessel = changed(vessel, plan.parameters, fill)
    evaluator.transform_from_ntt_inplace(vessel)
    moduli = chain_of(plan.parameters).data[: len(values)]
    modulus = int(np.prod(np.array(moduli, dtype=object)))
    weights = [modulus // q * pow(modulus // q, -1, q) for q in moduli]
    total = sum(words.astype(object) * w for words, w in zip(polynomials(plan, vessel)[0], weights, strict=True))
    return [(int(number) + modulus // 2) % modulus - modulus // 2 for number in np.asarray(total)]


def noise_of_answer(owner: DataOwner, scorer: ModelOwner, model: PlannedModel, rows: Matrix) -> tuple[Any, list[Any]]:
    """What is left of one batch's answer without the exact result of the rounded linear model, and each input's noise.

    Objects of Python's integers, [N] each.
    """
    request = next(owner.encrypt(rows))
    reply = scorer.score(request)
    layer, bits = model.network.linears[0], model.scales.weights[0]
    inputs = [np.array(encoded(owner, np.ascontiguousarray(column)), dtype=object) for column in rows.T]
    exact = sum(round(w * 2**bits) * x for w, x in zip(layer.weights[0].tolist(), inputs, strict=True))
    exact = np.asarray(exact)
    exact[0] += round(float(layer.bias[0]) * model.plan.result_scale)
    answer = np.array(decrypted(owner, answer_parts(model.plan, reply)), dtype=object)
    sent = [np.array(decrypted(owner, part), dtype=object) for part in request_parts(model.plan, request)]
    return answer - exact, [one - x for one, x in zip(sent, inputs, strict=True)]


def _plaintext(thing: SealObject, plan: ScoringPlan, primes: int) -> Words:
    """A plaintext's or secret key's values at roots."""
    count = primes * plan.parameters.degree
    _, body = uncompressed(memoryview(saved(thing)), 32 + 2 * 8 + 16 + 8 + 8 * count)
    return np.frombuffer(body, dtype="<u8", offset=len(body) - 8 * count).reshape(primes, -1)
