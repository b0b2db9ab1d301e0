"""The command line as a person meets it: files, tables, one-line errors and exit codes."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import secure_fl.cli.options  # noqa: F401  before anything that it imports is replaced
from secure_fl import Experiment
from secure_fl.audit.beside import Wanted
from secure_fl.cli.app import app, main
from secure_fl.cli.attack import ATTACKS, OPTIONS, QUICK
from secure_fl.cli.progress import show_progress
from secure_fl.cli.score import _note
from secure_fl.data import Simulation, ulb
from secure_fl.data.synthetic.command import Spending
from secure_fl.errors import ConfigurationError, DataError, FetchError, SyntheticError
from secure_fl.federation import run as running
from secure_fl.report.encrypted_scores import ScoringRequest
from secure_fl.training import evaluate as evaluate_model

SMALL = ("--transactions", "12000", "--fraud-share", "0.03", "--rounds", "2")
DISTRIBUTED = (*SMALL, "--mechanism", "distributed", "--delta", "1e-5")


@dataclass(frozen=True)
class Done:
    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of an error."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        assert "; " in lines[0], "an error says what to do"
        return lines[0]


Command = Callable[..., Done]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """`secure-fl ARGUMENTS`, in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECURE_FL_KEY", str(tmp_path / "federation.key"))
    life = tmp_path.with_name(f"{tmp_path.name}-life")
    monkeypatch.setenv("SECURE_FL_LEDGERS", str(life / "store"))
    monkeypatch.setenv("SECURE_FL_LEDGER_NOTES", str(life / "notes"))

    def call(*arguments: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["secure-fl", *map(str, arguments)])
        previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            with pytest.raises(SystemExit) as stop:
                main()
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        captured = capsys.readouterr()
        return Done(int(stop.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small finished run."""
    target = tmp_path_factory.mktemp("runs") / "one"
    done = subprocess.run(
        [sys.executable, "-m", "secure_fl", "run", *SMALL, "--out", str(target)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return target


def test_a_run_leaves_its_files_and_nothing_else(finished: Path) -> None:
    assert {path.name for path in finished.iterdir()} == RESULTS
    assert [path.name for path in finished.parent.iterdir()] == ["one"]
    metrics = json.loads((finished / "metrics.json").read_text())
    assert metrics["schema"] == 1
    assert [r["round"] for r in metrics["rounds"]] == [1, 2]


def test_the_transcript_has_sizes_and_digests_and_no_payload(finished: Path) -> None:
    lines = [json.loads(line) for line in (finished / "transcript.jsonl").read_text().splitlines()]
    assert {tuple(line) for line in lines} == {("round", "attempt", "stage", "sender", "recipient", "bytes", "sha256")}
    metrics = json.loads((finished / "metrics.json").read_text())
    for record in metrics["rounds"]:
        sent = [m for m in lines if m["round"] == record["round"] and m["recipient"] == "aggregator"]
        assert {m["sender"]: m["bytes"] for m in sent if m["stage"] == "upload"} == record["upload_bytes"]


@pytest.mark.slow
def test_a_run_is_repeated_to_the_same_weights(finished: Path, command: Command) -> None:
    done = command("run", finished / "experiment.toml", "--out", "again")
    assert done.status == 0
    assert "report: again/report.html" in done.out
    assert Path("again/model.safetensors").read_bytes() == (finished / "model.safetensors").read_bytes()


@pytest.mark.slow
def test_options_change_what_a_file_says(finished: Path, command: Command) -> None:
    done = command("run", finished / "experiment.toml", "--scheme", "plaintext", "--rounds", "1", "--out", "clear")
    assert done.status == 0
    metrics = json.loads(Path("clear/metrics.json").read_text())
    assert (metrics["experiment"]["scheme"], len(metrics["rounds"])) == ("plaintext", 1)
    assert "every bank's update" in done.out


@pytest.mark.slow
def test_a_dropped_bank_is_listed(finished: Path, command: Command) -> None:
    assert command("run", finished / "experiment.toml", "--drop", "bank-2@2:upload", "--out", "dropped").status == 0
    first, second = json.loads(Path("dropped/metrics.json").read_text())["rounds"]
    assert (first["dropped"], second["dropped"]) == ([], ["bank-2"])
    assert set(second["upload_bytes"]) == {"bank-1", "bank-3"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run", "--scheme", "caesar"), "no scheme 'caesar'"),
        (("run", "--bits", "3"), "bits"),
        (("run", "--bits", "many"), "bits"),
        (("run", "--bits", "float32"), "float32"),
        (("run", "--banks", "2"), "banks"),
        (("run", "--rounds", "0"), "rounds"),
        (("run", "--rounds", "x"), "--rounds"),
        (("run", "--threshold", "1"), "threshold of 1"),
        (("run", "--positive-weight", "nan"), "positive_weight"),
        (("run", "--drop", "bank-2"), "PARTY@ROUND:STAGE"),
        (("run", "--drop", "bank-9@1:upload"), "bank-9"),
        (("run", "--drop", "bank-1@1:unmask"), "unmask"),
        (("run", "--dataset", "rows.csv"), "--label"),
        (("run", "--dataset", "rows.csv", "--label", "y"), "rows.csv"),
        (("run", "--label", "y"), "columns of its own"),
        (("run", "--nonsense"), "--nonsense"),
        (("run", "absent.toml"), "absent.toml"),
        (("plan", "--scheme", "caesar"), "caesar"),
        (("plan", "--banks", "10000", "--parameters", "1000000", "--bits", "24"), "use at most 23 bits"),
        (("data", "fetch", "moon"), "moon"),
        (("data", "simulate", "--out", "rows.txt"), "rows.txt"),
        (("data", "simulate", "--out", "rows.csv", "--fraud-share", "2"), "fraud_share"),
        (("score", "absent.safetensors", "rows.csv", "--out", "scores.csv"), "absent.safetensors"),
        (("score", "m.safetensors", "rows.csv", "--out", "scores.csv", "--single"), "add it, or leave them out"),
        (("score", "m.safetensors", "rows.csv", "--out", "s.csv", "--training", "t.csv"), "are for --encrypted"),
        (("score", "m.safetensors", "rows.csv", "--out", "s.csv", "--html", "s.html"), "are for --encrypted"),
        (("plan", "--score", "absent.safetensors"), "absent.safetensors"),
        (("plan", "--score", "m.safetensors", "--banks", "3"), "the other options are for sums"),
        (("plan", "--hide-model"), "add --score, or leave them out"),
        (("plan", "--score", "m", "--single", "--hide-model"), "leave out --single, or --hide-model"),
        (("score", "m", "rows.csv", "--out", "s.csv", "--hide-model"), "are for --encrypted"),
        (("plan", "--single"), "add --score, or leave them out"),
        (("plan", "--training", "t.csv", "--json"), "add --score, or leave them out"),
        (("nonsense",), "nonsense"),
        (("run", "--epsilon", "0", "--delta", "1e-5"), "epsilon"),
        (("run", "--epsilon", "-3", "--delta", "1e-5"), "epsilon"),
        (("run", "--epsilon", "nan", "--delta", "1e-5"), "epsilon"),
        (("run", "--epsilon", "inf", "--delta", "1e-5"), "epsilon"),
        (("run", "--epsilon", "three", "--delta", "1e-5"), "epsilon"),
        (("run", "--epsilon", "3", "--delta", "0"), "delta"),
        (("run", "--epsilon", "3", "--delta", "nan"), "delta"),
        (("run", "--epsilon", "3"), "--delta"),
        (("run", "--delta", "1e-5"), "--epsilon"),
        (("run", "--epsilon", "3", "--noise-multiplier", "1", "--delta", "1e-5"), "noise_multiplier"),
        (("run", "--noise-multiplier", "0", "--delta", "1e-5"), "noise_multiplier"),
        (("run", "--epsilon", "3", "--delta", "1e-5", "--positive-weight", "balanced"), "positive_weight"),
        (("run", "--epsilon", "3", "--delta", "1e-5", "--max-grad-norm", "0"), "max_grad_norm"),
        (("run", "--epsilon", "3", "--delta", "1e-5", "--max-grad-norm", "inf"), "max_grad_norm"),
        (("run", *SMALL, "--epsilon", "3", "--delta", "1e-5", "--batch-size", "9000"), "smaller than a batch"),
        (("run", *SMALL, "--epsilon", "0.01", "--delta", "1e-5"), "cannot be reached"),
        (("run", *DISTRIBUTED, "--error-feedback", "--noise-multiplier", "1"), "error_feedback"),
        (("run", *DISTRIBUTED, "--noise-multiplier", "1e6"), "overflows"),
        (("run", *DISTRIBUTED, "--noise-multiplier", "1e-9"), "larger noise multiplier"),
        (("run", *DISTRIBUTED, "--epsilon", "1e-9"), "overflows"),
        (("run", *DISTRIBUTED, "--noise-multiplier", "1", "--max-update-norm", "0"), "max_update_norm"),
        (("run", "--resume", "absent"), "no unfinished run"),
        (("run", "--lifetime-epsilon", "3"), "limits no run without noise"),
        (("run", "--lifetime-epsilon", "0", "--epsilon", "3", "--delta", "1e-5"), "lifetime_epsilon"),
        (("ledger", "--delta", "0"), "delta of 0"),
        (("ledger", "show", "--noted", "absent"), "no note of the ledgers"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(command: Command, arguments: tuple[str, ...], says: str) -> None:
    done = command(*arguments)
    assert done.status == 2
    assert says in done.error
    assert list(Path().iterdir()) == [], "a refused request leaves nothing behind"


def test_an_existing_run_is_kept(finished: Path, command: Command) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    done = command("run", *SMALL, "--seed", "5", "--out", finished)
    assert (done.status, "exists already" in done.error) == (2, True)
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before


def test_a_diverged_model_is_a_failure_that_leaves_nothing(command: Command) -> None:
    done = command("run", *SMALL, "--learning-rate", "1e30", "--out", "diverged")
    assert (done.status, "diverged" in done.error) == (1, True)
    assert list(Path().iterdir()) == []


def test_debug_shows_where_an_error_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["secure-fl", "plan", "--banks", "2", "--debug"])
    with pytest.raises(Exception, match="2 banks is refused"):
        main()


def test_a_comparison_shows_an_experimental_scheme_as_such_on_a_narrow_terminal(
    finished: Path, tmp_path: Path, command: Command
) -> None:
    metrics = json.loads((finished / "metrics.json").read_text())
    metrics["experiment"]["scheme"] = "rlwe"
    for run in (tmp_path / "one", tmp_path / "two"):
        run.mkdir()
        (run / "metrics.json").write_text(json.dumps(metrics))
    lines = command("compare", "one", "two").out.splitlines()
    shown = [line.split("│")[2].strip() for line in lines if "│" in line]
    assert "".join(shown) == 2 * "rlwe(experimental)"


def test_a_plan_of_an_experimental_scheme_says_so(command: Command) -> None:
    said = "experimental: the arithmetic is our own, and nobody has audited it"
    assert f"warning {said}" in " ".join(command("plan", "--scheme", "rlwe").out.split())
    assert json.loads(command("plan", "--scheme", "rlwe", "--json").out)["warning"] == said
    assert "warning" not in json.loads(command("plan", "--scheme", "bfv", "--json").out)


def test_a_defect_shows_its_kind_and_no_text(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **named: object) -> None:
        raise ZeroDivisionError("card 4929-1234")

    monkeypatch.setattr("secure_fl.secagg.planning.plan", broken)
    done = command("plan")
    assert done.status == 1
    assert "ZeroDivisionError" in done.error
    assert "4929" not in done.err + done.out


def _as_from_a_terminal() -> None:
    """Tests that run in the background of a shell have SIGINT ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_its_state_and_nothing_else(tmp_path: Path, how: signal.Signals) -> None:
    arguments = [sys.executable, "-m", "secure_fl", "run", "--rounds", "1000", "--transactions", "12000"]
    process = subprocess.Popen(
        [*arguments, "--fraud-share", "0.03"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=_as_from_a_terminal,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if (reached := re.match(r"rounds (\d+)/", line)) and int(reached[1]) >= 2:
            break
    time.sleep(0.2)
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("error: interrupted")
    assert "--resume" in err, "two rounds are worth keeping"
    (state,) = (tmp_path / "runs").iterdir()
    assert state.suffix == ".unfinished"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_whose_exception_is_lost_ends_the_run_all_the_same(
    command: Command, monkeypatch: pytest.MonkeyPatch, how: signal.Signals
) -> None:
    """Python drops what is raised in a finalizer: that was a lost Ctrl-C."""

    class Finalized:
        def __del__(self) -> None:
            signal.raise_signal(how)

    original = evaluate_model

    def evaluate(*arguments: Any) -> Any:
        with warnings.catch_warnings():
            Finalized()
        return original(*arguments)

    previous = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    monkeypatch.setattr(running, "evaluate", evaluate)
    try:
        done = command("run", *SMALL, "--scheme", "plaintext", "--rounds", "50", "--out", "one")
    finally:
        signal.signal(signal.SIGINT, previous)
    assert (done.status, "interrupted" in done.error) == (130, True)
    assert "rounds 1/50" not in done.err


def test_plan_prints_what_a_sum_costs(command: Command) -> None:
    figures = json.loads(command("plan", "--banks", "10", "--parameters", "1000000", "--bits", "8", "--json").out)
    assert figures["scheme"] == "ckks"
    assert figures["bytes_per_parameter"] <= 10.3
    table = command("plan", "--banks", "10", "--parameters", "1000000", "--bits", "8").out
    assert re.search(r"ciphertexts +163\b", table)


def test_plan_says_how_a_rule_goes_with_a_scheme_or_why_not(command: Command) -> None:
    ruled = ("plan", "--banks", "10", "--robust", "multi-krum", "--byzantine", "2", "--json")
    figures = json.loads(command(*ruled).out)
    assert (figures["scheme"], figures["rule"], figures["byzantine"]) == ("ckks-krum", "multi-krum", 2)
    assert figures["totals"] == 55
    assert figures["rule_sees"] == "distances of updates, which the key authority opens"
    grouped = json.loads(
        command(
            *ruled[:2], "16", *ruled[3:5], "--byzantine", "1", "--json", "--scheme", "masked", "--group-size", "3"
        ).out
    )
    assert (grouped["groups"], grouped["banks"], grouped["threshold"]) == (5, 4, 3)
    for arguments, why in (
        (("--scheme", "masked"), "and masked hides them; use --group-size"),
        (("--robust", "krum"), "a sum over one is its update"),
        (("--byzantine", "4"), "multi-krum needs 2 f + 3 banks where f = 4"),
        (("--group-size", "3"), "multi-krum needs 7 groups where 2 are byzantine"),
    ):
        done = command(*ruled, *arguments)
        assert (done.status, why in done.error) == (2, True), done.error
    assert "add --robust, or leave them out" in command("plan", "--byzantine", "1").error


@pytest.mark.slow
def test_simulate_then_train_on_the_file_then_score(command: Command) -> None:
    assert (
        command("data", "simulate", "--out", "rows.csv", "--transactions", "12000", "--fraud-share", "0.03").status == 0
    )
    columns = ("--label", "fraud", "--time", "time", "--amount", "amount", "--identifiers", "customer")
    assert command("run", "--dataset", "rows.csv", *columns, "--rounds", "1", "--out", "one").status == 0
    assert Path("federation.key").stat().st_mode & 0o777 == 0o600
    assert Path("federation.key").read_text().strip() not in Path("one/experiment.toml").read_text()

    done = command("score", "one/model.safetensors", "rows.csv", "--out", "scores.csv")
    assert done.status == 0
    assert "--history" in done.err
    scores = list(csv.DictReader(Path("scores.csv").read_text().splitlines()))
    assert [row["row"] for row in scores] == [str(n) for n in range(1, 12001)]
    assert all(0 <= float(row["fraud_probability"]) <= 1 for row in scores)

    assert command("score", "one/model.safetensors", "rows.csv", "--history", "rows.csv", "--out", "two.csv").err == ""

    Path("federation.key").unlink()
    other = command("score", "one/model.safetensors", "rows.csv", "--out", "three.csv")
    assert (other.status, "federation key" in other.error) == (2, True)
    assert list(csv.DictReader(Path("scores.csv").read_text().splitlines())) == scores


def test_a_bare_command_shows_help(command: Command) -> None:
    done = command()
    assert "Commands" in done.out
    assert "error" not in done.err


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys; from secure_fl.cli.app import app; sys.exit('torch' in sys.modules or 'tenseal' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


PRIVATE = (*SMALL, "--noise-multiplier", "2", "--delta", "1e-5", "--scheme", "plaintext", "--batch-size", "1024")


@pytest.mark.slow
def test_a_private_run_shows_what_it_spent_and_leaves_no_key(command: Command) -> None:
    done = command("run", *PRIVATE, "--delta", "0.01", "--out", "one")
    assert done.status == 0
    assert "differential privacy (dp-sgd): epsilon" in done.out
    assert "note: delta 0.01 is not below 1 /" in " ".join(done.out.split())
    assert {path.name for path in Path().iterdir()} == {"one"}
    assert {path.name for path in Path("one/ledgers/bank-1").iterdir()} == {"ledger.json"}
    metrics = json.loads(Path("one/metrics.json").read_text())
    spent = [record["epsilon"] for record in metrics["rounds"]]
    assert spent[0] < spent[1] == metrics["privacy"]["epsilon"]


@pytest.mark.slow
def test_a_stopped_run_goes_on_with_its_own_settings_only(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from secure_fl.federation.checkpoint import Checkpoint, Snapshot

    save = Checkpoint.save

    def stop_after_saving(self: Checkpoint, snapshot: Snapshot) -> None:
        save(self, snapshot)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", stop_after_saving)
        first = command("run", *PRIVATE, "--out", "one")
    assert (first.status, "--resume one" in first.err) == (130, True)
    assert {path.name for path in Path().iterdir()} == {"one.unfinished"}
    for change in (("--rounds", "9"), ("--noise-multiplier", "1"), ("--seed", "2")):
        refused = command("run", "--resume", "one", *change)
        assert (refused.status, change[0].lstrip("-").replace("-", "_") in refused.error) == (2, True)
    again = command("run", *PRIVATE, "--out", "one")
    assert (again.status, "unfinished run" in again.error) == (2, True)
    Path("one").mkdir()
    Path("one/mine.txt").write_text("somebody's own")
    taken = command("run", "--resume", "one")
    assert (taken.status, "exists already" in taken.error) == (2, True)
    shutil.copytree("one.unfinished", "another.unfinished")
    other = command("run", "--resume", "one", "--out", "another")
    assert (other.status, "unfinished run" in other.error) == (2, True)
    shutil.rmtree("another.unfinished")

    state = bytearray(Path("one.unfinished/state-1").read_bytes())
    state[1000] ^= 4
    Path("one.unfinished/state-1").write_bytes(state)
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", stop_after_saving)
        stopped = command("run", "--resume", "one", "--out", "a b/two")
    assert "go on with secure-fl run --resume one --out 'a b/two'" in stopped.err
    assert "note: one.unfinished/state-1 is damaged; round 1 is done again" in stopped.err
    done = command("run", "--resume", "one", "--out", "a b/two")
    assert (done.status, "note: " in done.err) == (0, False)
    assert {path.name for path in Path().iterdir()} == {"one", "a b"}
    assert [path.name for path in Path("one").iterdir()] == ["mine.txt"]
    assert [r["round"] for r in json.loads(Path("a b/two/metrics.json").read_text())["rounds"]] == [1, 2]


@pytest.mark.slow
def test_a_run_that_was_stopped_before_its_first_round_goes_on(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Budget is spent then. Nobody is told to delete what says so."""

    def stop(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(running, "run_round", stop)
        first = command("run", *PRIVATE, "--out", "one")
    assert (first.status, "--resume one" in first.err) == (130, True)
    refused = command("run", *PRIVATE, "--out", "one")
    assert (refused.status, "--resume one, or choose another --out" in refused.error) == (2, True)
    assert not any(word in first.err + refused.err for word in ("remove", "delete"))
    assert command("run", "--resume", "one").status == 0
    metrics = json.loads(Path("one/metrics.json").read_text())
    spent = {bank["bank"]: bank["epsilon"] for bank in metrics["privacy"]["banks"]}
    assert metrics["privacy"]["lifetime_epsilon"] == spent, "nothing was released twice"


@pytest.mark.slow
def test_the_ledger_shows_what_two_runs_spent_and_what_is_left(command: Command) -> None:
    limit = ("--lifetime-epsilon", "40")
    for folder in ("one", "two"):
        done = command("run", *PRIVATE, *limit, "--out", folder)
        assert done.status == 0
    assert "for life" in done.out
    assert "All runs on the rows of" in Path("two/report.html").read_text()
    metrics = json.loads(Path("two/metrics.json").read_text())["privacy"]
    shown = json.loads(command("ledger", "show", "--json").out)
    assert shown == json.loads(command("ledger", "--json").out)
    assert {row["bank"]: row["epsilon"] for row in shown["banks"]} == metrics["lifetime_epsilon"]
    assert all(row["left"] == 40 - row["epsilon"] for row in shown["banks"])
    assert [(row["runs"], row["releases"], row["unit"]) for row in shown["banks"]] == [(2, 6, "row")] * 3
    assert shown["ledger"] == metrics["ledger"]
    assert "bank-3" in command("ledger").out
    assert command("ledger", "--noted", "one").status == command("ledger", "--noted", "two").status == 0
    refused = command("run", *PRIVATE, "--lifetime-epsilon", "1", "--out", "three")
    assert (refused.status, "for life, beyond its 1" in refused.error) == (2, True)
    assert {path.name for path in Path().iterdir()} == {"one", "two"}

    store = Path(shown["store"])
    shutil.rmtree(store)
    shutil.rmtree(store.with_name("notes"))
    assert command("ledger").status == 0, "nothing but the note in the results knows of what is gone"
    noticed = command("ledger", "--noted", "two")
    assert (noticed.status, "older copy" in noticed.error) == (2, True)


def test_no_advice_is_to_delete_a_ledger_or_an_unfinished_run() -> None:
    """In whatever the package says, and in what it tells its users to read."""
    root = Path(__file__).parents[2]
    files = [*root.glob("secure_fl/**/*.py"), *root.glob("docs/*.md"), *root.glob("examples/*.py"), root / "README.md"]
    advice = re.compile(
        r"\b(remove|delete|erase|rm -r)\b[^.;\"]{0,40}(ledger|that folder|the folder|\.unfinished|to start again)"
        r"|count the old one as spent|start the run again",
        re.IGNORECASE,
    )
    found = {str(path.relative_to(root)): m[0] for path in files if (m := advice.search(path.read_text()))}
    assert found == {}


@pytest.mark.slow
def test_scoring_a_refused_file_ends_in_its_error_every_time(finished: Path, tmp_path: Path) -> None:
    """Arrow's threads once called into a Python that was about to end: every third or fourth try aborted."""
    rows = tmp_path / "rows.csv"
    rows.write_text("a,b\n1,2\n3,4,5\n")
    model = str(finished / "model.safetensors")
    command = [sys.executable, "-m", "secure_fl", "score", model, str(rows), "--out", "scores.csv"]
    for _ in range(20):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 2, done.stderr
        assert done.stderr.splitlines()[-1].startswith("error: line 3 of")


class RecordedError(Exception):
    """What a command would have done."""


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[tuple[Any, ...], dict[str, Any]]]:
    """`recorded(function, *arguments)`: what the command calls that function with, instead of doing its work."""

    def call(function: str, *arguments: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        def stand_in(*positional: Any, **named: Any) -> None:
            raise RecordedError(positional, named)

        with monkeypatch.context() as changed:
            changed.setattr(function, stand_in)
            outcome = CliRunner().invoke(app, list(arguments))
        assert isinstance(outcome.exception, RecordedError), (outcome.exception, outcome.output)
        return outcome.exception.args

    return call


def options(values: dict[str, Any], **other_names: str) -> list[str]:
    """As they are typed: --name value; flags without one, --no-name where they are usually set."""
    typed = []
    for name, value in values.items():
        option = ("no-" if value is False else "") + other_names.get(name, name).replace("_", "-")
        typed += [f"--{option}", *([] if isinstance(value, bool) else [str(value)])]
    return typed


SYNTHESIS: dict[str, Any] = {"batch": 7, "temperature": 0.0, "timeout": 3.5}
SPENDING: dict[str, Any] = {"max_tokens_total": 11, "max_cost": 1.5, "prompt_price": 2.5, "completion_price": 3.5}


def test_every_option_of_synthesize_arrives(recorded: Any) -> None:
    where = ["--out", "p.json", "--store", "folder", "--built-in"]
    arguments = ["synthesize", "--count", "5", *where, *options(SYNTHESIS | SPENDING)]
    positional, named = recorded("secure_fl.data.synthetic.proposing.synthesize_into", *arguments)
    assert positional == (5, True, Path("p.json"), Path("folder"))
    assert callable(named.pop("progress"))
    assert named == {"spending": Spending(**SPENDING), **SYNTHESIS}
    positional, named = recorded("secure_fl.data.synthetic.proposing.synthesize_into", "synthesize", "--count", "5")
    assert positional == (5, False, None, None)
    assert named["spending"] == Spending()


def test_every_option_of_bench_arrives(recorded: Any) -> None:
    given: dict[str, Any] = {
        "schemes": "masked",
        "banks": "3,4",
        "parameters": "100",
        "bits": "9",
        "repeat": 2,
        "peers": True,
        "json_file": Path("a.json"),
        "html_file": Path("a.html"),
        "force": True,
        "drop_sweep": True,
        "scale": True,
    }
    progress = {"show_progress": show_progress}
    assert recorded(
        "secure_fl.bench.schemes.command.run_command", "bench", *options(given, json_file="json", html_file="html")
    ) == ((), given | progress)
    defaults = dict.fromkeys(given) | {"bits": "8", "repeat": 5, "peers": False, "force": False, "drop_sweep": False}
    assert recorded("secure_fl.bench.schemes.command.run_command", "bench") == (
        (),
        defaults | {"scale": False} | progress,
    )


def test_every_option_of_claims_arrives(recorded: Any) -> None:
    given: dict[str, Any] = {
        "seeds": 2,
        "quick": True,
        "json_file": Path("a.json"),
        "markdown_file": Path("a.md"),
        "svg_file": Path("a.svg"),
        "force": True,
    }
    names = {"json_file": "json", "markdown_file": "markdown", "svg_file": "svg"}
    function = "secure_fl.bench.claims.command.run_command"
    assert recorded(function, "bench", "claims", *options(given, **names)) == (
        (),
        given | {"show_progress": show_progress},
    )
    assert recorded(function, "bench", "claims") == (
        (),
        dict.fromkeys(given) | {"seeds": 20, "quick": False, "force": False, "show_progress": show_progress},
    )


def test_every_option_of_attack_arrives(recorded: Any) -> None:
    given: dict[str, Any] = {
        "dataset": "simulated",
        "bits": 9,
        "banks": 4,
        "trials": 5,
        "batches": "1,2",
        "holders": 3,
        "quorum": 2,
        "witnesses": 1,
        "noise_multiplier": 1.5,
        "epsilons": "inf,3",
        "models": 6,
        "pools": 7,
        "rows": 8,
        "epsilon": 2.5,
        "runs": 9,
        "rounds": 11,
        "rules": "none,median",
        "attacks": "sign-flip,a-little@1.5",
        "byzantine": "0,2",
        "seeds": 12,
        "seed": 10,
    }
    numbers = {
        "batches": (1, 2),
        "epsilons": (float("inf"), 3.0),
        "rules": ("none", "median"),
        "attacks": ("sign-flip", "a-little@1.5"),
        "byzantine": (0, 2),
    }
    function = "secure_fl.attacks.command.run_command"
    for attack in sorted(ATTACKS):
        own = {name: value for name, value in given.items() if attack in OPTIONS[name]}
        arguments = [attack, "--scheme", "masked", "--json", "a.json", "--html", "a.html", "--force", *options(own)]
        assert recorded(function, "attack", *arguments) == (
            (attack, "masked", Path("a.json"), Path("a.html"), show_progress),
            own | {name: value for name, value in numbers.items() if name in own} | {"force": True},
        )
        assert recorded(function, "attack", attack) == (
            (attack, "plaintext", None, None, show_progress),
            {"force": False},
        )
        quickly = recorded(function, "attack", attack, "--quick", "--seed", "3")[1]
        assert quickly == dict(QUICK[attack]) | {"seed": 3, "force": False}


def test_every_option_of_plan_data_and_score_arrives(recorded: Any) -> None:
    given = {"scheme": "masked", "banks": 9, "parameters": 99, "bits": 7, "threshold": 5}
    committee: dict[str, Any] = {"holders": 5, "quorum": 4, "witnesses": 2}
    both = recorded("secure_fl.secagg.planning.plan", "plan", *options(given), *options(committee))
    assert both == (tuple(given.values()), committee)
    none = {"holders": None, "quorum": None, "witnesses": 0}
    assert recorded("secure_fl.secagg.planning.plan", "plan") == (("ckks", 3, 10_369, 8, None), none)
    simulation: dict[str, Any] = {"transactions": 5_000, "fraud_share": 0.02, "days": 20, "seed": 4}
    simulate = ["data", "simulate", "--out", "rows.csv"]
    assert recorded("secure_fl.data.simulate", *simulate, *options(simulation)) == ((Simulation(**simulation),), {})
    assert recorded("secure_fl.data.simulate", *simulate) == ((Simulation(seed=1),), {})
    for history in (None, Path("old.csv")):
        more = [] if history is None else ["--history", str(history)]
        if history is None:
            with pytest.MonkeyPatch.context() as changed:
                changed.setattr("secure_fl.report.scores.needs_history", lambda model: model != Path("m"))
                found = recorded("secure_fl.report.scores.score_file", "score", "m", "t.csv", "--out", "s.csv")
        else:
            found = recorded("secure_fl.report.scores.score_file", "score", "m", "t.csv", "--out", "s.csv", *more)
        assert found == (
            (Path("m"), Path("t.csv"), Path("s.csv"), history),
            {"json_file": None, "force": False},
        )
    more = ["--json", "s.json", "--force", "--history", "old.csv"]
    encrypted = "secure_fl.report.encrypted_scores.score_encrypted_file"
    how = ["--encrypted", "--single", "--training", "own.csv", "--html", "s.html"]
    request = ScoringRequest(
        Path("m"), Path("t.csv"), Path("s.csv"), Path("old.csv"), Path("own.csv"), "single", Path("s.json"),
        Path("s.html"), force=True,
    )  # fmt: skip
    found = recorded(encrypted, "score", "m", "t.csv", "--out", "s.csv", *more, *how)
    assert found == ((request, show_progress), {})
    found = recorded("secure_fl.report.scores.score_file", "score", "m", "t.csv", "--out", "s.csv", *more)
    assert found[1] == {"json_file": Path("s.json"), "force": True}
    beside = ["--calibration", "c.json", "--reasons", "3"]
    found = recorded("secure_fl.report.scores.score_file", "score", "m", "t.csv", "--out", "s.csv", *more, *beside)
    wanted = Wanted(Path("c.json"), 3, Path("old.csv"), _note)
    assert found[1] == {
        "json_file": Path("s.json"), "force": True, "beside": wanted, "others": [Path("c.json")]
    }  # fmt: skip


RUN: dict[str, Any] = {
    "dataset": "ulb",
    "transactions": 12_345,
    "fraud_share": 0.03,
    "label": "y",
    "time": "t",
    "amount": "a",
    "numeric": ("n", "m"),
    "categorical": ("c", "d"),
    "identifiers": ("i", "j"),
    "time_unit": "hours",
    "time_format": "%d/%m/%Y",
    "positive_label": "Yes",
    "impute": True,
    "test_fraction": 0.25,
    "banks": 4,
    "split": "pattern",
    "alpha": 2.5,
    "drop": ("bank-1@2:upload", "bank-2@3:upload"),
    "rounds": 3,
    "local_epochs": 2,
    "batch_size": 77,
    "learning_rate": 0.125,
    "positive_weight": "balanced",
    "seed": 6,
    "device": "cuda",
    "synthetic": "approved",
    "synthetic_share": 0.75,
    "epsilon": 2.5,
    "delta": 1e-6,
    "lifetime_epsilon": 5.5,
    "noise_multiplier": 1.25,
    "mechanism": "distributed",
    "max_grad_norm": 1.5,
    "max_update_norm": 2.5,
    "scheme": "masked",
    "bits": 9,
    "threshold": 3,
    "holders": 5,
    "quorum": 4,
    "attempts": 2,
    "error_feedback": True,
    "downlink": "sum",
    "dropout": 0.125,
    "hidden": "16-8",
    "activation": "square",
    "initial_clip": 0.75,
    "clip_margin": 4.5,
    "robust": "bulyan",
    "byzantine": 2,
    "group_size": 3,
    "proofs": True,
    "norm_bound": 2.25,
    "attack": "min-max",
    "witnesses": 1,
    "fresh_keys": 2,
    "attack_strength": 3.5,
    "keep_models": False,
    "audit_groups": ("a:1,2", "bank"),
    "audit_max_gap": 0.25,
}
FROM_A_FILE_ONLY = {"key_check", "names", "retrained_from", "synthetic_patterns", "without"}


def test_every_option_of_run_becomes_a_setting(recorded: Any) -> None:
    from_file = recorded("secure_fl.settings.Experiment.from_toml", "run", "a.toml", "--out", "b", "--banks", "4")
    assert from_file == ((Path("a.toml"),), {"banks": 4})
    typed: list[str] = []
    for name, value in RUN.items():
        for each in value if isinstance(value, tuple) else (value,):
            typed += options({name: each})
    assert recorded("secure_fl.settings.Experiment", "run", *typed) == ((), RUN)
    assert set(Experiment.model_fields) - set(RUN) == FROM_A_FILE_ONLY
    assert recorded("secure_fl.settings.Experiment", "run") == ((), {})
    weights = recorded("secure_fl.settings.Experiment", "run", "--positive-weight", "2.5", "--bits", "float32")
    assert weights == ((), {"positive_weight": 2.5, "bits": "float32"})
    wider = recorded("secure_fl.settings.Experiment", "run", "--synthetic", "approved", "--unreviewed")
    assert wider == ((), {"synthetic": "unreviewed"})


def test_lists_of_numbers_are_numbers(command: Command) -> None:
    for option, text in (("--batches", "1,x"), ("--batches", "1.5"), ("--epsilons", "3,,1"), ("--epsilons", "")):
        done = command("attack", "inversion", option, text)
        assert (done.status, option in done.error, "separate them by commas" in done.error) == (2, True, True)


def test_a_run_goes_on_with_its_own_settings_only(command: Command) -> None:
    done = command("run", "--resume", "absent", "--rounds", "3", "--seed", "2")
    assert done.status == 2
    assert command("bench", "--repeat", "2", "claims").status == 2


def test_the_status_says_whose_fault_it_was(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for error, status in (
        (ConfigurationError("a; b"), 2),
        (DataError("a; b"), 2),
        (SyntheticError("a; b"), 1),
        (FetchError("a; b"), 1),
        (KeyboardInterrupt(), 130),
        (ValueError("secret"), 1),
    ):

        def fails(*_: Any, error: BaseException = error, **named: Any) -> None:
            raise error

        monkeypatch.setattr("secure_fl.secagg.planning.plan", fails)
        done = command("plan")
        assert (done.status, "secret" in done.err) == (status, False)
        assert done.error.startswith("error: ")
    assert command("plan", "--nonsense").error.endswith("secure-fl plan --help")
    bare = command()
    assert bare.status == 2
    monkeypatch.setattr("secure_fl.secagg.planning.plan", fails)
    monkeypatch.setattr(sys, "argv", ["secure-fl", "--debug", "plan"])
    with pytest.raises(ValueError, match="secret"):
        main()


def test_fetch_says_where_the_data_lie_and_whom_to_cite(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secure_fl.data.ulb.fetch", lambda: Path("cache/creditcard.csv"))
    done = command("data", "fetch", "ulb")
    assert done.status == 0
    assert done.out == f"cache/creditcard.csv\n{ulb.CITATION}\n"


def test_simulate_says_what_it_wrote(command: Command) -> None:
    done = command("data", "simulate", "--out", "rows.csv", "--transactions", "1000", "--fraud-share", "0.05")
    assert done.out == "rows.csv: 1000 transactions, 50 of them fraud\n"


OUTPUTS = {
    "score --out": ("score", "MODEL", "rows.csv", "--out", "OUTPUT"),
    "data simulate --out": ("data", "simulate", "--transactions", "1000", "--fraud-share", "0.02", "--out", "OUTPUT"),
    "run --json": ("run", *SMALL, "--json", "OUTPUT"),
    "score --json": ("score", "MODEL", "rows.csv", "--out", "s.csv", "--json", "OUTPUT"),
    "bench --json": ("bench", "--schemes", "plaintext", "--json", "OUTPUT"),
    "bench --html": ("bench", "--schemes", "plaintext", "--html", "OUTPUT"),
    "attack --json": ("attack", "inversion", "--json", "OUTPUT"),
    "attack --html": ("attack", "inversion", "--html", "OUTPUT"),
    "claims --markdown": ("bench", "claims", "--quick", "--markdown", "OUTPUT"),
    "claims --svg": ("bench", "claims", "--quick", "--svg", "OUTPUT"),
    "review page --out": ("review", "page", "--out", "OUTPUT"),
    "compare --json": ("compare", "RUN", "RUN", "--json", "OUTPUT"),
    "compare --html": ("compare", "RUN", "RUN", "--html", "OUTPUT"),
}


@pytest.mark.parametrize("kind", ["file", "fifo", "link"])
@pytest.mark.parametrize("name", OUTPUTS)
def test_no_command_overwrites_anything_unasked(name: str, kind: str, command: Command, finished: Path) -> None:
    """Whatever it is to write: the place is decided on before anything is computed or read."""
    if name.startswith("claims"):
        pytest.importorskip("river")
    output = Path("output.csv")
    if kind == "fifo":
        os.mkfifo(output)
    else:
        Path("precious.csv").write_text("precious")
        output.symlink_to("precious.csv") if kind == "link" else Path("precious.csv").rename(output)
    words = {"OUTPUT": str(output), "MODEL": str(finished / "model.safetensors"), "RUN": str(finished)}
    done = command(*(words.get(word, word) for word in OUTPUTS[name]))
    assert done.status == 2
    assert ("not a regular file" if kind == "fifo" else "exists already") in done.error
    if kind != "fifo":
        assert output.read_text() == "precious"


def test_simulated_rows_are_not_made_for_a_file_that_is_kept(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        pytest.fail("nothing is to be simulated")

    monkeypatch.setattr("secure_fl.data.simulate", fails)
    Path("rows.csv").write_text("precious")
    assert "exists already" in command("data", "simulate", "--out", "rows.csv").error


def test_simulated_rows_replace_a_file_with_force_only(command: Command) -> None:
    arguments = ("data", "simulate", "--transactions", "1000", "--fraud-share", "0.02", "--out", "rows.csv")
    Path("rows.csv").write_text("precious")
    assert command(*arguments).status == 2
    assert command(*arguments, "--force").status == 0
    assert len(Path("rows.csv").read_text().splitlines()) == 1_001


def test_scores_never_replace_what_they_are_computed_from(finished: Path, command: Command) -> None:
    shutil.copy(finished / "model.safetensors", "model.safetensors")
    assert (
        command("data", "simulate", "--transactions", "1000", "--fraud-share", "0.02", "--out", "rows.csv").status == 0
    )
    shutil.copy("rows.csv", "past.csv")
    Path("federation.key").write_text("a key")
    command_line = ("score", "model.safetensors", "rows.csv", "--history", "past.csv", "--force", "--out")
    for name in ("model.safetensors", "rows.csv", "past.csv", "federation.key"):
        before = Path(name).read_bytes()
        done = command(*command_line, name)
        assert (done.status, "used by this command otherwise" in done.error) == (2, True)
        assert Path(name).read_bytes() == before


def test_two_outputs_of_one_command_are_two_files(command: Command) -> None:
    done = command("bench", "--schemes", "plaintext", "--json", "one", "--html", "one")
    assert (done.status, "used by this command otherwise" in done.error) == (2, True)
    assert list(Path().iterdir()) == []


@pytest.mark.slow
def test_two_runs_started_in_one_second_both_succeed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "secure_fl", "run", *TINY]
    runs = [
        subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for run in runs:
        _, err = run.communicate(timeout=120)
        assert run.returncode == 0, err
    folders = list((tmp_path / "runs").iterdir())
    assert len(folders) == 2
    assert all((folder / "report.html").exists() for folder in folders)


TINY = ("--transactions", "3000", "--fraud-share", "0.05", "--rounds", "1", "--scheme", "plaintext")
RESULTS = {"experiment.toml", "metrics.json", "transcript.jsonl", "model.safetensors", "report.html", "record.jsonl"}
RESULTS |= {"models"}


@pytest.mark.slow
@pytest.mark.parametrize("how", [".", "link"])
def test_a_run_fills_the_empty_folder_that_it_is_given(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(folder if how == "." else tmp_path)
    before = folder.stat().st_ino
    done = command("run", *TINY, "--out", how)
    assert done.status == 0, done.err
    assert folder.stat().st_ino == before
    assert {path.name for path in folder.iterdir()} == RESULTS
    assert {path.name for path in tmp_path.iterdir()} - {"federation.key"} == {"results", "link"}


@pytest.mark.parametrize("kind", ["file", "link to nothing", "fifo"])
def test_a_run_is_refused_a_target_before_anything_is_trained(
    command: Command, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def fails(*_: object) -> None:
        pytest.fail("nothing is to be trained")

    monkeypatch.setattr("secure_fl.federation.run.run_federation", fails)
    target = Path("results")
    if kind == "file":
        target.write_text("precious")
    elif kind == "fifo":
        os.mkfifo(target)
    else:
        target.symlink_to("nothing")
    done = command("run", *TINY, "--out", target)
    assert (done.status, "choose another --out" in done.error) == (2, True)
    assert [path.name for path in Path().iterdir()] == ["results"]


def test_what_a_command_adds_to_is_no_pipe(command: Command) -> None:
    """It would be read first, and nobody writes to it: that waits for ever."""
    os.mkfifo("p.json")
    done = command("synthesize", "--count", "1", "--built-in", "--out", "p.json", "--store", "store")
    assert (done.status, "not a regular file" in done.error) == (2, True)
    pytest.importorskip("river")
    done = command("bench", "claims", "--quick", "--json", "p.json")
    assert (done.status, "not a regular file" in done.error) == (2, True)


def test_proposals_are_added_through_a_link(command: Command) -> None:
    Path("link.json").symlink_to("p.json")
    for count in ("1", "2"):
        arguments = ("synthesize", "--count", count, "--built-in", "--out", "link.json", "--store", "store")
        assert command(*arguments).status == 0
    assert Path("link.json").is_symlink()
    assert len(json.loads(Path("p.json").read_text())["proposals"]) == 2


def test_a_comparison_never_replaces_a_run(command: Command, finished: Path) -> None:
    shutil.copytree(finished, "one")
    before = Path("one/metrics.json").read_bytes()
    done = command("compare", "one", finished, "--json", "one/metrics.json", "--force")
    assert (done.status, "used by this command otherwise" in done.error) == (2, True)
    assert Path("one/metrics.json").read_bytes() == before
    Path("c.html").write_text("old")
    assert command("compare", "one", finished, "--html", "c.html", "--force").status == 0
    assert Path("c.html").read_text().startswith("<!")


def test_a_page_of_the_review_is_never_written_into_its_log(command: Command) -> None:
    assert command("synthesize", "--count", "1", "--built-in", "--out", "p.json", "--store", "store").status == 0
    before = Path("store/review.jsonl").read_bytes()
    done = command("review", "page", "--store", "store", "--out", "store/review.jsonl", "--force")
    assert (done.status, "used by this command otherwise" in done.error) == (2, True)
    assert Path("store/review.jsonl").read_bytes() == before


@pytest.mark.slow
def test_the_figures_of_a_run_are_those_of_its_metrics(command: Command) -> None:
    Path("m.json").write_text("old")
    done = command("run", *TINY, "--out", "one", "--json", "m.json", "--force")
    assert (done.status, "report: one/report.html" in done.out) == (0, True)
    assert Path("m.json").read_bytes() == Path("one/metrics.json").read_bytes()
    done = command("run", *TINY, "--out", "two", "--json", "-")
    assert (done.status, done.out) == (0, Path("two/metrics.json").read_text())
    assert {path.name for path in Path().iterdir()} == {"m.json", "one", "two"}


def test_the_figures_of_a_run_never_replace_what_it_reads(command: Command) -> None:
    Path("a.toml").write_text("rounds = 1\n")
    Path("rows.csv").write_text("a,b\n1,2\n")
    for arguments in (("a.toml", "--json", "a.toml"), ("--dataset", "rows.csv", "--label", "b", "--json", "rows.csv")):
        done = command("run", *arguments, "--out", "one", "--force")
        assert (done.status, "used by this command otherwise" in done.error) == (2, True)
    assert (Path("a.toml").read_text(), Path("rows.csv").read_text()) == ("rounds = 1\n", "a,b\n1,2\n")
    assert not Path("one").exists()


@pytest.mark.slow
def test_an_interrupted_run_says_how_to_go_on_with_its_figures_too(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = evaluate_model
    calls: list[None] = []

    def evaluate(*arguments: Any) -> Any:
        calls.append(None)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(running, "evaluate", evaluate)
    done = command("run", *SMALL, "--scheme", "plaintext", "--rounds", "3", "--out", "one", "--json", "m.json")
    assert (done.status, "go on with secure-fl run --resume one --json m.json" in done.err) == (130, True)
    assert not Path("m.json").exists()
    assert command("run", "--resume", "one", "--json", "m.json").status == 0
    assert Path("m.json").read_bytes() == Path("one/metrics.json").read_bytes()


def test_the_figures_of_scores_are_those_of_the_file_that_was_written(command: Command, finished: Path) -> None:
    simulate = ("data", "simulate", "--transactions", "2000", "--fraud-share", "0.02", "--out")
    assert command(*simulate, "rows.csv").status == 0
    model = finished / "model.safetensors"
    assert command("score", model, "rows.csv", "--out", "plain.csv").status == 0
    done = command("score", model, "rows.csv", "--out", "s.csv", "--json", "-", "--history", "rows.csv")
    said = json.loads(done.out)
    assert {name: said[name] for name in ("schema", "model", "transactions", "history", "out")} == {
        "schema": 1,
        "model": str(model),
        "transactions": "rows.csv",
        "history": "rows.csv",
        "out": "s.csv",
    }
    with Path("rows.csv").open(newline="") as file:
        fraud = [row["fraud"] == "1" for row in csv.DictReader(file)]
    with Path("s.csv").open(newline="") as file:
        scores = [float(row["fraud_probability"]) for row in csv.DictReader(file)]
    assert (said["rows"], said["history_rows"], said["frauds"], said["honest"]) == (2000, 2000, 40, 1960)
    assert said["unscored"] is None
    pairs = [
        (f > h) + (f == h) / 2
        for f, a in zip(scores, fraud, strict=True)
        if a
        for h, b in zip(scores, fraud, strict=True)
        if not b
    ]
    assert said["scores"]["roc_auc"] == pytest.approx(sum(pairs) / len(pairs), abs=1e-6)

    assert command("score", model, "rows.csv", "--out", "again.csv", "--json", "s.json").status == 0
    assert Path("again.csv").read_bytes() == Path("plain.csv").read_bytes(), "labels play no part in scores"
    with Path("rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name, label, why in (("none", None, "has no column"), ("gap", "", "line 2"), ("one", "0", "one class")):
        with Path(name + ".csv").open("w", newline="") as file:
            writer = csv.DictWriter(
                file, [n for n in rows[0] if label is not None or n != "fraud"], extrasaction="ignore"
            )
            writer.writeheader()
            writer.writerows([row | {"fraud": label, "fraud_pattern": "0"} for row in rows])
        done = command("score", model, f"{name}.csv", "--out", f"s-{name}.csv", "--json", f"{name}.json")
        assert done.status == 0, done.err
        said = json.loads(Path(f"{name}.json").read_text())
        assert (said["rows"], said["scores"], why in said["unscored"]) == (2000, None, True)
        assert Path(f"s-{name}.csv").read_bytes() == Path("plain.csv").read_bytes()


@pytest.mark.slow
def test_a_dash_prints_figures_in_place_of_tables(command: Command, finished: Path) -> None:
    for arguments, key in (
        (("compare", finished, finished), "runs"),
        (("bench", "--schemes", "plaintext", "--banks", "3", "--parameters", "50", "--repeat", "1"), "rows"),
    ):
        done = command(*arguments, "--json", "-")
        assert done.status == 0, done.err
        assert json.loads(done.out)[key]
    assert list(Path().iterdir()) == []
    pytest.importorskip("river")
    assert "name a file" in command("bench", "claims", "--json", "-").error


@pytest.mark.slow
def test_what_is_odd_about_the_data_is_said_once_before_training_and_again_at_the_end(command: Command) -> None:
    """Hours that are read as seconds."""
    rows = "".join(f"{n},{n % 97}.5,{int(n % 20 == 3)}\n" for n in range(1_500))
    Path("rows.csv").write_text(f"[b]step,x,y\n{rows}")
    read = ("--dataset", "rows.csv", "--label", "y", "--time", "[b]step", "--numeric", "x")
    done = command("run", *read, "--rounds", "1", "--scheme", "plaintext", "--out", "one")
    assert done.status == 0
    lines = done.err.splitlines()
    (said,) = [line for line in lines if line.startswith("warning: ")]
    assert said.startswith('warning: all 1,500 transactions lie within 1,499 seconds; check column "[b]step"')
    assert lines.index("starting") < lines.index(said) < lines.index("rounds 0/1")
    assert said in " ".join(done.out.split())
