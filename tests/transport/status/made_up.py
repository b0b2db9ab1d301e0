"""Statuses of federations that never were: each says something that the page must get right."""

from __future__ import annotations

from secure_fl.transport.post import Asked
from secure_fl.transport.roster import Member
from secure_fl.transport.status.snapshot import (
    FinishedRound,
    PartyStatus,
    Phase,
    Place,
    Stage,
    Status,
    Traffic,
    Trouble,
)

NOW = 5_000.0
TRAIN = Asked("model", "", 7, 1, NOW - 42)
MASKED = Asked("ask", "masked_input", 7, 2, NOW - 3)
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7*7 }}</style><b>b</b>"


def party(
    name: str,
    place: Place = "there",
    why: str = "",
    due: Asked | None = None,
    role: str = "bank",
    since: float | None = 600,
) -> PartyStatus:
    return PartyStatus(
        Member(name, role, "00"),  # type: ignore[arg-type]
        place,
        why,
        None if since is None else NOW - since,
        due,
        Traffic(38_211, 41_480),
        Traffic(312_004_119, 2_113_000),
    )


BANKS = tuple(f"bank-{number}" for number in range(1, 6))


def finished(number: int, missing: tuple[str, ...] = (), seconds: float | None = 4.21) -> FinishedRound:
    if not number:
        return FinishedRound(0, (), (), None, Traffic(9_811, 4_016), seconds)
    there = tuple(bank for bank in BANKS if bank not in missing)
    return FinishedRound(number, there, missing, 1 + len(missing), Traffic(1_204_119, 207_400), seconds)


def status(**changes: object) -> Status:
    """Round 7 of 12, in which two banks are slow and one is gone."""
    parties = (
        party("bank-1"),
        party("bank-2", "late", "no sign of it", MASKED, since=9),
        party("bank-3"),
        party("bank-4", "late", "more than half of its time to answer is gone", MASKED, since=34),
        party("bank-5", "absent", "no sign of it", since=95),
        party("key-authority", role="holder"),
    )
    usual = {
        "federation": "9f3c8e1d77ab4c02b1f0d2e94a5c6b7e",
        "scheme": "masked (pairwise masks)",
        "custody": "Banks mask their updates with numbers that cancel in the sum; nobody holds a key that opens one.",
        "dataset": "ulb",
        "rounds": 12,
        "phase": Phase.WORKING,
        "began": NOW - 1_000,
        "ended": False,
        "error": "",
        "resumed": None,
        "round": 7,
        "stage": Stage(MASKED, 4, 2),
        "traffic": Traffic(191_055, 207_400),
        "parties": parties,
        "finished": tuple(finished(number, ("bank-5",) if number > 4 else ()) for number in range(7)),
        "troubles": (
            Trouble(5, 6, "bank-5", "it is not there", NOW - 90, 2),
            Trouble(7, 7, "", "too few banks are there (bank-5: it is not there); wait for more of them", NOW - 50),
        ),
        "turned_away": {"not in the roster": 3, "too slow": 1},
    }
    return Status(**{**usual, **changes})  # type: ignore[arg-type]


def gathering() -> Status:
    parties = (
        party("bank-1"),
        *(party(name, "absent", "it has not come yet", since=12) for name in ("bank-2", "key-authority")),
    )
    return status(
        phase=Phase.GATHERING, round=None, stage=None, parties=parties, finished=(), troubles=(), turned_away={},
        traffic=Traffic(),
    )  # fmt: skip


def over() -> Status:
    last = Asked("finished", "", None, None, NOW - 4)
    parties = (
        party("bank-1", "done", since=3),
        party("bank-2", due=last),
        party("bank-3", "revoked", "its certificate opens no door", since=None),
    )
    rounds = tuple(map(finished, range(13)))
    return status(phase=Phase.OVER, round=None, stage=Stage(last, 2, 1), parties=parties, finished=rounds, troubles=())


def given_up() -> Status:
    return status(phase=Phase.GIVEN_UP, ended=True, error="only 2 of 5 banks contributed; wait for more banks")


def restarted() -> Status:
    rounds = tuple(finished(number, seconds=None if number < 6 else 3.9) for number in range(7))
    return status(resumed=5, finished=rounds, stage=Stage(TRAIN, 5, 0), troubles=())


def hostile() -> Status:
    """Whatever parties or people can name."""
    return status(
        federation=HOSTILE,
        scheme=HOSTILE,
        custody=HOSTILE,
        dataset=HOSTILE,
        error=HOSTILE,
        stage=Stage(Asked("ask", HOSTILE, 7, 1, NOW), 1, 0),
        parties=(party(HOSTILE, "late", HOSTILE, Asked(HOSTILE, "", 7, 1, NOW)),),
        finished=(FinishedRound(1, (HOSTILE,), (HOSTILE,), 1, Traffic(), 1.0),),
        troubles=(Trouble(1, 1, HOSTILE, HOSTILE, NOW),),
        turned_away={HOSTILE: 1},
    )


def crowded() -> Status:
    """200 banks with long names, 500 rounds, and many troubles."""
    names = tuple(f"a-bank-whose-name-is-as-long-as-this-one-{number}" for number in range(200))
    return status(
        rounds=500,
        round=400,
        parties=tuple(party(name, "late" if n % 7 else "there", "no sign", TRAIN) for n, name in enumerate(names)),
        finished=tuple(FinishedRound(n, names, names[:9], 3, Traffic(10**9, 10**8), 71.0) for n in range(400)),
        troubles=tuple(Trouble(n, n, names[n], "its answer cannot be read " * 8, NOW - n) for n in range(90)),
    )  # fmt: skip


ALL = {
    "working": status,
    "gathering": gathering,
    "over": over,
    "given up": given_up,
    "restarted": restarted,
    "hostile": hostile,
    "crowded": crowded,
}
