"""What members of a committee and banks read of a key making: the parts' public halves, and the joint key of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from secure_fl.errors import MessageError
from secure_fl.secagg.budget.threshold import ThresholdPlan
from secure_fl.secagg.hazmat.collective import JointKey
from secure_fl.secagg.threshold.custody import members_of
from secure_fl.secagg.threshold.keys import (
    HASH_BYTES,
    Setting,
    accept_joint_key,
    fingerprint,
    read_published,
)
from secure_fl.transport.key_words import key_name, require_signed, unpack_rows
from secure_fl.transport.roster import Roster


def setting_of(plan: ThresholdPlan, seed: bytes, directory: Mapping[str, bytes]) -> Setting:
    """`directory`: members' X25519 keys; banks need none."""
    return Setting(plan.ring, plan.committee, members_of(plan.committee), seed, directory)


def commitments_in(setting: Setting, rows: Mapping[str, bytes]) -> dict[int, bytes]:
    """By part. Raises `MessageError`."""
    return _by_part(setting, rows, lambda part: HASH_BYTES)


def published_in(setting: Setting, rows: Mapping[str, bytes]) -> dict[int, bytes]:
    """By part. Raises `MessageError`."""
    return _by_part(setting, rows, setting.published_bytes)


def accepted_joint_key(roster: Roster, plan: ThresholdPlan, data: bytes) -> tuple[JointKey, str]:
    """The joint key that a bank was handed, and what orders call it. Raises `MessageError` unless all members signed.

    `data`: the seed, then members' signatures, then what they published, each in the members' order.
    """
    names = members_of(plan.committee)
    seed, *rest = unpack_rows(data, 1 + 2 * len(names))
    setting = setting_of(plan, seed, {})
    published = published_in(setting, dict(zip(names, rest[len(names) :], strict=True)))
    found = fingerprint(read_published(setting, published))
    require_signed(roster, seed, found, dict(zip(names, rest[: len(names)], strict=True)))
    return accept_joint_key(setting, published, dict.fromkeys(names, found)), key_name(seed, found)


def _by_part(setting: Setting, rows: Mapping[str, bytes], size: Callable[[int], int]) -> dict[int, bytes]:
    """What each member sent of the parts that it draws, in their order, cut into so many bytes each."""
    found = {}
    for name, row in rows.items():
        start = 0
        for part in setting.drawn_by(name):
            found[part] = row[start : start + size(part)]
            start += size(part)
        if start != len(row):
            raise MessageError(f"what {name} sent of its parts has the wrong length; make new keys")
    return dict(sorted(found.items()))
