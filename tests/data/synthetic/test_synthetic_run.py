"""Training with synthetic fraud: approved patterns only, in training rows only, and the results say so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from secure_fl import Experiment, run_federation
from secure_fl.chain.signing import fingerprint
from secure_fl.cli.app import app
from secure_fl.data.datasets import open_dataset
from secure_fl.data.synthetic.answers import Rejection
from secure_fl.data.synthetic.budget import Limits
from secure_fl.data.synthetic.command import Spending, Synthesis, synthesize
from secure_fl.data.synthetic.generator import GeneratorSettings
from secure_fl.data.synthetic.leakage import RealRows
from secure_fl.data.synthetic.library import library
from secure_fl.data.synthetic.proposals import add_proposals, read_proposals
from secure_fl.data.synthetic.proposing import synthesize_into
from secure_fl.data.synthetic.review import pattern_json, submit
from secure_fl.data.synthetic.review_line import MACHINE
from secure_fl.data.synthetic.reviewers import ReviewerFiles
from secure_fl.data.synthetic.signing import ReviewerKey
from secure_fl.data.synthetic.store import PatternStore
from secure_fl.data.synthetic.validation import Objection, Verdict, objection
from secure_fl.errors import ConfigurationError, SyntheticError
from secure_fl.report import render

pytestmark = pytest.mark.slow

Small = Callable[..., Experiment]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PatternStore:
    """Four valid patterns of the library, the second and third of them approved, the last rejected."""
    monkeypatch.setenv("SECURE_FL_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("SECURE_FL_REVIEW", str(tmp_path / "own"))
    store = PatternStore.of_user()
    proposals = library(4)
    submit(store, proposals, RealRows.simulated(), np.random.default_rng(1))
    for proposal in proposals[1:3]:
        store.approve(proposal.digest, "A. Reviewer", "plausible")
    store.reject(proposals[3].digest, "A. Reviewer", "seen too often")
    return store


def test_only_approved_patterns_enter_and_only_training_rows(store: PatternStore, small: Small) -> None:
    without, mixed = (
        open_dataset(small(transactions=24_000)),
        open_dataset(small(transactions=24_000, synthetic="approved")),
    )
    assert mixed.synthetic is not None
    assert set(mixed.synthetic.patterns) == {kept.digest for kept in store.read().in_state("approved")}
    for before, after in zip(without.banks, mixed.banks, strict=True):
        assert after.provenance is not None
        real = after.provenance < 0
        assert len(after.train) == len(after.provenance)
        assert after.train.fraud[~real].all()
        assert np.count_nonzero(~real) == int(np.ceil(before.train.fraud.sum() / 2))
        assert np.array_equal(after.train.numeric[real], before.train.numeric)
        assert np.array_equal(after.test.numeric, before.test.numeric)
        assert np.array_equal(after.test.fraud, before.test.fraud)


@pytest.mark.slow
def test_metrics_and_report_say_what_was_added(store: PatternStore, small: Small) -> None:
    result = run_federation(small(transactions=24_000, synthetic="approved", rounds=1))
    synthetic = result.metrics()["synthetic"]
    assert synthetic["review"] == "approved"
    assert synthetic["test_rows"] == 0
    assert synthetic["log_head"] == store.read().head
    assert sum(p["rows"] for p in synthetic["patterns"]) == sum(synthetic["rows"].values()) > 0
    assert "each approved by review" in render(result)
    again = run_federation(Experiment(**result.experiment))
    assert np.array_equal(again.model.weights, result.model.weights)


@pytest.mark.slow
def test_unreviewed_patterns_need_to_be_asked_for_and_are_named(store: PatternStore, small: Small) -> None:
    result = run_federation(small(transactions=24_000, synthetic="unreviewed", rounds=1))
    assert len(result.metrics()["synthetic"]["patterns"]) == 3
    assert "nobody has reviewed</strong>" in render(result)


def test_a_pattern_that_lost_its_approval_is_no_longer_trained_on(store: PatternStore, small: Small) -> None:
    result = run_federation(small(transactions=24_000, synthetic="approved", rounds=1))
    store.reject(library(4)[1].digest, "A. Reviewer", "changed my mind")
    with pytest.raises(ConfigurationError, match="may not be trained on"):
        run_federation(Experiment(**result.experiment))


def test_approvals_count_only_if_their_reviewers_are_trusted(store: PatternStore, small: Small) -> None:
    settings = small(transactions=24_000, synthetic="approved")
    other = PatternStore(store.folder, ReviewerFiles.in_folder(store.folder.parent / "other"))
    other.approve(library(1)[0].digest, "B. Reviewer", "plausible")
    opened = open_dataset(settings).synthetic
    assert opened is not None
    assert set(opened.patterns) == {proposal.digest for proposal in library(4)[1:3]}
    store.own.trust("B. Reviewer", other.own.signer("B. Reviewer").public)
    store.own.distrust("A. Reviewer")
    opened = open_dataset(settings).synthetic
    assert opened is not None
    assert set(opened.patterns) == {library(1)[0].digest}
    store.own.distrust("B. Reviewer")
    with pytest.raises(ConfigurationError, match="no pattern is approved by a reviewer whose key is trusted"):
        open_dataset(settings)


def test_a_run_stops_at_a_log_that_was_cut(store: PatternStore, small: Small) -> None:
    """The rejection of the last pattern is cut off, so that it would be pending again."""
    open_dataset(small(transactions=24_000, synthetic="approved"))
    store.log.path.write_bytes(b"".join(store.log.path.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(SyntheticError, match="was cut or rewritten"):
        open_dataset(small(transactions=24_000, synthetic="unreviewed"))


def test_without_an_approval_nothing_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Small) -> None:
    monkeypatch.setenv("SECURE_FL_STORE", str(tmp_path / "empty"))
    with pytest.raises(ConfigurationError, match="no pattern is approved"):
        run_federation(small(transactions=24_000, synthetic="approved"))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--dataset", "ulb", "--synthetic", "approved"], "principal components"),
        (["--synthetic", "approved", "--epsilon", "3", "--delta", "1e-5"], "DP-SGD does not cover"),
        (["--unreviewed"], "--synthetic approved"),
        (["--synthetic", "some"], "synthetic is refused"),
    ],
)
def test_what_cannot_work_is_refused(arguments: list[str], reason: str) -> None:
    outcome = CliRunner().invoke(app, ["run", *arguments])
    assert isinstance(outcome.exception, ConfigurationError)
    assert reason in str(outcome.exception)


def test_from_the_library_to_an_approval_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECURE_FL_REVIEW", str(tmp_path / "own"))
    runner, folder = CliRunner(), ["--store", str(tmp_path / "store")]

    def call(*arguments: str) -> str:
        outcome = runner.invoke(app, [*arguments, *folder], catch_exceptions=False)
        assert outcome.exit_code == 0
        return outcome.stdout

    said = call("synthesize", "--count", "3", "--built-in", "--out", str(tmp_path / "p.json"))
    assert "built-in library" in said
    assert "3 valid" in said
    digest = library(3)[0].digest
    assert digest[:12] in call("review", "list")
    assert library(3)[0].pattern.name in call("review", "show", digest[:12])
    call("review", "approve", digest[:12], "--name", "A. Reviewer", "--reason", "plausible")
    call("review", "reject", library(3)[1].digest[:12], "--name", "A. Reviewer", "--reason", "too simple")
    assert "2 decided" in call("review", "list") or digest[:12] not in call("review", "list")
    assert "A. Reviewer" in call("review", "log")
    head = PatternStore(tmp_path / "store").read().head
    assert "is the current head" in call("review", "log", "--head", head)
    outcome = runner.invoke(app, ["review", "log", "--head", "1" * 64, *folder])
    assert isinstance(outcome.exception, SyntheticError)
    assert outcome.exception.exit_code == 1


def test_keys_are_made_shown_and_trusted_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def call(*arguments: str) -> str:
        outcome = CliRunner().invoke(app, ["review", *arguments], catch_exceptions=False)
        assert outcome.exit_code == 0
        return outcome.stdout

    monkeypatch.setenv("SECURE_FL_REVIEW", str(tmp_path / "b"))
    shown = call("key", "--name", "B. Reviewer")
    assert call("key", "--name", "B. Reviewer") == shown
    public = shown.split()[0]
    monkeypatch.setenv("SECURE_FL_REVIEW", str(tmp_path / "a"))
    own = call("key", "--name", "A. Reviewer").split()[0]
    assert public in call("trust", "B. Reviewer", public)
    assert [line.split()[0] for line in call("trust").splitlines()] == [own, public]
    call("distrust", "B. Reviewer")
    assert call("trust").split()[0] == own
    assert public not in call("trust")
    secret = (tmp_path / "b" / "reviewer.key").read_text().splitlines()[1]
    assert secret not in shown
    with pytest.raises(ConfigurationError, match="no key is given"):
        CliRunner().invoke(app, ["review", "trust", "B. Reviewer"], catch_exceptions=False)


def recorded(function: str, monkeypatch: pytest.MonkeyPatch, answer: Any = None) -> list[tuple[Any, ...]]:
    """What that function is called with from now on; it answers `answer`, or raises it."""
    calls: list[tuple[Any, ...]] = []

    def stand_in(*positional: Any, **named: Any) -> Any:
        calls.append((*positional, named) if named else positional)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    monkeypatch.setattr(function, stand_in)
    return calls


def some_verdicts() -> tuple[Verdict, ...]:
    sound = (Verdict(proposal.digest) for proposal in library(2))
    return (*sound, Verdict("f" * 64, (Objection("travel", "too far"),)))


def test_what_is_asked_for_reaches_the_model_and_its_patterns_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECURE_FL_REVIEW", str(tmp_path / "own"))
    monkeypatch.chdir(tmp_path)
    done = Synthesis(
        Path("out.json"),
        library(3),
        "language model m",
        {"empty": 2, "refusal": 1},
        requests=4,
        cached=5,
        tokens=6,
        cost=0.5,
    )
    asked = recorded("secure_fl.data.synthetic.proposing.synthesize", monkeypatch, done)
    taken = recorded("secure_fl.data.synthetic.proposing.submit", monkeypatch, some_verdicts())
    add_proposals(tmp_path / "out.json", library(3))
    spending, options = Spending(1, 2.0, 3.0, 4.0), {"batch": 7, "temperature": 0.0, "timeout": 9.0}

    def progress(what: str, so_far: int, total: int) -> None:
        """Nothing."""

    said = synthesize_into(
        3,
        False,
        Path("out.json"),
        tmp_path / "store",
        spending=spending,
        progress=progress,
        **options,  # type: ignore[arg-type]
    )
    named = {"spending": spending, "progress": progress, "check": objection, **options}
    assert asked == [(3, False, Path("out.json"), named)]
    ((store, proposals, *_),) = taken
    assert (store.folder, tuple(proposals)) == (tmp_path / "store", library(3))
    assert said == [
        "out.json: 3 patterns of the language model m",
        "4 requests, 5 answers from the cache, 6 tokens, cost 0.5000",
        "asked again 2 x: empty",
        "asked again 1 x: refusal",
        "new in the store: 2 valid, waiting for secure-fl review; 1 rejected",
        "rejected ffffffffffff: travel: too far",
    ]


def test_the_summary_leaves_out_what_was_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_proposals(tmp_path / "p.json", library(1))
    recorded("secure_fl.data.synthetic.proposing.submit", monkeypatch, ())
    for done, line in (
        (Synthesis(tmp_path / "p.json", library(1), "built-in library"), None),
        (Synthesis(tmp_path / "p.json", library(1), "m", requests=1), "1 requests, 0 answers from the cache, 0 tokens"),
        (Synthesis(tmp_path / "p.json", library(1), "m", cached=1), "0 requests, 1 answers from the cache, 0 tokens"),
    ):
        recorded("secure_fl.data.synthetic.proposing.synthesize", monkeypatch, done)
        said = synthesize_into(1, True, None, tmp_path / "store", spending=Spending(), progress=lambda *_: None)
        assert [text for text in said if "requests" in text] == ([] if line is None else [line])


@pytest.mark.parametrize("out", [None, Path("mine.json")])
def test_a_run_that_ends_early_takes_what_there_is_into_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: Path | None
) -> None:
    monkeypatch.setenv("SECURE_FL_REVIEW", str(tmp_path / "own"))
    monkeypatch.chdir(tmp_path)
    recorded("secure_fl.data.synthetic.proposing.synthesize", monkeypatch, SyntheticError("busy; try later"))
    taken = recorded("secure_fl.data.synthetic.proposing.submit", monkeypatch, ())
    for there in (False, True):
        if there:
            add_proposals(out or Path("proposals.json"), library(2))
        with pytest.raises(SyntheticError, match="busy"):
            synthesize_into(3, False, out, tmp_path / "store", spending=Spending(), progress=lambda *_: None)
        assert [tuple(call[1]) for call in taken] == ([library(2)] if there else [])


def test_a_store_that_does_not_hold_is_found_before_anything_costs(
    store: PatternStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = recorded("secure_fl.data.synthetic.proposing.synthesize", monkeypatch)
    store.log.path.write_bytes(store.log.path.read_bytes()[:-5])
    with pytest.raises(SyntheticError, match="is torn"):
        synthesize_into(3, False, None, store.folder, spending=Spending(), progress=lambda *_: None)
    assert asked == []


def test_settings_of_a_run_reach_the_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are zero too; what is not given is the generator's own."""
    for name, value in (("OPENAI_API_KEY", "none"), ("OPENAI_MODEL", "m"), ("SECURE_FL_CACHE", str(tmp_path))):
        monkeypatch.setenv(name, value)
    for given in ({}, {"batch": 3, "timeout": 4.0, "temperature": 0.0}):
        calls = recorded("secure_fl.data.synthetic.generator.generate", monkeypatch)
        hooks: dict[str, Any] = {"progress": print, "check": objection, "sleep": sum}
        done = synthesize(2, False, tmp_path / "p.json", spending=Spending(1, 2.0, 3.0, 4.0), **hooks, **given)  # type: ignore[arg-type]
        ((count, endpoint, settings, cache, generation, named),) = calls
        assert (count, endpoint.model, cache.folder, named) == (2, "m", tmp_path / "synthetic", hooks)
        assert settings == GeneratorSettings(limits=Limits(1, 2.0, 3.0, 4.0), **given)  # type: ignore[arg-type]
        assert (done.source, done.proposals, done.requests) == ("language model m", (), 0)
        assert not (tmp_path / "p.json").exists()
        assert generation.proposals == []


