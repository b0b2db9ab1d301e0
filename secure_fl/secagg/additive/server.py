"""The aggregator's half of an additive sum: it adds its own shares and asks for the sums of the others."""

from __future__ import annotations

from secure_fl.errors import DropoutError
from secure_fl.secagg import ring
from secure_fl.secagg.additive.wire import SUM_SHARES, UPLOAD, split_upload
from secure_fl.secagg.budget import AdditivePlan
from secure_fl.secagg.messages import AGGREGATOR, Cohort, seal
from secure_fl.secagg.numbering import encode_table
from secure_fl.secagg.protocol import SecureSum, ServerHalf, Stage, opened, request, require_threshold


def additive_server(cohort: Cohort[AdditivePlan]) -> ServerHalf:
    """Two stages: shares from the banks, then one summed share from each share-holder, without whom there is no sum."""
    total = ring.zeros(cohort.plan)
    mail: dict[str, dict[int, bytes]] = {holder: {} for holder in cohort.trustees}
    contributors: set[str] = set()
    asked = request(cohort, UPLOAD, cohort.banks)
    for bank, payload in opened(cohort, asked, (yield asked)):
        seeds, share = split_upload(cohort, payload)
        total += ring.from_bytes(cohort.plan, share)
        for holder, sealed in zip(cohort.trustees, seeds, strict=True):
            mail[holder][cohort.banks.index(bank)] = sealed
        contributors.add(bank)
    require_threshold(cohort, contributors)

    asked = Stage(
        SUM_SHARES, {h: seal(cohort, SUM_SHARES, AGGREGATOR, h, encode_table(mail[h])) for h in cohort.trustees}
    )
    silent = set(cohort.trustees)
    for holder, payload in opened(cohort, asked, (yield asked)):
        total += ring.from_bytes(cohort.plan, payload)
        silent.remove(holder)
    if silent:
        raise DropoutError(f"{', '.join(sorted(silent))} did not answer; without all shares repeat the round")
    return SecureSum(ring.to_integers(cohort.plan, total), frozenset(contributors))
