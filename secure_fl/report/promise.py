"""What differential privacy promised in a run, in words: to whom, how strongly, and what it left open.

The promise is read from `results.Privacy` and never computed anew: the ledgers know what was spent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from secure_fl.federation.results import Privacy, Result, RoundRecord

UNPROTECTED = (
    "This run was trained without differential privacy: nothing limits what the sums and the model reveal about single "
    "transactions."
)
_ACCOUNTANTS = {
    "prv": "privacy random variables (Gopi, Lee, Wutschitz 2021), by Opacus",
    "pld": "privacy loss distributions (Koskela, Jälkö, Honkela 2020), by Google's dp-accounting",
    "rdp": "Rényi differential privacy (Mironov 2017)",
    "rdp (Google)": "Rényi differential privacy (Mironov 2017), by Google's dp-accounting",
}
_CERTAIN = 0.9995


@dataclass(frozen=True)
class Bound:
    """What one accountant says of the spending."""

    accountant: str
    meaning: str
    epsilon: str


@dataclass(frozen=True)
class Promise:
    """The words of the section."""

    sentence: str
    meaning: str
    mechanism: str
    spent: str
    life: str
    """What all runs of these banks have spent together."""
    bounds: tuple[Bound, ...]


def promise_of(result: Result) -> Promise | None:
    """None where the run was trained without differential privacy."""
    privacy = result.privacy
    if privacy is None:
        return None
    return Promise(
        sentence=_sentence(privacy, result.custody.scheme),
        meaning=_meaning(privacy),
        mechanism=_mechanism(privacy),
        spent=spent_text(privacy, target(result)),
        life=life_text(privacy, result.experiment.get("lifetime_epsilon")),
        bounds=_bounds(privacy),
    )


def epsilon_text(epsilon: float) -> str:
    """Three decimals, rounded up: a promise must not look better than it is."""
    return f"{math.ceil(1000 * epsilon - 1e-9) / 1000:.3f}" if epsilon < math.inf else "infinite"


def delta_text(delta: float) -> str:
    """0.00001 -> "1e-5", as on the command line."""
    mantissa, _, exponent = f"{delta:g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def target(result: Result) -> float | None:
    """The epsilon that the run was allowed to spend; None where the noise was given instead."""
    epsilon = result.experiment.get("epsilon")
    return float(epsilon) if epsilon is not None else None


def spending(result: Result) -> tuple[tuple[RoundRecord, float], ...]:
    """The rounds whose epsilon is known, each with it."""
    return tuple((record, record.epsilon) for record in result.rounds if record.epsilon is not None)


def spent_text(privacy: Privacy, allowed: float | None) -> str:
    """What to compare the spending with."""
    return "the noise was given" if allowed is None else f"this run may spend {allowed:g}"


def life_text(privacy: Privacy, allowed: float | None) -> str:
    """What all runs have spent, of the bank that has spent most."""
    if not privacy.lifetime_epsilon:
        return "Nothing is known of what earlier runs on the same rows have spent."
    bank, spent = max(privacy.lifetime_epsilon.items(), key=lambda item: item[1])
    limit = "no limit for life was set" if allowed is None else f"{allowed:g} is allowed for life"
    return (
        f"All runs on the rows of {bank} that its ledgers know of have spent epsilon {epsilon_text(spent)} together, "
        f"this one included; {limit}."
    )


def guesses_text(epsilon: float, delta: float) -> str:
    """What an epsilon allows whoever guesses, such as "right at most 95.3 % of the time"."""
    return f"right at most {100 * largest_share_of_right_guesses(epsilon, delta):.1f} % of the time"


def largest_share_of_right_guesses(epsilon: float, delta: float) -> float:
    """How often the best guess is right at most whether the unit took part, when both are equally likely.

    No test has a true positive rate above exp(epsilon) times its false positive rate plus delta (Kairouz, Oh,
    Viswanath, ICML 2015); the best balance of the two is (exp(epsilon) + delta) / (1 + exp(epsilon)).
    """
    return 1 / (1 + math.exp(-epsilon)) + delta / (1 + math.exp(min(epsilon, 700.0)))


def _sentence(privacy: Privacy, scheme: str) -> str:
    bound = f"epsilon {epsilon_text(privacy.epsilon)} at delta {delta_text(privacy.delta)}"
    if privacy.mechanism == "dp-sgd":
        return (
            "Whoever sees what a bank sends, or the model that comes of it (the aggregator, the other banks, "
            f"everybody who ever gets the model), can tell only to a limit whether any one {privacy.unit} was among "
            f"the rows that the bank trained on: {bound}."
        )
    readers = (
        "Whoever sees nothing but the sums and the models"
        if scheme != "plaintext"
        else "Whoever would see nothing but the sums and the models (under plaintext the aggregator sees more, and is "
        "promised nothing)"
    )
    return f"{readers} can tell only to a limit whether any one {privacy.unit}'s updates were its own or zero: {bound}."


def _meaning(privacy: Privacy) -> str:
    right = largest_share_of_right_guesses(privacy.epsilon, privacy.delta)
    question = "was there" if privacy.mechanism == "dp-sgd" else "gave its updates"
    who = f"Somebody who knows all the rest and has to tell whether one {privacy.unit} {question} or not"
    if right >= _CERTAIN:
        return f"{who} may be right almost always: so large an epsilon promises next to nothing."
    return f"{who} is {guesses_text(privacy.epsilon, privacy.delta)}, where tossing a coin would be right 50 %."


def _mechanism(privacy: Privacy) -> str:
    if privacy.mechanism == "dp-sgd":
        return "DP-SGD: each bank clips every row's gradient and adds noise of its own in every step"
    return "distributed: each bank clips its update and adds a share of a noise that only the sum has as a whole"


def _bounds(privacy: Privacy) -> tuple[Bound, ...]:
    values = dict(privacy.epsilon_by_accountant) or {privacy.accountant: privacy.epsilon}
    return tuple(
        Bound(name, _ACCOUNTANTS.get(name, "not described"), epsilon_text(value)) for name, value in values.items()
    )
