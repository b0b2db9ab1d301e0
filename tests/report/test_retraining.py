"""A run again without a bank: the model of a run that the bank never joined, and what cannot be done again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from secure_fl import Experiment, Result, run_federation
from secure_fl.data.datasets import open_dataset
from secure_fl.errors import ConfigurationError, DataError, PrivacyError, RecordError
from secure_fl.federation.checkpoint import Checkpoint
from secure_fl.report.record import RECORD
from secure_fl.report.record_check import verify_record
from secure_fl.report.retraining import retraining

OTHER = "ab" * 32
COLUMNS: dict[str, Any] = {
    "label": "fraud",
    "time": "time",
    "amount": "amount",
    "categorical": ("kind",),
    "identifiers": ("customer",),
}
SETTINGS: dict[str, Any] = {"scheme": "masked", "rounds": 2, "batch_size": 128}


def rows(count: int = 2_000) -> pd.DataFrame:
    """A table in no order, each row with an amount of its own."""
    rng = np.random.default_rng(1)
    fraud = rng.random(count) < 0.1
    return pd.DataFrame(
        {
            "fraud": fraud.astype(int),
            "time": rng.permutation(count) * 1_000.0,
            "amount": rng.permutation(count) / 100 + 50 * fraud + 1,
            "customer": [f"c{number}" for number in rng.integers(0, 60, count)],
            "kind": [f"k{number}" for number in rng.integers(0, 4, count)],
        }
    )


def csv(table: pd.DataFrame, path: Path) -> str:
    table.to_csv(path, index=False)
    return str(path)


def told(result: Result) -> list[tuple[Any, ...]]:
    """What each round came to."""
    return [(r.round, r.contributors, r.dropped, r.model_sha256, r.auprc) for r in result.rounds]


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame, Experiment]:
    """A run of four banks, the rows, and the settings."""
    folder, table = tmp_path_factory.mktemp("earlier"), rows()
    drop = ("bank-2@1:masked_input", "bank-3@2:masked_input")
    experiment = Experiment(dataset=csv(table, folder / "rows.csv"), banks=4, drop=drop, **COLUMNS, **SETTINGS)
    return run_federation(experiment).save(folder / "run"), table, experiment


@pytest.fixture(scope="module")
def again(earlier: tuple[Path, pd.DataFrame, Experiment], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run without bank-2."""
    settings = retraining(earlier[0], ["bank-2"]).settings
    return run_federation(settings).save(tmp_path_factory.mktemp("again") / "run")


