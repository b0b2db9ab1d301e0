"""Settings of an endpoint: what is refused before anything is sent, and that nothing shows the key."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from secure_fl.data.synthetic.answers import Answer
from secure_fl.data.synthetic.asking import Asker, Patience
from secure_fl.data.synthetic.budget import Budget, BudgetError, Limits
from secure_fl.data.synthetic.cache import AnswerCache
from secure_fl.data.synthetic.endpoint import (
    BrokenError,
    BusyError,
    Endpoint,
    Line,
    SilentError,
    TokenLimit,
    UnreadableError,
    UnsupportedError,
    _meaning,
    _retry_after,
)
from secure_fl.data.synthetic.generator import GeneratorSettings, require_count
from secure_fl.data.synthetic.prompts import FORMATS, Format, Prompt, prompt
from secure_fl.errors import ConfigurationError, SyntheticError

KEY = "sk-canary-8c02bb71"
GOOD = {"OPENAI_API_KEY": KEY, "OPENAI_MODEL": "m", "OPENAI_BASE_URL": "https://llm.example/v1"}


def test_no_representation_shows_the_key_or_the_address() -> None:
    endpoint = Endpoint.from_environment(GOOD | {"OPENAI_API_KEY": f" {KEY}\n"})
    assert endpoint.key.get_secret_value() == KEY
    for text in (repr(endpoint), str(endpoint), f"{endpoint}", str(dataclasses.asdict(endpoint))):
        assert KEY not in text
        assert "llm.example" not in text


def test_without_an_address_it_is_openai() -> None:
    endpoint = Endpoint.from_environment({**GOOD, "OPENAI_BASE_URL": ""})
    assert endpoint.base_url.get_secret_value() == "https://api.openai.com/v1"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"OPENAI_API_KEY": ""}, "lacks OPENAI_API_KEY;"),
        ({"OPENAI_MODEL": " "}, "lacks OPENAI_MODEL;"),
        ({"OPENAI_MODEL": "", "OPENAI_API_KEY": ""}, "lacks OPENAI_API_KEY and OPENAI_MODEL;"),
        ({"OPENAI_API_KEY": f"{KEY}\r\nX-Evil: 1"}, "OPENAI_API_KEY holds blanks or characters"),
        ({"OPENAI_API_KEY": f"{KEY}\u2026"}, "OPENAI_API_KEY holds blanks or characters"),
        ({"OPENAI_MODEL": "m\x1b[2J"}, "OPENAI_MODEL is not the name"),
        ({"OPENAI_BASE_URL": "llm.example/v1"}, "no address of the form"),
        ({"OPENAI_BASE_URL": "https://llm.example:port/v1"}, "no address of the form"),
        ({"OPENAI_BASE_URL": "file:///etc/passwd"}, "no address of the form"),
        ({"OPENAI_BASE_URL": f"https://me:{KEY}@llm.example/v1"}, "holds credentials"),
        ({"OPENAI_BASE_URL": f"https://llm.example/v1?key={KEY}"}, "holds credentials"),
        ({"OPENAI_BASE_URL": "http://llm.example/v1"}, "would travel in the clear"),
        ({"OPENAI_BASE_URL": "http://127.0.0.1.llm.example/v1"}, "would travel in the clear"),
    ],
)
def test_what_cannot_work_or_is_unsafe_is_refused_without_quoting_it(changes: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        Endpoint.from_environment(GOOD | changes)
    assert KEY not in str(caught.value)
    assert "llm.example" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"OPENAI_BASE_URL": "http://127.0.0.1:8080/v1"},
        {"OPENAI_BASE_URL": "http://localhost:8080/v1"},
        {"OPENAI_BASE_URL": "http://[::1]:8080/v1"},
        {"OPENAI_BASE_URL": "http://llm.example/v1", "OPENAI_API_KEY": "none"},
    ],
)
def test_plain_http_is_for_this_machine_or_for_no_key(changes: dict[str, str]) -> None:
    Endpoint.from_environment(GOOD | changes)


@pytest.mark.parametrize(
    "settings",
    [
        {"batch": 0},
        {"batch": 21},
        {"tokens_per_pattern": 1},
        {"timeout": 0.0},
        {"timeout": math.nan},
        {"temperature": 3.0},
        {"fruitless": 0},
        {"unread": 0},
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        GeneratorSettings(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "limits",
    [{"tokens": 0}, {"cost": 1.0}, {"cost": -1.0, "prompt_price": 1.0}, {"prompt_price": math.nan}, {"cost": math.inf}],
)
def test_limits_that_cannot_be_kept_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError):
        Limits(**limits)  # type: ignore[arg-type]


def test_the_budget_is_kept_whatever_the_endpoint_reports() -> None:
    budget = Budget(Limits(tokens=5_000))
    reserved = budget.reserve(1_000, 500)
    assert reserved == (1_000, 500)  # one token per byte at most
    budget.settle(reserved, 1_000, (200, 400))
    assert budget.tokens == 600
    assert budget.reserve(1_000, 500) == (250, 500)  # a quarter more than was reported
    budget.settle((250, 500), 1_000, (None, None))
    assert budget.tokens == 1_350
    budget.settle(budget.reserve(1_000, 500), 1_000, (600, 900))
    assert budget.tokens == 2_850
    assert budget.reserve(1_000, 1_400) == (750, 1_400)
    with pytest.raises(BudgetError, match="5001 tokens and the budget is 5000"):
        budget.reserve(1_000, 1_401)


def test_the_cost_is_the_price_of_what_was_used() -> None:
    budget = Budget(Limits(cost=1.0, prompt_price=2.0, completion_price=8.0))
    budget.settle(budget.reserve(1_000, 1_000), 1_000, (100_000, 50_000))
    assert budget.cost == pytest.approx(0.6)
    with pytest.raises(BudgetError, match="raise --max-cost"):
        budget.reserve(10, 50_000)


@pytest.mark.parametrize(
    "changes",
    [
        {"OPENAI_BASE_URL": "https://me@llm.example/v1"},
        {"OPENAI_BASE_URL": f"https://:{KEY}@llm.example/v1"},
        {"OPENAI_BASE_URL": "http://10.0.0.1/v1"},
        {"OPENAI_BASE_URL": "http://localhost.llm.example/v1"},
        {"OPENAI_MODEL": "m" * 201},
        {"OPENAI_API_KEY": "two words"},
        {"OPENAI_API_KEY": "bell\a"},
    ],
)
def test_half_of_what_is_unsafe_is_unsafe_too(changes: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        Endpoint.from_environment(GOOD | changes)


def test_names_and_keys_are_taken_without_the_blanks_around_them() -> None:
    endpoint = Endpoint.from_environment(
        {name: f" {value} " for name, value in GOOD.items()} | {"OPENAI_MODEL": "m" * 200}
    )
    assert (endpoint.model, endpoint.key.get_secret_value()) == ("m" * 200, KEY)
    assert endpoint.base_url.get_secret_value() == GOOD["OPENAI_BASE_URL"]


STATUSES: dict[type[SyntheticError], tuple[int, ...]] = {
    SyntheticError: (401, 402, 403, 404, 405, 418, 499),
    BusyError: (408, 409, 429, 503),
    UnsupportedError: (400, 415, 422, 501),
    BrokenError: (500, 502, 504, 599),
}


@pytest.mark.parametrize(("kind", "status"), [(kind, status) for kind, all_ in STATUSES.items() for status in all_])
def test_what_a_status_means(kind: type[SyntheticError], status: int) -> None:
    error = _meaning(status, {"retry-after": "3"}, {"message": KEY})
    assert type(error) is kind
    assert str(status) in str(error)
    assert "; " in str(error)
    assert KEY not in str(error)
    if isinstance(error, BusyError):
        assert error.retry_after == 3.0


def test_the_words_for_what_people_can_do_about_it() -> None:
    for status, words in ((401, "accept the key"), (403, "accept the key"), (402, "no credit"), (404, "no such model")):
        assert words in str(_meaning(status, {}, None))
    assert type(_meaning(429, {}, {"code": "insufficient_quota"})) is SyntheticError
    assert type(_meaning(503, {}, {"code": "insufficient_quota"})) is BusyError
    for said, about_limit in (("max_tokens", True), ("Max_Completion_Tokens", True), ("temperature", False)):
        error = _meaning(400, {}, {"message": f"unknown parameter {said}"})
        assert isinstance(error, UnsupportedError)
        assert error.about_limit is about_limit


def test_how_long_an_endpoint_asks_to_wait() -> None:
    for text, seconds in (("", None), ("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("inf", None), ("nan", None), ("x", None)):
        assert _retry_after({"retry-after": text}) == seconds
    soon = datetime.now(UTC) + timedelta(seconds=100)
    assert _retry_after({"retry-after": format_datetime(soon)}) == pytest.approx(100, abs=5)
    assert _retry_after({"retry-after": format_datetime(soon - timedelta(days=1))}) == 0.0
    assert _retry_after({}) is None


BOUNDS: list[tuple[str, tuple[float, float], tuple[float, float]]] = [
    ("batch", (1, 20), (0, 21)),
    ("tokens_per_pattern", (100, 20_000), (99, 20_001)),
    ("timeout", (0.01, 3600.0), (0.009, 3600.1)),
    ("temperature", (0.0, 2.0), (-0.1, 2.1)),
    ("fruitless", (1, 1000), (0, 1001)),
    ("unread", (1, 1000), (0, 1001)),
]


@pytest.mark.parametrize(("name", "allowed", "refused"), BOUNDS)
def test_settings_go_as_far_as_their_bounds(
    name: str, allowed: tuple[float, float], refused: tuple[float, float]
) -> None:
    for value in allowed:
        GeneratorSettings(**{name: value})  # type: ignore[arg-type]
    for value in refused:
        with pytest.raises(ConfigurationError, match=f"{name} of the generator is"):
            GeneratorSettings(**{name: value})  # type: ignore[arg-type]
    for count in (1, 1000):
        require_count(count)


def test_limits_that_make_sense_are_taken() -> None:
    Limits(tokens=1, cost=0.0, prompt_price=1.0)
    Limits(cost=1.0, completion_price=1.0)
    Limits()
    for wrong in (
        {"prompt_price": -0.1},
        {"completion_price": -0.1},
        {"completion_price": math.inf},
        {"cost": math.nan},
    ):
        with pytest.raises(ConfigurationError, match="negative or not finite"):
            Limits(**{"prompt_price": 1.0, **wrong})  # type: ignore[arg-type]


def test_a_budget_may_be_used_up_exactly() -> None:
    tokens = Budget(Limits(tokens=100))
    assert tokens.reserve(60, 40) == (60, 40)
    cost = Budget(Limits(cost=3.0, prompt_price=1e6, completion_price=0.5e6))
    assert cost.reserve(2, 2) == (2, 2)
    cost.settle((2, 2), 2, (1, 2))
    assert (cost.prompt_tokens, cost.completion_tokens, cost.tokens) == (1, 2, 3)
    assert cost.cost == 2.0
    assert cost.reserve(1, 0) == (1, 0)
    for size, answer in ((2, 0), (0, 3), (1, 1)):
        with pytest.raises(BudgetError, match="budget is 3"):
            cost.reserve(size, answer)


def test_a_reservation_is_rounded_up_and_no_tokenizer_exceeds_a_token_per_byte() -> None:
    budget = Budget()
    budget.settle((1000, 0), 1000, (400, 0))
    assert budget.reserve(3, 0)[0] == 2  # 1.5
    budget.settle((0, 0), 1000, (200, 0))  # the largest share counts, not the last one
    assert budget.reserve(1000, 0)[0] == 500
    budget.settle((0, 0), 1000, (900, 0))
    assert budget.reserve(1000, 0)[0] == 1000
    budget.settle((50, 70), 1000, (0, 0))  # nothing was used, and that was reported
    assert budget.tokens == 1500
    budget.settle((50, 70), 1000, (None, 30))
    assert (budget.prompt_tokens, budget.completion_tokens) == (1550, 30)


def test_waits_double_up_to_the_longest_and_an_endpoint_is_believed() -> None:
    patience = Patience(first_wait=2.0, longest_wait=10.0)
    for attempt, most in enumerate((2.0, 4.0, 8.0, 10.0, 10.0)):
        waits = [patience.wait(attempt, None) for _ in range(200)]
        assert most / 2 <= min(waits) < 0.6 * most
        assert 0.9 * most < max(waits) <= most
    assert patience.wait(3, 0.0) == 0.0
    assert patience.wait(0, 59.0) == 59.0


class Scripted:
    """In the place of a line to an endpoint: what it answers, or raises, in turn; records how it was asked."""

    def __init__(self, *replies: SyntheticError | tuple[int | None, int | None]) -> None:
        self.endpoint, self.replies = Endpoint.from_environment(GOOD), list(replies)
        self.asked: list[tuple[str, str]] = []

    def send(self, _prompt: Prompt, form: Format, _max_tokens: int, limit: TokenLimit) -> Answer:
        self.asked.append((form, limit))
        reply = self.replies.pop(0) if self.replies else (10, 20)
        if isinstance(reply, SyntheticError):
            raise reply
        return Answer(
            text="{}",
            finish_reason="stop",
            refused=False,
            form=form,
            prompt_tokens=reply[0],
            completion_tokens=reply[1],
        )


@dataclass
class Asking:
    line: Scripted
    budget: Budget
    waits: list[float]
    asker: Asker

    def ask(self, number: int) -> bool:
        return self.asker.ask(prompt(number, 1), 100).cached

    def forms(self) -> list[str]:
        forms = [form for form, _ in self.line.asked]
        self.line.asked.clear()
        return forms


def asking(folder: Path, *replies: SyntheticError | tuple[int | None, int | None], **patience: float) -> Asking:
    line, budget, waits = Scripted(*replies), Budget(Limits(prompt_price=1e6, completion_price=1e9)), list[float]()
    settings = Patience(**patience)  # type: ignore[arg-type]
    return Asking(line, budget, waits, Asker(line, budget, AnswerCache(folder), settings, waits.append))  # type: ignore[arg-type]


REFUSED, BROKEN, SILENT = UnsupportedError("no", False), BrokenError("broken"), SilentError("silent")
UNREADABLE = UnreadableError("unreadable")


def test_what_the_endpoint_reports_is_booked_by_its_kind(tmp_path: Path) -> None:
    asked = asking(tmp_path, (7, 3))
    assert not asked.ask(0)
    assert (asked.budget.prompt_tokens, asked.budget.completion_tokens) == (7, 3)
    assert asked.budget.cost == 7 + 3000
    assert asked.ask(0)
    assert asked.budget.tokens == 10


@pytest.mark.parametrize("paid", [SILENT, UNREADABLE], ids=["silent", "unreadable"])
def test_no_answer_costs_all_that_was_reserved(tmp_path: Path, paid: SyntheticError) -> None:
    asked = asking(tmp_path, paid, (7, 3))
    asked.ask(0)
    request = prompt(0, 1)
    size = len(json.dumps([request.messages("json_schema"), request.schema]).encode())
    assert (asked.budget.prompt_tokens, asked.budget.completion_tokens) == (7 + size, 3 + 100)
    assert len(asked.waits) == 1


@pytest.mark.parametrize("attempts", [1, 3])
def test_an_endpoint_is_asked_as_often_as_said(tmp_path: Path, attempts: int) -> None:
    busy = asking(tmp_path, *[BusyError("busy")] * 9, attempts=attempts, paid_attempts=7)
    silent = asking(tmp_path, *[SILENT] * 9, attempts=7, paid_attempts=attempts)
    for asked in (busy, silent):
        with pytest.raises((BusyError, SilentError)):
            asked.ask(0)
        assert len(asked.line.asked) == attempts
        assert len(asked.waits) == attempts - 1
    broken = asking(tmp_path, *[BROKEN] * 20, attempts=attempts, broken_attempts=2)
    with pytest.raises(BrokenError):
        broken.ask(9)
    assert broken.forms() == ["json_schema"] * 2 + ["json_object"] * 2 + ["plain"] * attempts


def test_what_may_be_charged_for_is_tried_twice_for_a_prompt_whatever_it_is(tmp_path: Path) -> None:
    for number, (first, second) in enumerate(itertools.product((SILENT, UNREADABLE), repeat=2)):
        asked = asking(tmp_path / str(number), first, BusyError("busy"), second)
        with pytest.raises(type(second)):
            asked.ask(0)
        assert len(asked.line.asked) == 3
        asked.line.replies = [second]
        assert not asked.ask(1), "another prompt has tries of its own"


def test_the_second_try_after_an_unreadable_answer_is_in_the_next_form_where_there_is_one(tmp_path: Path) -> None:
    asked = asking(tmp_path, UNREADABLE, (1, 1), UNREADABLE, (1, 1), (1, 1))
    for number in range(3):
        asked.ask(number)
    assert asked.forms() == ["json_schema", "json_object", "json_schema", "json_object", "json_object"]
    last = asking(tmp_path, REFUSED, REFUSED, UNREADABLE, UNREADABLE)
    with pytest.raises(UnreadableError):
        last.ask(3)
    assert last.forms() == ["json_schema", "json_object", "plain", "plain"]
    assert len(last.waits) == 1


def test_an_endpoint_may_ask_for_the_longest_wait_and_no_more(tmp_path: Path) -> None:
    asked = asking(tmp_path, BusyError("busy", 60.0), BusyError("busy", 0.0))
    asked.ask(0)
    assert asked.waits == [60.0, 0.0]
    with pytest.raises(SyntheticError, match="asks to wait for 61 s"):
        asking(tmp_path, BusyError("busy", 61.0)).ask(1)


def test_a_refused_form_is_given_up_at_once_and_a_broken_one_at_the_second_doubt(tmp_path: Path) -> None:
    asked = asking(tmp_path, REFUSED, broken_attempts=1)
    asked.ask(0)
    asked.ask(1)
    assert asked.forms() == ["json_schema", "json_object", "json_object"]
    doubtful = asking(tmp_path, BROKEN, (1, 1), (1, 1), BROKEN, (1, 1), broken_attempts=1)
    for number in range(2, 6):
        doubtful.ask(number)
    assert doubtful.forms() == [
        *["json_schema", "json_object"],
        "json_schema",
        *["json_schema", "json_object"],
        "json_object",
    ]
    doubtful.line.replies = [BROKEN, (1, 1), (1, 1)]
    doubtful.ask(6)
    doubtful.ask(7)
    assert doubtful.forms() == ["json_object", "plain", "json_object"], "two doubts more are needed for the next form"
    mixed = asking(tmp_path, REFUSED, BROKEN, (1, 1), broken_attempts=1)
    mixed.ask(8)
    mixed.ask(9)
    assert mixed.forms() == ["json_schema", "json_object", "plain", "json_schema"]


def test_the_older_name_of_the_limit_is_tried_once(tmp_path: Path) -> None:
    about = UnsupportedError("no", True)
    asked = asking(tmp_path, about)
    asked.ask(0)
    asked.ask(1)
    assert [limit for _, limit in asked.line.asked] == ["max_completion_tokens", "max_tokens", "max_tokens"]
    stubborn = asking(tmp_path, *[about] * 9)
    with pytest.raises(UnsupportedError):
        stubborn.ask(2)
    assert len(stubborn.line.asked) == 1 + len(FORMATS)


def test_an_answer_is_found_by_all_that_it_depends_on(tmp_path: Path) -> None:
    cache, request = AnswerCache(tmp_path), prompt(0, 1)
    answer = Answer(
        text="{}", finish_reason="stop", refused=False, form="plain", prompt_tokens=1, completion_tokens=None
    )
    cache.store(request, "m", 100, answer)
    assert cache.find(request, "m", "plain", 100) == answer
    for other in (
        (prompt(1, 1), "m", "plain", 100),
        (prompt(0, 2), "m", "plain", 100),
        (request, "n", "plain", 100),
        (request, "m", "json_object", 100),
        (request, "m", "plain", 101),
    ):
        assert cache.find(*other) is None
    (path,) = tmp_path.iterdir()
    for damaged in (b"", b"{}", path.read_bytes()[:-3], b"\xff"):
        path.write_bytes(damaged)
        assert cache.find(request, "m", "plain", 100) is None


def test_the_cache_of_another_form_of_patterns_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, request = AnswerCache(tmp_path), prompt(0, 1)
    answer = Answer(text="{}", finish_reason="stop", refused=False, form="plain", prompt_tokens=1, completion_tokens=1)
    cache.store(request, "m", 100, answer)
    with monkeypatch.context() as changed:
        changed.setattr("secure_fl.data.synthetic.cache.SCHEMA_VERSION", 2)
        assert cache.find(request, "m", "plain", 100) is None
    with monkeypatch.context() as changed:
        changed.setattr(Prompt, "schema", {"another": "form"})
        assert cache.find(request, "m", "json_schema", 100) is None
    monkeypatch.setenv("SECURE_FL_CACHE", str(tmp_path / "mine"))
    assert AnswerCache.of_user().folder == tmp_path / "mine" / "synthetic"


def test_every_request_asks_for_the_next_kinds_of_fraud() -> None:
    """Twenty kinds, in eight turns each, before anything comes again."""
    lines = [line for number in range(80) for line in prompt(number, 2).task.splitlines()[1:]]
    kinds = [line.partition(". ")[2] for line in lines]
    assert len(set(kinds)) == 160
    assert len({kind.rpartition(", ")[0] for kind in kinds[:20]}) == 20
    assert {kind.rpartition(", ")[2] for kind in kinds[:20]} == {"as it is usually seen"}
    assert [line.partition(". ")[0] for line in lines[:4]] == ["1", "2", "1", "2"]
    assert prompt(80, 2).task.splitlines()[1:] == prompt(0, 2).task.splitlines()[1:]
    assert prompt(4, 1).task.startswith("Write one pattern (request 5):\n")
    assert prompt(0, 2).task.startswith("Write 2 patterns, each unlike the others (request 1):\n")


@pytest.mark.parametrize("temperature", [None, 0.0, 1.5])
@pytest.mark.parametrize("limit", ["max_completion_tokens", "max_tokens"])
def test_a_request_holds_all_that_was_asked_for_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, temperature: float | None, limit: TokenLimit
) -> None:
    bodies: list[dict[str, Any]] = []
    answered = b'{"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 5}}'

    def exchange(_: Line, body: dict[str, Any]) -> bytes:
        bodies.append(body)
        return answered

    monkeypatch.setattr(Line, "_exchange", exchange)
    request = prompt(0, 2)
    forms: dict[Format, Any] = {
        "json_schema": {
            "type": "json_schema",
            "json_schema": {"name": "fraud_patterns", "strict": True, "schema": request.schema},
        },
        "json_object": {"type": "json_object"},
        "plain": None,
    }
    with Line(Endpoint.from_environment(GOOD), 3.0, temperature) as line:
        for form, response_format in forms.items():
            answer = line.send(request, form, 77, limit)
            assert answer == Answer(
                text="x", finish_reason="stop", refused=False, form=form, prompt_tokens=5, completion_tokens=None
            )
            expected: dict[str, Any] = {"model": "m", "messages": request.messages(form), limit: 77}
            expected |= {} if temperature is None else {"temperature": temperature}
            expected |= {} if response_format is None else {"response_format": response_format}
            assert bodies.pop() == expected


class Streaming:
    """In the place of a client: an answer that comes in parts."""

    def __init__(self, parts: list[bytes]) -> None:
        self.parts = parts
        self.chat = self.completions = self.with_streaming_response = self

    @contextmanager
    def create(self, **_: object) -> Iterator[Streaming]:
        yield self

    def iter_bytes(self) -> Iterator[bytes]:
        yield from self.parts

    def close(self) -> None:
        """Nothing."""


def test_an_answer_may_have_four_megabytes_in_all() -> None:
    line = Line(Endpoint.from_environment(GOOD), 60.0, None)
    for parts, allowed in (([b"a" * 1_000_000] * 4, True), ([b"a" * 1_000_000] * 4 + [b"a"], False)):
        line._client = Streaming(parts)  # type: ignore[assignment]
        if allowed:
            assert line._exchange({}) == b"".join(parts)
        else:
            with pytest.raises(SyntheticError, match="more than 4 MB"):
                line._exchange({})
