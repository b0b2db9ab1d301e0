"""The end of a masked sum: open secrets from shares, and take off the masks that did not cancel.

Every secret was announced (a commitment to the seed, a public key to the mask key), so a wrong one is noticed; and
where more than t shares arrived, a wrong share is told from the others, which lie on one polynomial.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set

from secure_fl.errors import DropoutError, ProtocolError
from secure_fl.secagg.budget import MaskedPlan
from secure_fl.secagg.hazmat.agreement import AgreementKey
from secure_fl.secagg.hazmat.prg import RingVector, add_mask, subtract_mask
from secure_fl.secagg.hazmat.shamir import open_secret
from secure_fl.secagg.masked import wire
from secure_fl.secagg.messages import Cohort


def take_off_masks(
    cohort: Cohort[MaskedPlan],
    total: RingVector,
    keys: Mapping[int, wire.AdvertisedKeys],
    sharing: Set[int],
    survivors: Set[int],
    shares: Mapping[int, Mapping[int, bytes]],
) -> dict[str, str]:
    """Turn the sum of masked inputs into the sum of inputs, in place; the banks whose shares were wrong, with the
    reason.

    `sharing`: the banks whose shares went out; `survivors`: those whose masked input is in `total`; `shares`: whose
    secret -> point -> share. Raises `DropoutError` with too few shares, `ProtocolError` where a bank's shares do not
    open what it advertised; the sum then has to be attempted anew.
    """
    wrong: dict[str, str] = {}

    def opened(bank: int, is_right: Callable[[bytes], bool]) -> bytes:
        secret, points = _open(cohort, bank, shares.get(bank, {}), is_right)
        for point in points:
            wrong[cohort.banks[point - 1]] = (
                f"its share of a secret of {cohort.banks[bank]} does not fit the others, or {cohort.banks[bank]} gave "
                "it a wrong one"
            )
        return secret

    for bank in sorted(survivors):
        subtract_mask(total, opened(bank, keys[bank].has_seed))
    for bank in sorted(sharing - survivors):
        key = AgreementKey(opened(bank, keys[bank].has_mask_key))
        for other in survivors & set(wire.around(cohort, bank)):
            mask = key.agree(keys[other].mask, wire.mask_purpose(cohort, bank, other))
            (subtract_mask if other < bank else add_mask)(total, mask)  # the survivor's mask, taken off
    return wrong


def _open(
    cohort: Cohort[MaskedPlan], bank: int, shares: Mapping[int, bytes], is_right: Callable[[bytes], bool]
) -> tuple[bytes, frozenset[int]]:
    """A bank's secret, and the points whose shares do not belong to it."""
    name, threshold = cohort.banks[bank], cohort.plan.share_threshold
    if len(shares) < threshold:
        raise DropoutError(
            f"only {len(shares)} shares of a secret of {name} arrived and {threshold} open it; wait for more banks or "
            "make a new attempt"
        )
    try:
        return open_secret(shares, threshold, is_right)
    except ProtocolError:
        problem = f"the shares of {name} do not open what it advertised"
        raise ProtocolError(
            f"{problem}: it or holders of its shares sent wrong ones; make a new attempt without it", {name: problem}
        ) from None
