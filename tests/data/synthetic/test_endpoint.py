"""Settings of an endpoint: what is refused before anything is sent, and that nothing shows the key."""

from __future__ import annotations

import dataclasses
import math

import pytest

from secure_fl.data.synthetic.budget import Budget, BudgetError, Limits
from secure_fl.data.synthetic.endpoint import Endpoint
from secure_fl.data.synthetic.generator import GeneratorSettings
from secure_fl.errors import ConfigurationError

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