def test_what_a_generator_got_is_kept_and_counted_whatever_becomes_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("OPENAI_API_KEY", "none"), ("OPENAI_MODEL", "m"), ("SECURE_FL_CACHE", str(tmp_path))):
        monkeypatch.setenv(name, value)
    rejections = [Rejection(reason=r, detail="d", prompt_digest="0" * 64) for r in ("empty", "refusal", "empty")]
    error: BaseException | None = None

    def generate(count: int, *arguments: Any, **_: Any) -> None:
        generation = arguments[3]
        generation.proposals += library()[:got]
        generation.rejections += rejections[:refused]
        generation.requests, generation.cached = 5, 7
        generation.budget.prompt_tokens, generation.budget.completion_tokens = 1000, 2000
        generation.budget.limits = Limits(prompt_price=2.0, completion_price=1.0)
        if isinstance(error, SyntheticError):
            generation.stopped = error
        elif error is not None:
            raise error

    monkeypatch.setattr("secure_fl.data.synthetic.generator.generate", generate)
    got, refused = 2, 3
    done = synthesize(2, False, tmp_path / "a.json")
    assert (done.rejected, done.requests, done.cached) == ({"empty": 2, "refusal": 1}, 5, 7)
    assert (done.tokens, done.cost, done.proposals) == (3000, 0.004, library(2))
    error = SyntheticError("it broke; repeat it")
    with pytest.raises(SyntheticError, match=r"^it broke: 2 of 9 patterns are in .*b.json, .* lost; repeat it$"):
        synthesize(9, False, tmp_path / "b.json")
    error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        synthesize(9, False, tmp_path / "c.json")
    for name in ("b.json", "c.json"):
        kept = read_proposals(tmp_path / name)
        assert kept.proposals == library(2)
        assert [rejection.reason for rejection in kept.rejected] == ["empty", "refusal"]
    got = 0
    with pytest.raises(KeyboardInterrupt):
        synthesize(9, False, tmp_path / "d.json")
    assert [rejection.reason for rejection in read_proposals(tmp_path / "d.json").rejected] == ["empty", "refusal"]
    error = SyntheticError("it broke; repeat it")
    with pytest.raises(SyntheticError, match=r"^it broke; repeat it$"):
        synthesize(9, False, tmp_path / "e.json")


