"""The generator against a scripted server on a real socket: what a bad answer leads to, and what is kept."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from secure_fl.data import Simulation, simulate
from secure_fl.data.synthetic.command import Spending, Synthesis, synthesize
from secure_fl.data.synthetic.proposals import read_proposals
from secure_fl.errors import ConfigurationError, DataError, SyntheticError
from tests.data.synthetic.drafts import draft

pytestmark = pytest.mark.slow

KEY = "sk-canary-4f1d9a77c2"
Reply = tuple[int, dict[str, str], str] | Callable[[dict[str, Any]], tuple[int, dict[str, str], str]]


def completion(text: str | list[Any] | None, finish: str = "stop", **message: Any) -> tuple[int, dict[str, str], str]:
    """A 200 answer as OpenAI's servers send it."""
    body = {
        "id": "x",
        "object": "chat.completion",
        "choices": [
            {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **message}}
        ],
        "usage": {"prompt_tokens": 400, "completion_tokens": 300, "total_tokens": 700},
    }
    return 200, {}, json.dumps(body)


def written(**changes: Any) -> tuple[int, dict[str, str], str]:
    """A 200 answer with one pattern, changed so that it cannot be used."""
    return completion(json.dumps({"patterns": [draft(1, **changes)]}))


def failure(status: int, message: str = "no", **headers: str) -> tuple[int, dict[str, str], str]:
    return status, headers, json.dumps({"error": {"message": f"{message} {KEY}", "type": "x", "param": None}})


