"""The schemes by name: the one place where a name becomes a protocol. A new one is a folder, and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from secure_fl.errors import PlanError
from secure_fl.secagg import plaintext
from secure_fl.secagg.additive import deployment as additive
from secure_fl.secagg.budget import Committee, HePlan, Plan
from secure_fl.secagg.he import deployment as he
from secure_fl.secagg.masked import deployment as masked
from secure_fl.secagg.scheme import Scheme
from secure_fl.secagg.witnessed.deployment import with_witnesses

SCHEMES: Mapping[str, Scheme] = {
    scheme.name: scheme for scheme in (plaintext.SCHEME, additive.SCHEME, masked.SCHEME, he.CKKS, he.BFV, he.RLWE)
}
"""Every scheme by its name."""


def scheme_of(name: str, committee: Committee | None = None, witnesses: int = 0) -> Scheme:
    """The scheme, with a committee or with witnesses where they are asked for. Raises `PlanError` where it has none."""
    scheme = SCHEMES[name]
    if committee is not None:
        if witnesses:
            raise PlanError("holders of a committee see for themselves what they open; leave out witnesses or holders")
        if scheme.with_committee is None:
            able = ", ".join(each.name for each in SCHEMES.values() if each.with_committee is not None)
            raise PlanError(f"{name} has no committee of holders; leave out holders and quorum, or use {able}")
        return scheme.with_committee(committee)
    if witnesses:
        if scheme.deploy is not he.HeDeployment:
            able = ", ".join(each.name for each in SCHEMES.values() if each.deploy is he.HeDeployment)
            raise PlanError(f"{name} has no key authority that witnesses could vouch to; leave them out, or use {able}")
        return with_witnesses(scheme, witnesses)
    return scheme


def scheme_for(plan: Plan) -> Scheme:
    """The scheme that a plan is of, with its committee or its witnesses."""
    return scheme_of(plan.scheme, plan.committee, plan.witnesses if isinstance(plan, HePlan) else 0)


def called(name: str) -> str:
    """A scheme's name for people, with a word of warning where there is one; an unknown one as it is."""
    return f"{name} (experimental)" if name in SCHEMES and SCHEMES[name].experimental else name