def test_the_library_gives_as_many_as_are_asked_for(tmp_path: Path) -> None:
    done = synthesize(3, True, tmp_path / "p.json")
    assert (done.proposals, done.source, done.path) == (library(3), "built-in library", tmp_path / "p.json")
    assert read_proposals(tmp_path / "p.json").proposals == library(3)


def test_every_review_command_does_what_it_says_in_the_store_that_is_named(
    store: PatternStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECURE_FL_STORE", str(tmp_path / "another"))

    def call(*arguments: str) -> str:
        outcome = CliRunner().invoke(app, ["review", *arguments, "--store", str(store.folder)], catch_exceptions=False)
        assert outcome.exit_code == 0
        return outcome.stdout

    first, second, _, last = (proposal.digest for proposal in library(4))
    assert [digest[:12] in call("list") for digest in (first, second, last)] == [True, False, False]
    assert [digest[:12] in call("list", "--all") for digest in (first, second, last)] == [True, True, True]
    assert call("show", first[:12], "--json") == pattern_json(store, first)
    assert "ID" in call("show", first[:12])
    who = ("--name", "A. Reviewer", "--reason")
    assert call("approve", first[:12], *who, "it happens") == f"approved {first[:12]}\n"
    kept = store.read().find(first)
    assert (kept.state, kept.last.reviewer, kept.last.reason) == ("approved", "A. Reviewer", "it happens")
    assert call("reject", second[:12], *who, "it does not") == f"rejected {second[:12]}\n"
    kept = store.read().find(second)
    assert (kept.state, kept.last.reviewer, kept.last.reason) == ("rejected", "A. Reviewer", "it does not")
    file = tmp_path / "pattern.json"
    file.write_text(json.dumps(json.loads(pattern_json(store, first)) | {"velocity": 9}))
    said = call("edit", first[:12], str(file), *who, "slower")
    kept = store.read().kept[-1]
    assert (kept.replaces, kept.last.reviewer, kept.last.reason) == (first, "A. Reviewer", "slower")
    assert said == f"{kept.digest[:12]}: passed validation\n"
    assert len(call("log").splitlines()) >= len(store.read().entries)
    said = json.loads(call("log", "--json"))
    entries = store.read().entries
    assert [line["hash"] for line in said["lines"]] == [entry.hash for entry in entries]
    assert [(line["line"], line["action"], line["reason"]) for line in said["lines"]] == [
        (number, entry.action, entry.reason) for number, entry in enumerate(entries, start=1)
    ]
    assert {line["trusted"] for line in said["lines"] if line["reviewer"] == "A. Reviewer"} == {True}
    assert {(line["key"], line["trusted"]) for line in said["lines"] if line["reviewer"] == MACHINE} == {(None, None)}
    assert (said["head"], said["noted"]) == (store.read().head, None)
    noted = entries[1].hash
    assert json.loads(call("log", "--json", "--head", noted))["noted"] == {"head": noted, "line": 2}
    for flags, listed in (((), store.read().waiting()), (("--all",), store.read().kept)):
        said = json.loads(call("list", "--json", *flags))
        assert [(p["id"], p["state"], p["name"], p["source"], p["replaces"]) for p in said["patterns"]] == [
            (kept.digest, kept.state, kept.proposal.pattern.name, kept.label, kept.replaces) for kept in listed
        ]
        assert [p["last"]["reason"] for p in said["patterns"]] == [kept.last.reason for kept in listed]
        assert sum(said["states"].values()) == len(store.read().kept)
        assert said["states"]["pending"] == len(store.read().in_state("pending"))
    assert not (tmp_path / "another").exists()


def test_the_page_is_of_what_may_still_be_trained_on(
    store: PatternStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scored = recorded("secure_fl.data.synthetic.fidelity.fidelity", monkeypatch, "scores")
    rendered = recorded("secure_fl.report.review_page.render_review", monkeypatch, "a page")
    out = tmp_path / "page.html"
    for folder, proposals, scores in (
        (store.folder, store.read().unreviewed(), "scores"),
        (tmp_path / "empty", (), None),
    ):
        outcome = CliRunner().invoke(
            app, ["review", "page", "--out", str(out), "--store", str(folder), "--force"], catch_exceptions=False
        )
        assert (outcome.exit_code, outcome.stdout, out.read_text()) == (0, f"{out}\n", "a page")
        holdings, host, given, what = rendered.pop()
        assert (holdings.unreviewed(), given, what) == (proposals, scores, "simulated transactions")
        assert np.array_equal(host.when, RealRows.simulated().training.when)
        assert [call[0] for call in scored] == ([proposals] if proposals else [])
        scored.clear()


def test_keys_are_shown_with_their_names_and_fingerprints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECURE_FL_REVIEW", str(tmp_path / "own"))

    def call(*arguments: str) -> str:
        outcome = CliRunner().invoke(app, ["review", *arguments], catch_exceptions=False)
        assert outcome.exit_code == 0
        return outcome.stdout

    own, other = call("key", "--name", "A. Reviewer"), ReviewerKey.generate().public
    public = ReviewerFiles.in_folder(tmp_path / "own").signer("A. Reviewer").public
    line = f"{public}  A. Reviewer  (fingerprint {fingerprint(public)}"
    assert own == f"{line}; private key in {tmp_path / 'own' / 'reviewer.key'})\n"
    both = f"{line})\n{other}  B. Reviewer  (fingerprint {fingerprint(other)})\n"
    assert call("trust", "B. Reviewer", other) == both
    assert call("distrust", "B. Reviewer") == "B. Reviewer is trusted no more\n"
    assert call("trust") == f"{line})\n"