class Script:
    """A chat endpoint that answers with the given replies in turn, then with good patterns, and records everything."""

    def __init__(self, server: HTTPServer) -> None:
        self.replies: list[Reply] = []
        self.requests: list[Request] = []
        self.bodies: list[dict[str, Any]] = []
        self.waits: list[float] = []
        self.written = 0
        server.expect_request("/v1/chat/completions", method="POST").respond_with_handler(self.answer)

    def answer(self, request: Request) -> Response:
        self.requests.append(request)
        self.bodies.append(json.loads(request.get_data()))
        reply = self.replies.pop(0) if self.replies else self.good
        status, headers, text = reply(self.bodies[-1]) if callable(reply) else reply
        return Response(text, status, headers, content_type="application/json")

    def good(self, body: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        form = body.get("response_format", {}).get("json_schema")
        wanted = form["schema"]["properties"]["patterns"]["minItems"] if form else 4
        self.written += wanted
        return completion(json.dumps({"patterns": [draft(self.written - k) for k in range(wanted)]}))

    def run(self, count: int, out: Path, **settings: Any) -> Synthesis:
        return synthesize(count, False, out, sleep=self.waits.append, **settings)


@pytest.fixture
def script(httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    monkeypatch.setenv("OPENAI_BASE_URL", httpserver.url_for("/v1"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_MODEL", "scripted")
    monkeypatch.setenv("SECURE_FL_CACHE", str(tmp_path / "cache"))
    return Script(httpserver)


def test_patterns_arrive_in_batches_and_a_repeated_run_asks_for_nothing(script: Script, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    first = script.run(10, tmp_path / "a.json", progress=lambda *step: seen.append(step))
    assert len(first.proposals) == len({proposal.digest for proposal in first.proposals}) == 10
    assert (first.requests, first.tokens, len(script.bodies)) == (3, 2100, 3)
    assert seen == [("patterns", 0, 10), ("patterns", 4, 10), ("patterns", 8, 10), ("patterns", 10, 10)]
    assert {proposal.provenance.label for proposal in first.proposals} == {"language model scripted"}
    again = script.run(10, tmp_path / "b.json")
    assert (again.requests, again.cached, again.tokens, len(script.bodies)) == (0, 3, 0, 3)
    assert again.proposals == first.proposals
    assert read_proposals(tmp_path / "a.json") == read_proposals(tmp_path / "b.json")
    script.run(10, tmp_path / "a.json")
    assert len(read_proposals(tmp_path / "a.json").proposals) == 10


def test_too_many_requests_wait_as_long_as_the_server_says_or_ever_longer(script: Script, tmp_path: Path) -> None:
    script.replies = [failure(429, **{"Retry-After": "7"}), failure(429), failure(429), failure(503)]
    assert len(script.run(4, tmp_path / "p.json").proposals) == 4
    assert script.waits[0] == 7
    for attempt, wait in enumerate(script.waits[1:], start=1):
        assert 2**attempt / 2 <= wait <= 2**attempt


def test_a_retry_after_as_a_date_is_understood_and_a_long_one_ends_the_run(script: Script, tmp_path: Path) -> None:
    script.replies = [failure(429, **{"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"})]
    script.run(4, tmp_path / "p.json")
    assert script.waits == [0.0]
    script.replies = [failure(429, **{"Retry-After": "86400"})]
    with pytest.raises(SyntheticError, match=r"asks to wait for 86400 s: 4 of 5 .*; repeat after that"):
        script.run(5, tmp_path / "p.json")


def test_an_endpoint_that_stays_busy_is_given_up(script: Script, tmp_path: Path) -> None:
    script.replies = [failure(429)] * 9
    with pytest.raises(SyntheticError, match="429"):
        script.run(4, tmp_path / "p.json")
    assert len(script.bodies) == 5
    assert not (tmp_path / "p.json").exists()


def test_no_credit_and_a_wrong_key_are_not_tried_again(script: Script, tmp_path: Path) -> None:
    for reply, words in (
        ((429, {}, json.dumps({"error": {"code": "insufficient_quota"}})), "no credit left"),
        (failure(401), r"does not accept the key \(401\); check OPENAI_API_KEY"),
        (failure(404), "check OPENAI_MODEL and OPENAI_BASE_URL"),
        ((302, {"Location": "http://127.0.0.1:9/steal"}, ""), "status 302"),
    ):
        script.replies, script.bodies = [reply], []
        with pytest.raises(SyntheticError, match=words):
            script.run(4, tmp_path / "p.json")
        assert len(script.bodies) == 1
    assert script.waits == []


def test_a_passing_500_does_not_cost_the_schema(script: Script, tmp_path: Path) -> None:
    script.replies = [failure(500)]
    script.run(8, tmp_path / "p.json")
    assert [body["response_format"]["type"] for body in script.bodies] == ["json_schema"] * 3
    script.bodies, script.replies = [], [failure(500), failure(500)]
    script.run(20, tmp_path / "p.json", batch=5)
    forms = [body["response_format"]["type"] for body in script.bodies]
    assert forms == ["json_schema", "json_schema", "json_object", *["json_schema"] * 4]


@pytest.mark.parametrize("status", [400, 422, 500, 501])
@pytest.mark.parametrize("known", ["json_object", "plain"])
def test_the_form_goes_down_the_ladder(script: Script, tmp_path: Path, status: int, known: str) -> None:
    numbers = iter(range(100))

    def reply(body: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        form = body.get("response_format", {"type": "plain"})["type"]
        if form != known:
            return failure(status)
        assert "The JSON schema of the answer" in body["messages"][0]["content"]
        text = json.dumps({"patterns": [draft(next(numbers))]})
        return completion(f"```json\n{text}\n```" if known == "plain" else text)

    script.replies = [reply] * 40
    assert len(script.run(6, tmp_path / "p.json", batch=1).proposals) == 6
    forms = [body.get("response_format", {"type": "plain"})["type"] for body in script.bodies]
    assert forms[-4:] == [known] * 4
    asked = len(script.bodies)
    again = script.run(6, tmp_path / "q.json", batch=1)
    assert (again.requests, len(script.bodies)) == (0, asked)


def test_a_server_that_refuses_every_form_is_named(script: Script, tmp_path: Path) -> None:
    script.replies = [failure(400)] * 3
    with pytest.raises(SyntheticError, match=r"refuses the request in every form \(400\)"):
        script.run(4, tmp_path / "p.json")
    script.replies = [failure(500)] * 9
    with pytest.raises(SyntheticError, match=r"failed \(500\) again and again"):
        script.run(4, tmp_path / "p.json")


def test_an_older_server_gets_the_older_name_of_the_limit(script: Script, tmp_path: Path) -> None:
    script.replies = [failure(400, "unknown parameter max_completion_tokens")]
    script.run(8, tmp_path / "p.json")
    assert "max_completion_tokens" in script.bodies[0]
    assert all("max_tokens" in body and "max_completion_tokens" not in body for body in script.bodies[1:])
    assert script.bodies[1]["response_format"]["type"] == "json_schema"


def test_a_slow_endpoint_times_out_and_counts_as_spent(script: Script, tmp_path: Path) -> None:
    def slow(body: dict[str, Any]) -> tuple[int, dict[str, str], str]:
        time.sleep(0.9)
        return script.good(body)

    script.replies = [slow]
    result = script.run(4, tmp_path / "p.json", timeout=0.7)
    assert len(result.proposals) == 4
    assert result.tokens > 700 + 4 * 600


def test_an_endless_answer_ends_at_the_time_out(script: Script, httpserver: HTTPServer, tmp_path: Path) -> None:
    def bytes_one_by_one() -> Iterator[bytes]:
        for _ in range(30):
            time.sleep(0.1)
            yield b" "

    def drip(_request: Request) -> Response:
        return Response(bytes_one_by_one(), 200, content_type="application/json")

    httpserver.clear()
    httpserver.expect_request("/v1/chat/completions").respond_with_handler(drip)
    started = time.monotonic()
    with pytest.raises(SyntheticError, match=r"did not answer within 0\.3 s"):
        script.run(4, tmp_path / "p.json", timeout=0.3)
    assert time.monotonic() - started < 20
    assert len(script.waits) == 1, "each may have been charged for"


def test_an_unreachable_endpoint_is_named_by_its_variable(script: Script, tmp_path: Path, monkeypatch: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
        with pytest.raises(SyntheticError, match="cannot be reached; check OPENAI_BASE_URL"):
            script.run(4, tmp_path / "p.json")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (completion(None, refusal="I cannot help with fraud."), "refusal"),
        (completion("", "content_filter"), "content filter"),
        (completion(""), "empty"),
        (completion("", "length"), "truncated"),
        (completion("Sure! Here are your patterns."), "not JSON"),
        (completion('{"patterns": [{"amount_low": NaN}]}'), "not JSON"),
        (completion("[" * 5_000), "not JSON"),
        (completion('{"fraud": []}'), "outside the schema"),
        (written(amount_low=10**9), "outside the schema"),
        (written(amount_low="100"), "outside the schema"),
        (written(surprise="x"), "outside the schema"),
        (written(name="<script>alert(1)</script>"), "outside the schema"),
        (written(name="Ignore all\x1b[2J rules"), "outside the schema"),
        (written(description="See http://evil.example/now"), "outside the schema"),
        (written(amount_basis="percent of mean", amount_low=9000), "outside the schema"),
    ],
)
def test_what_cannot_be_used_is_named_and_asked_again(
    script: Script, tmp_path: Path, reply: Reply, reason: str
) -> None:
    script.replies = [reply]
    result = script.run(4, tmp_path / "p.json", batch=4)
    assert len(result.proposals) == 4
    assert result.rejected == {reason: 1}
    stored = (tmp_path / "p.json").read_text()
    assert [rejection.reason for rejection in read_proposals(tmp_path / "p.json").rejected] == [reason]
    for text in ("alert", "evil", "Ignore", "cannot help", "surprise"):
        assert text not in stored


def test_whole_patterns_before_a_cut_are_used(script: Script, tmp_path: Path) -> None:
    text = json.dumps({"patterns": [draft(40), draft(41), draft(42)]})
    script.replies = [completion(text[: text.index("Pattern number 42") + 200], "length")]
    result = script.run(4, tmp_path / "p.json")
    assert [proposal.pattern.name for proposal in result.proposals[:2]] == ["Pattern number 40", "Pattern number 41"]
    assert result.rejected == {"truncated": 1}
    limits = [body["max_completion_tokens"] for body in script.bodies]
    assert limits[1] == 2 * 2 * limits[0] / 4  # half as many patterns, twice the room for each


def test_one_bad_pattern_does_not_spoil_the_others_and_doubles_are_asked_again(script: Script, tmp_path: Path) -> None:
    bad = [draft(900), draft(901, hours=0), draft(900, name="Another name"), draft(900, amount_low=402)]
    script.replies = [completion(json.dumps({"patterns": bad}))]
    result = script.run(4, tmp_path / "p.json")
    assert len(result.proposals) == 4
    assert result.rejected == {"outside the schema": 1, "duplicate": 2}


def test_a_further_check_can_reject(script: Script, tmp_path: Path) -> None:
    seen: list[str] = []

    def check(pattern: Any) -> str | None:
        seen.append(pattern.name)
        return "the amount is odd" if len(seen) == 2 else None

    result = script.run(4, tmp_path / "p.json", check=check)
    assert result.rejected == {"implausible": 1}
    assert seen[1] not in {proposal.pattern.name for proposal in result.proposals}


def test_a_model_that_never_writes_a_pattern_is_given_up(script: Script, tmp_path: Path) -> None:
    script.replies = [completion("no")] * 50
    with pytest.raises(SyntheticError, match=r"2 answers in a row could not be read \(not JSON\); use another model"):
        script.run(4, tmp_path / "p.json")
    assert len(script.bodies) == 2
    script.replies = []
    result = script.run(4, tmp_path / "p.json")
    assert (result.cached, len(result.proposals)) == (2, 4)


@pytest.mark.parametrize(
    ("unreadable", "reason"),
    [
        (completion(None, refusal="no"), "refusal"),
        (completion([{"type": "refusal", "refusal": "no"}]), "refusal"),
        (completion([{"type": "thinking", "thinking": "hm"}]), "empty"),
        (completion("<think>a while"), "not JSON"),
        (completion('{"patterns": []} or {"patterns": [1]}'), "several answers"),
        (completion("[]"), "outside the schema"),
        (completion('{"patterns": []}'), "empty"),
    ],
)
def test_two_answers_that_cannot_be_read_are_enough(
    script: Script, tmp_path: Path, unreadable: Reply, reason: str
) -> None:
    script.replies = [unreadable, lambda body: script.good(body), unreadable, unreadable, unreadable]
    with pytest.raises(SyntheticError, match=rf"2 answers in a row could not be read \({reason}\): 4 of 8 patterns"):
        script.run(8, tmp_path / "p.json")
    assert len(script.bodies) == 4


def test_answers_that_are_read_and_rejected_are_asked_again_more_often(script: Script, tmp_path: Path) -> None:
    script.replies = [written(hours=0)] * 50
    with pytest.raises(SyntheticError, match=r"10 answers in a row held no usable pattern \(outside the schema\)"):
        script.run(4, tmp_path / "p.json")
    assert len(script.bodies) == 10


@pytest.mark.parametrize("text", ["<think>on and on", '{"patterns": [{"name": "A long'])
def test_answers_that_are_cut_get_room_until_there_is_no_more(script: Script, tmp_path: Path, text: str) -> None:
    script.replies = [completion(text, "length")] * 50
    with pytest.raises(SyntheticError, match=r"2 answers in a row could not be read \(truncated\)"):
        script.run(4, tmp_path / "p.json", batch=4)
    limits = [body["max_completion_tokens"] for body in script.bodies]
    assert limits == [2400, 2400, 2400, 4800, 4800]


PATTERN = json.dumps({"patterns": [draft(40)]})


@pytest.mark.parametrize(
    "content",
    [
        f"Here it is:\n{PATTERN}",
        f"<think>Perhaps {json.dumps({'patterns': [draft(41)]})}?</think>\n{PATTERN}",
        f"<think>Easy.\n{PATTERN}",
        f"Easy.</think>{PATTERN}",
        f"Sure!\n```json\n{PATTERN}\n```\nTell me if you need more.",
        [{"type": "text", "text": PATTERN}],
        [{"type": "thinking", "thinking": [{"type": "text", "text": "{}"}]}, {"type": "text", "text": PATTERN}],
        [{"type": "output_text", "text": PATTERN[:50], "annotations": []}, PATTERN[50:]],
    ],
)
def test_an_answer_is_read_in_whatever_it_is_wrapped(script: Script, tmp_path: Path, content: Any) -> None:
    script.replies = [completion(content)]
    result = script.run(1, tmp_path / "p.json")
    assert [proposal.pattern.name for proposal in result.proposals] == ["Pattern number 40"]
    assert (len(script.bodies), result.rejected) == (1, {})


def under_200(error: object, **more: object) -> tuple[int, dict[str, str], str]:
    return 200, {}, json.dumps({"error": error} | more)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (under_200("overloaded"), r"answered with an error under status 200; check OPENAI_MODEL"),
        (under_200({"message": KEY, "code": 502}), r"answered with an error \(502\) under status 200"),
        (under_200({"message": KEY, "code": "429"}, choices=[]), r"answered with an error \(429\) under status 200"),
        (under_200({"code": "rate_limit"}, choices=None), "answered with an error under status 200"),
        ((200, {}, f"<html>{KEY}</html>"), "is no chat completion; check that OPENAI_BASE_URL"),
        ((200, {}, '{"choices": []}'), "is no chat completion"),
        ((200, {}, '{"detail": "no"}'), "is no chat completion"),
        ((200, {}, ""), "is no chat completion"),
        (completion({"text": "x"}), "is no chat completion"),  # type: ignore[arg-type]
    ],
)
def test_an_error_under_status_200_is_paid_for_twice_at_most(
    script: Script, tmp_path: Path, reply: Reply, words: str
) -> None:
    script.replies = [reply] * 50
    with pytest.raises(SyntheticError, match=words) as caught:
        script.run(4, tmp_path / "p.json")
    assert KEY not in str(caught.value)
    assert [body["response_format"]["type"] for body in script.bodies] == ["json_schema", "json_object"]
    script.replies = [reply]
    script.bodies.clear()
    result = script.run(8, tmp_path / "p.json")
    assert len(result.proposals) == 8
    assert result.tokens > 1400 + 2400, "what may have been charged for counts as spent"
    assert [body["response_format"]["type"] for body in script.bodies] == ["json_schema", "json_object", "json_schema"]


def test_an_error_under_status_200_means_what_its_own_status_means(script: Script, tmp_path: Path) -> None:
    for code, words in ((401, "does not accept the key"), (402, "no credit"), ("404", "check OPENAI_MODEL")):
        script.replies, script.bodies = [under_200({"code": code})], []
        with pytest.raises(SyntheticError, match=words):
            script.run(4, tmp_path / "p.json")
        assert len(script.bodies) == 1
    script.replies, script.bodies = [under_200({"code": 400, "message": "no response_format"})], []
    assert len(script.run(4, tmp_path / "p.json").proposals) == 4
    assert [body["response_format"]["type"] for body in script.bodies] == ["json_schema", "json_object"]


def test_the_budget_ends_the_run_before_it_is_exceeded_and_nothing_is_lost(script: Script, tmp_path: Path) -> None:
    out = tmp_path / "p.json"
    budget = 12_000
    with pytest.raises(
        SyntheticError, match=r"budget is 12000: \d+ of 60 patterns are in .*p.json.*raise --max-tokens"
    ):
        script.run(60, out, spending=Spending(max_tokens_total=budget))
    sent = len(script.bodies)
    assert 700 * sent <= budget < 700 * (sent + 20)
    kept = read_proposals(out).proposals
    assert len(kept) == 4 * sent
    result = script.run(60, out)
    assert result.requests == 15 - sent
    assert result.proposals[: len(kept)] == kept
    with pytest.raises(SyntheticError, match=r"budget is 10: .*raise --max-tokens-total"):
        script.run(61, out, spending=Spending(max_tokens_total=10))
    assert len(script.bodies) == 15


def test_a_largest_cost_ends_the_run_too(script: Script, tmp_path: Path) -> None:
    spending = Spending(max_cost=0.02, prompt_price=1.0, completion_price=2.0)
    with pytest.raises(SyntheticError, match="raise --max-cost"):
        script.run(200, tmp_path / "p.json", spending=spending)
    assert 0 < len(script.bodies) * (400 * 1.0 + 300 * 2.0) / 1e6 <= 0.02


def test_an_interrupted_run_keeps_its_patterns(script: Script, tmp_path: Path) -> None:
    def interrupt(_what: str, done: int, _total: int) -> None:
        if done >= 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        script.run(20, tmp_path / "p.json", progress=interrupt)
    assert len(read_proposals(tmp_path / "p.json").proposals) == 8


def test_no_request_holds_a_value_of_a_real_row(script: Script, tmp_path: Path) -> None:
    table = simulate(Simulation(transactions=5_000, fraud_share=0.02, seed=3))
    rng = np.random.default_rng(0)
    components = rng.normal(size=(500, 28))  # as ULB's V1 to V28
    script.replies = [failure(500), failure(429), failure(400), completion("no"), completion("{", "length")]
    script.run(30, tmp_path / "p.json")
    sent = [json.dumps(body) for body in script.bodies]
    assert len(sent) > 10
    private = {*table.text["customer"], *table.text["terminal"]}
    private |= {f"{amount:.2f}" for amount in table.numeric["amount"] if amount != round(amount)} - {"12.50"}
    private |= {str(int(time)) for time in table.numeric["time"] if time > 500_000}
    private |= {f"{value:.6f}" for value in components.ravel()}
    for body in sent:
        assert not [value for value in private if value in body]
    import secure_fl.data.synthetic.prompts as prompts

    assert prompts.prompt.__annotations__ == {"number": "int", "patterns": "int", "return": "Prompt"}


def test_the_key_is_in_the_authorization_header_and_nowhere_else(
    script: Script, tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    errors = []
    for reply in (failure(401), failure(404), failure(418), (200, {}, f"<html>{KEY}</html>"), completion(KEY)):
        script.replies = [reply] * 12
        try:
            script.run(3, tmp_path / "p.json")
        except SyntheticError as error:
            errors.append(f"{error!r} {error.__cause__!r} {error.__context__!r}")
    assert len(errors) == 5
    script.replies = []
    script.run(3, tmp_path / "p.json")
    for request, body in zip(script.requests, script.bodies, strict=True):
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        assert KEY not in str([value for name, value in request.headers.items() if name != "Authorization"])
        assert KEY not in json.dumps(body) + request.url
    cache = {path: path.read_text() for path in (tmp_path / "cache").rglob("*.json")}
    for path in [path for path, text in cache.items() if KEY in text]:
        assert f'"text":"{KEY}"' in cache.pop(path)  # the scripted model itself wrote it there
    written = [*cache.values(), (tmp_path / "p.json").read_text(), *errors, caplog.text, *capfd.readouterr()]
    assert not [text for text in written if KEY in text]


def test_what_is_missing_in_the_environment_is_named(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ConfigurationError, match=r"lacks OPENAI_API_KEY;.*OPENAI_MODEL.*OPENAI_BASE_URL.*--built-in"):
        script.run(3, tmp_path / "p.json")
    assert not (tmp_path / "p.json").exists()
    assert script.bodies == []


def test_a_file_that_holds_something_else_is_not_touched(script: Script, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"mine": 1}')
    with pytest.raises(DataError, match="is no file of proposals"):
        script.run(3, tmp_path / "p.json")
    assert (tmp_path / "p.json").read_text() == '{"mine": 1}'
    assert script.bodies == []


@pytest.mark.parametrize("count", [0, -1, 1001])
def test_a_count_that_makes_no_sense_is_refused(script: Script, tmp_path: Path, count: int) -> None:
    with pytest.raises(ConfigurationError, match="count from 1 to 1000"):
        script.run(count, tmp_path / "p.json")


def test_an_unwritable_cache_is_found_out(script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SECURE_FL_CACHE", str(tmp_path / "file"))
    with pytest.raises(SyntheticError, match="set SECURE_FL_CACHE"):
        script.run(3, tmp_path / "p.json")


def test_a_damaged_cache_entry_is_asked_again(script: Script, tmp_path: Path) -> None:
    script.run(4, tmp_path / "p.json")
    for path in (tmp_path / "cache").rglob("*.json"):
        path.write_text(path.read_text()[:50])
    assert script.run(4, tmp_path / "p.json").requests == 1