def held(experiment: Experiment, table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows that each bank of a run held, found by their amounts."""
    frames = {}
    for bank in open_dataset(experiment, tables=True).banks:
        assert bank.table is not None
        assert bank.test_table is not None
        amounts = {*bank.table.numeric["amount"], *bank.test_table.numeric["amount"]}
        frames[bank.name] = table[table["amount"].isin(amounts)].sample(frac=1, random_state=3)
    return frames


@pytest.mark.slow
def test_the_model_is_that_of_a_run_which_the_bank_never_joined(
    earlier: tuple[Path, pd.DataFrame, Experiment],
) -> None:
    run, table, experiment = earlier
    frames = held(experiment, table)
    assert sum(map(len, frames.values())) == len(table)
    del frames["bank-2"]
    never = run_federation(
        Experiment(dataset="in-memory", drop=experiment.drop[1:], **COLUMNS, **SETTINGS), banks=frames
    )
    done = run_federation(retraining(run, ["bank-2"]).settings)
    assert told(done) == told(never)
    assert told(done)[1][1:3] == (("bank-1", "bank-4"), ("bank-3",)), "names are as they were"
    assert np.array_equal(done.model.weights, never.model.weights)
    assert done.model.feature_schema == never.model.feature_schema
    assert (done.final, done.local, done.central) == (never.final, never.local, never.central)
    assert done.data["banks"] == never.data["banks"]
    weights = json.loads((run / "metrics.json").read_text())["rounds"][-1]["model_sha256"]
    assert weights != done.rounds[-1].model_sha256


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["timed", "in order of the file"])
def test_nothing_that_the_bank_held_has_a_say(tmp_path: Path, kind: str) -> None:
    """Not by the cut in time, by what a column is taken for, by gaps or by sums."""
    table, timed = rows(1_200).drop(columns="customer"), kind == "timed"
    table["extra"] = np.arange(len(table)) % 7 + 0.5
    table = table if timed else table.drop(columns="time")
    columns: dict[str, Any] = {"label": "fraud", "amount": "amount"} | ({"time": "time"} if timed else {})
    whole = Experiment(dataset=csv(table, tmp_path / "one.csv"), banks=4, impute=True, **columns, **SETTINGS)
    frames = held(whole, table)
    leaving = next(name for name, frame in frames.items() if 0 in frame.index)

    other, places = table.astype({"extra": object}), frames[leaving].index
    other.loc[places, "amount"] *= 1_000
    other.loc[places, "fraud"] = 1 - other.loc[places, "fraud"]
    other.loc[places, "kind"] = "another"
    other.loc[places, "extra"] = "text"
    if timed:  # the order of time, by which rows are dealt, stays
        other["time"] = other["time"].where(~other.index.isin(places), other["time"] + 900)
    changed = whole.with_(dataset=csv(other, tmp_path / "two.csv"))
    assert open_dataset(changed).banks[0].train.schema != open_dataset(whole).banks[0].train.schema

    one, two = (run_federation(each.with_(banks=3, without=(leaving,))) for each in (whole, changed))
    assert told(one) == told(two)
    assert one.model.feature_schema == two.model.feature_schema
    assert {**one.data, "source": ""} == {**two.data, "source": ""}


def test_what_is_wrong_with_a_row_is_said_by_its_own_line(tmp_path: Path) -> None:
    table = rows(600).drop(columns=["customer", "time"])
    table["extra"] = np.arange(len(table)) % 7 + 0.5
    whole = Experiment(dataset=csv(table, tmp_path / "one.csv"), label="fraud", amount="amount", banks=4)
    frames = held(whole, table)
    leaving = next(name for name, frame in frames.items() if 0 in frame.index)
    places, other = frames[leaving].index, table.astype({"extra": object})
    other.loc[places, "extra"] = "text"
    kept = next(place for place in reversed(table.index) if place not in places)
    other.loc[kept, "extra"] = "word"
    changed = whole.with_(dataset=csv(other, tmp_path / "two.csv"))
    open_dataset(changed)
    with pytest.raises(DataError, match=f"line {kept + 2} of "):
        open_dataset(changed.with_(banks=3, without=(leaving,)))


@pytest.mark.slow
def test_the_record_the_figures_and_the_report_say_who_left(
    earlier: tuple[Path, pd.DataFrame, Experiment], again: Path
) -> None:
    head = verify_record(earlier[0]).head
    first = json.loads((again / RECORD).read_bytes().splitlines()[0])["says"]
    assert (first["without"], first["retrained_from"]) == (["bank-2"], head)
    assert first["banks"] == ["bank-1", "bank-3", "bank-4"]
    before = json.loads((earlier[0] / RECORD).read_bytes().splitlines()[0])["says"]
    assert (before["without"], before["retrained_from"]) == ([], None)
    metrics = json.loads((again / "metrics.json").read_text())["experiment"]
    assert (metrics["without"], metrics["retrained_from"]) == (["bank-2"], head)
    page = (again / "report.html").read_text()
    assert (
        "bank-2 left: this model was trained without any of their rows, in the place of the run whose record ends"
        in page
    )
    assert head in page
    assert "left: this model" not in (earlier[0] / "report.html").read_text()
    kept = Experiment.from_toml(again / "experiment.toml")
    assert (kept.banks, kept.without, kept.retrained_from, kept.drop) == (
        3,
        ("bank-2",),
        head,
        ("bank-3@2:masked_input",),
    )


@pytest.mark.slow
def test_one_that_was_stopped_goes_on_without_the_bank(
    earlier: tuple[Path, pd.DataFrame, Experiment], again: Path, tmp_path: Path
) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("rounds", 1):
            raise KeyboardInterrupt

    settings, run = retraining(earlier[0], ["bank-2"]).settings, tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        run_federation(settings, stop, Checkpoint.of_results(run))
    checkpoint = Checkpoint.of_results(run, resume=True)
    assert checkpoint.settings() == settings
    done = run_federation(checkpoint.settings(), checkpoint=checkpoint)
    rounds = json.loads((again / "metrics.json").read_text())["rounds"]
    assert [record.model_sha256 for record in done.rounds] == [record["model_sha256"] for record in rounds]


@pytest.mark.slow
def test_banks_that_leave_one_after_the_other_are_as_if_they_had_left_at_once(
    run_small: Callable[..., Result], tmp_path: Path
) -> None:
    run = run_small(scheme="plaintext", banks=5, rounds=1).save(tmp_path / "run")
    first = run_federation(retraining(run, ["bank-2"]).settings).save(tmp_path / "first")
    second = run_federation(retraining(first, ["bank-4"]).settings)
    assert second.experiment["without"] == ["bank-2", "bank-4"]
    assert told(second) == told(run_federation(retraining(run, ["bank-4", "bank-2"]).settings))


@pytest.mark.slow
def test_a_second_time_it_is_known_who_is_left(earlier: tuple[Path, pd.DataFrame, Experiment], again: Path) -> None:
    for leaving, words in (
        ("bank-2", "left already"),
        ("bank-3", "fewer than 3"),
        ("bank-5", "bank-1, bank-3, bank-4"),
    ):
        assert_refused(again, [leaving], words)


def assert_refused(run: Path, leaving: list[str], words: str, error: type[Exception] = ConfigurationError) -> None:
    with pytest.raises(error) as caught:
        retraining(run, leaving)
    assert words in str(caught.value)
    assert "; " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("leaving", "words"),
    [
        (["bank-5"], "'bank-5'"),
        (["bank-2", "bank-2"], "leaves twice"),
        (["bank-2", "bank-3"], "fewer than 3 are left"),
    ],
)
def test_who_cannot_leave_is_told(
    earlier: tuple[Path, pd.DataFrame, Experiment], leaving: list[str], words: str
) -> None:
    assert_refused(earlier[0], leaving, words)


@pytest.fixture
def copied(earlier: tuple[Path, pd.DataFrame, Experiment], tmp_path: Path) -> Path:
    return Path(shutil.copytree(earlier[0], tmp_path / "copy"))


def test_only_a_run_whose_record_holds_is_done_again(copied: Path, tmp_path: Path) -> None:
    settings = copied / "experiment.toml"
    text = settings.read_text()
    settings.write_text(text.replace("rounds = 2", "rounds = 1"))
    assert_refused(copied, ["bank-2"], "experiment.toml was changed after the run", RecordError)
    settings.write_text(text)
    assert retraining(copied, ["bank-2"]).settings.rounds == 2
    with pytest.raises(RecordError, match="not by the one that was named"):
        retraining(copied, ["bank-2"], key=OTHER)
    (copied / RECORD).unlink()
    assert_refused(copied, ["bank-2"], "nothing can be verified")
    assert_refused(tmp_path / "nothing", ["bank-2"], "nothing can be verified")


def signed(folder: Path, run_small: Callable[..., Result], **settings: Any) -> Path:
    """A run with these settings, of one round."""
    return run_small(scheme="plaintext", rounds=1, **settings).save(folder / "run")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "leaving", "words"),
    [
        ({"banks": 4, "threshold": 4}, "bank-2", "a threshold of 4 is refused"),
        ({"banks": 4, "byzantine": 1, "attack": "sign-flip"}, "bank-4", "an honest one would attack in its place"),
        ({"banks": 5, "byzantine": 1, "robust": "krum"}, "bank-2", "krum needs 2 f + 3 banks"),
    ],
)
def test_what_others_would_have_to_change_for_is_refused(
    settings: dict[str, Any], leaving: str, words: str, run_small: Callable[..., Result], tmp_path: Path
) -> None:
    run = signed(tmp_path, run_small, **settings)
    assert_refused(run, [leaving], words)


@pytest.mark.slow
def test_attackers_stay_who_they_were(run_small: Callable[..., Result], tmp_path: Path) -> None:
    run = signed(tmp_path, run_small, banks=4, byzantine=1, attack="sign-flip")
    assert retraining(run, ["bank-1"]).settings.attackers == ("bank-4",)


@pytest.mark.slow
def test_rows_that_are_others_are_noticed(copied: Path, earlier: tuple[Path, pd.DataFrame, Experiment]) -> None:
    path = Path(earlier[2].dataset)
    content = path.read_text()
    try:
        path.write_text("".join(content.splitlines(keepends=True)[:-50]))
        assert_refused(copied, ["bank-2"], "are not the rows of that run", DataError)
    finally:
        path.write_text(content)


@pytest.mark.slow
def test_the_others_pay_for_their_privacy_again(
    small: Callable[..., Experiment], tmp_path: Path, ledgers: Path
) -> None:
    noise: dict[str, Any] = {"noise_multiplier": 1.0, "delta": 1e-5, "lifetime_epsilon": 99.0}
    private = small(banks=4, scheme="masked", rounds=1, batch_size=256, **noise)
    done = run_federation(private)
    assert done.privacy is not None
    asked = retraining(done.save(tmp_path / "run"), ["bank-2"])
    assert (
        f"costs their privacy again: about {done.privacy.epsilon:.3g} of epsilon at delta 1e-05" in asked.beforehand[1]
    )
    with pytest.raises(PrivacyError, match="bank-1"):  # not for once, but for twice what was spent
        run_federation(asked.settings.with_(lifetime_epsilon=1.05 * done.privacy.epsilon))


@pytest.mark.slow
def test_rows_from_python_are_handed_over_without_the_bank(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    banks = {}
    for name in ("north", "south", "east", "west"):
        x = rng.normal(size=(200, 3))
        banks[name] = (x, (x[:, 0] > 1).astype(int))
    run = run_federation(Experiment(**SETTINGS), banks=banks).save(tmp_path / "run")
    settings = retraining(run, ["south"]).settings
    with pytest.raises(ConfigurationError, match="south has left"):
        run_federation(settings, banks=banks)
    del banks["south"]
    done = run_federation(settings, banks=banks)
    assert done.experiment["without"] == ["south"]
    assert told(done) == told(run_federation(Experiment(**SETTINGS), banks=banks))
