"""The end of a masked sum: open secrets from shares, and take off the masks that did not cancel."""

from __future__ import annotations

from collections.abc import Mapping, Set

from secure_fl.errors import DropoutError, ProtocolError
from secure_fl.secagg.budget import MaskedPlan
from secure_fl.secagg.hazmat.agreement import AgreementKey
from secure_fl.secagg.hazmat.prg import RingVector, add_mask, subtract_mask
from secure_fl.secagg.hazmat.shamir import combine
from secure_fl.secagg.masked import wire
from secure_fl.secagg.messages import Cohort


def take_off_masks(
    cohort: Cohort[MaskedPlan],
    total: RingVector,
    keys: Mapping[int, wire.AdvertisedKeys],
    sharing: Set[int],
    survivors: Set[int],
    shares: Mapping[int, Mapping[int, bytes]],
) -> None:
    """Turn the sum of masked inputs into the sum of inputs, in place.

    `sharing`: the banks whose shares went out; `survivors`: those whose masked input is in `total`; `shares`: whose
    secret -> point -> share. Raises `DropoutError` with too few shares, `ProtocolError` where a bank's shares do not
    open what it advertised.
    """
    for bank in sorted(survivors):
        seed = _open(cohort, bank, shares)
        if wire.commit(seed) != keys[bank].commitment:
            raise _inconsistent(cohort, bank)
        subtract_mask(total, seed)
    for bank in sorted(sharing - survivors):
        key = AgreementKey(_open(cohort, bank, shares))
        if key.public != keys[bank].mask:
            raise _inconsistent(cohort, bank)
        for other in survivors & set(wire.around(cohort, bank)):
            mask = key.agree(keys[other].mask, wire.mask_purpose(cohort, bank, other))
            (subtract_mask if other < bank else add_mask)(total, mask)  # the survivor's mask, taken off


def _open(cohort: Cohort[MaskedPlan], bank: int, shares: Mapping[int, Mapping[int, bytes]]) -> bytes:
    got, threshold = shares.get(bank, {}), cohort.plan.share_threshold
    if len(got) < threshold:
        raise DropoutError(
            f"only {len(got)} shares of a secret of {cohort.banks[bank]} arrived and {threshold} open it; wait for "
            "more banks or repeat the round"
        )
    return combine(got, threshold)


def _inconsistent(cohort: Cohort[MaskedPlan], bank: int) -> ProtocolError:
    return ProtocolError(
        f"the shares of {cohort.banks[bank]} do not open what it advertised: it or a holder of its shares sent wrong "
        "ones; repeat the round without it"
    )
