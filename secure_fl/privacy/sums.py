"""*distributed*: shares of noise protect each bank's whole update in the sum, towards everybody who sees sums.

Nobody is trusted with the noise (`privacy.distributed`), but the scheme must keep single updates hidden. Round 0's
statistics are not covered.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from secure_fl import settings as sections
from secure_fl.errors import ConfigurationError, PrivacyError
from secure_fl.privacy.accounting import SampledGaussian
from secure_fl.privacy.accounts import for_life, open_ledger
from secure_fl.privacy.distributed import calibrate, effective_noise_multiplier, epsilon_spent, noise_to_norm
from secure_fl.privacy.ledger import Ledger
from secure_fl.privacy.lifetime import Account
from secure_fl.privacy.spent import NOT_COVERED, BankPrivacy, Privacy
from secure_fl.secagg.budget import NoisePlan


@dataclass(frozen=True)
class SumPrivacy:
    """Distributed noise in every sum of a run."""

    noise: NoisePlan
    delta: float
    ledgers: tuple[Ledger, ...] = field(repr=False)

    @classmethod
    def of_federation(
        cls,
        chosen: sections.Privacy,
        banks: Sequence[str],
        noise: NoisePlan,
        folder: Path | None,
        resume: bool,
        accounts: Mapping[str, Account],
    ) -> SumPrivacy:
        """Raises `ConfigurationError` where the noise promises nothing, `PrivacyError` for a lost ledger."""
        assert chosen.delta is not None
        delta = chosen.delta

        planned = SampledGaussian(effective_noise_multiplier(noise), 1.0, 1)
        if epsilon_spent(noise, chosen.rounds, delta) == math.inf:
            raise ConfigurationError(
                f"a noise multiplier of {noise.noise_multiplier:g} promises nothing over {chosen.rounds} rounds; "
                "use a larger one, or fewer rounds"
            )

        def cost(events: Sequence[SampledGaussian]) -> float:
            if any(event != planned for event in events):
                raise PrivacyError("the noise was planned anew after it was spent; go on with the run's own settings")
            return epsilon_spent(noise, len(events), delta) if events else 0.0

        if not resume:
            for account in accounts.values():
                account.require_room([planned] * chosen.rounds)
        ledgers = (
            open_ledger(chosen, bank, cost, None if folder is None else folder / bank, resume, accounts.get(bank))
            for bank in banks
        )
        return cls(noise, delta, tuple(ledgers))

    def charge(self, round_: int, model_digest: bytes) -> None:
        """Enter a round into every bank's ledger. Noise is drawn anew when a round is repeated, so it counts again."""
        event = SampledGaussian(effective_noise_multiplier(self.noise), 1.0, 1)
        for ledger in self.ledgers:
            ledger.charge(f"round {round_}", model_digest, event, repeats=False)

    def report(self, scheme: str) -> Privacy:
        rounds = max(len(ledger.entries) for ledger in self.ledgers)
        multiplier = effective_noise_multiplier(self.noise)
        insider = epsilon_spent(self.noise, rounds, self.delta, known_shares=1)
        banks = tuple(BankPrivacy(ledger.bank, ledger.epsilon, multiplier, 1.0, rounds) for ledger in self.ledgers)
        ratio = noise_to_norm(self.noise)
        notes = [
            f"a bank knows its own share of the noise: towards each of them epsilon is {insider:.3g}",
            f"the noise in a mean update is {ratio:.3g} times as long as an update may be"
            + ("; nothing can be learned under it" if ratio > 10 else ""),
        ]
        if scheme == "plaintext":
            notes.append(
                "plaintext shows single updates to the aggregator, with one share of noise each: no protection"
            )
        return Privacy(
            mechanism="distributed",
            epsilon=max(bank.epsilon for bank in banks),
            delta=self.delta,
            unit="bank",
            neighbours="one bank's update replaced by zero; who takes part is public",
            accountant="rdp",
            banks=banks,
            statistics_noise_multiplier=None,
            epsilon_by_accountant={},
            not_covered=(_STATISTICS, *NOT_COVERED),
            notes=tuple(notes),
            withheld=_WITHHELD,
            **for_life(self.ledgers),
        )


def distributed_noise_multiplier(chosen: sections.Privacy, parameters: int, banks: int) -> float:
    """The noise of a distributed sum over its sensitivity, calibrated for all rounds unless it is given."""
    if chosen.noise_multiplier is not None:
        return chosen.noise_multiplier
    assert chosen.epsilon is not None
    assert chosen.delta is not None
    return calibrate(chosen.epsilon, chosen.delta, chosen.rounds, parameters, banks)


_STATISTICS = "the means and deviations of round 0, which are exact sums over all banks"
_WITHHELD = (
    "the update of a bank, and the message where that can be read: single updates are protected by the sum only",
    "the largest error of the mean: it is the noise itself, which would tell how far the sum is from the exact one",
)
