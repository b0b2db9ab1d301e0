"""What a benchmark measures, in which order, and the command that repeats it; nothing is measured here."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from secure_fl.bench import machine
from secure_fl.bench.peers import PEERS
from secure_fl.bench.schemes import benchmark, cases, command, figures
from secure_fl.bench.schemes.benchmark import Benchmark, Settings, run_benchmark
from secure_fl.bench.schemes.cases import (
    CLIP,
    MAX_REPEAT,
    MAX_VALUES,
    Case,
    list_cases,
    make_updates,
    require_measurable,
)
from secure_fl.bench.schemes.dropouts import Dropout
from secure_fl.bench.schemes.page import list_sizes, render
from secure_fl.bench.schemes.rows import Row
from secure_fl.bench.schemes.scaling import scale_sizes
from secure_fl.cli.progress import show_progress
from secure_fl.errors import ConfigurationError, PlanError, SecureFLError
from secure_fl.report.svg import GREY, INK, SKY, SOFT
from secure_fl.secagg import SCHEMES
from tests.page_tables import Tables

MakeRow = Callable[..., Row]
SIZES = [(3, 10), (5, 10), (3, 20)]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, make_row: MakeRow) -> list[Case]:
    """The cases that were measured; each gets a row made by hand."""
    done: list[Case] = []

    def measure(case: Case) -> Row:
        done.append(case)
        return replace(make_row(banks=case.banks, parameters=case.parameters), scheme=case.scheme)

    monkeypatch.setattr(benchmark, "measure_case", measure)
    return done


def drop(case: Case) -> list[Dropout]:
    return [Dropout(case.scheme, case.banks, case.parameters, 8, "masked_input", n, True, 0.1, None) for n in (0, 1)]


@pytest.mark.parametrize("swept", [True, False])
def test_every_case_is_measured_and_swept_if_asked_and_progress_counts_what_is_done(
    measured: list[Case], monkeypatch: pytest.MonkeyPatch, swept: bool
) -> None:
    monkeypatch.setattr(benchmark, "sweep", drop)
    told: list[tuple[str, int, int, int]] = []

    def progress(what: str, done: int, total: int) -> None:
        told.append((what, done, total, len(measured)))

    settings = Settings(["plaintext", "masked"], SIZES, 8, 2, peers=True, drop_sweep=swept)
    found = run_benchmark(settings, "a command", progress)
    assert measured == list_cases(["plaintext", "masked"], SIZES, 8, 2, peers=True)
    count = len(measured)
    rows = [("rows", n, count, n) for n in range(count + 1)]
    assert told == rows + [("dropouts", n, 3, count) for n in range(4) if swept]
    assert [(d.banks, d.parameters) for d in found.dropouts] == [size for size in SIZES for _ in range(2) if swept]
    assert [row.size for row in found.rows] == [(case.banks, case.parameters) for case in measured]
    assert found.command == "a command"


def test_what_would_not_end_is_refused_before_anything_is_measured(measured: list[Case]) -> None:
    for settings in (
        Settings(["masked"], [(3, 10)], 8, 0, False),
        Settings(["masked"], [(3, 10)], 8, MAX_REPEAT + 1, False),
        Settings(["masked"], [(3, 10), (10, MAX_VALUES // 10 + 1)], 8, 1, False),
    ):
        with pytest.raises(ConfigurationError, match="; use"):
            run_benchmark(settings, "")
    assert measured == []
    require_measurable([(10, MAX_VALUES // 10)], MAX_REPEAT)
    require_measurable([(3, 10)], 1)


def test_one_figure_is_enough_and_without_any_the_first_refusal_speaks(
    monkeypatch: pytest.MonkeyPatch, make_row: MakeRow
) -> None:
    def rows(*given: Row) -> Benchmark:
        left = list(given)
        monkeypatch.setattr(benchmark, "measure_case", lambda case: left.pop(0))
        return run_benchmark(Settings(["masked", "bfv", "ckks"], [(3, 10)], 8, 1, False), "")

    case = Case("masked", False, 3, 10, 8)
    failed, refused, other = (
        Row.of(case, "failed", note="it broke"),
        Row.of(case, "refused", note="too wide"),
        Row.of(case, "refused", note="another"),
    )
    assert len(rows(failed, make_row(), refused).rows) == 3
    with pytest.raises(PlanError, match="too wide"):
        rows(failed, refused, other)
    with pytest.raises(SecureFLError, match="masked: it broke; change"):
        rows(failed, replace(failed, note="later"), replace(failed, note="later"))


def test_the_json_holds_everything(make_row: MakeRow) -> None:
    rows = tuple(make_row(banks=n) for n in (3, 30))
    (dropout, _) = drop(Case("masked", False, 3, 10, 8))
    found = json.loads(Benchmark(rows, (dropout,), "a command", {"processor": "x"}).to_json())
    assert found["schema"] == benchmark.SCHEMA
    assert (found["command"], found["machine"]) == ("a command", {"processor": "x"})
    assert found["link"] == {
        "bits_per_second": {"10Mbps": 1e7, "100Mbps": 1e8, "1Gbps": 1e9},
        "latency_seconds_one_way": 0.02,
    }
    assert found["rows"] == [row.to_dict() for row in rows]
    assert [Row.from_dict(row) for row in found["rows"]] == list(rows)
    assert [(fit["against"], fit["sizes"], fit["fixed"]) for fit in found["fits"]] == [("banks", [3, 30], 1_000)]
    assert found["dropouts"] == [dropout.to_dict()]
    with pytest.raises(ValueError, match="JSON"):
        Benchmark((replace(rows[0], server_seconds=float("nan")),), (), "", {}).to_json()


def test_rows_say_whether_their_library_is_there() -> None:
    case = Case("nvflare-he", True, 3, 10, 40)
    for status, installed in (("measured", True), ("refused", True), ("failed", True), ("not installed", False)):
        assert Row.of(case, status).to_dict()["installed"] == installed  # type: ignore[arg-type]


# Cases.


def test_each_size_has_every_scheme_and_peer_with_its_own_bits_and_all_repetitions() -> None:
    found = list_cases(["plaintext", "ckks"], [(3, 10), (4, 20)], 8, 7, peers=True)
    expected = [("plaintext", False, 8), ("plaintext", False, "float32"), ("ckks", False, 8)]
    expected += [(name, True, peer.bits) for name, peer in PEERS.items()]
    assert [(c.scheme, c.peer, c.bits, c.banks, c.parameters) for c in found] == [
        (*case, banks, parameters) for banks, parameters in ((3, 10), (4, 20)) for case in expected
    ]
    assert {case.repeat for case in found} == {7}
    assert len(list_cases(["plaintext"], [(3, 10)], "float32", 1, peers=False)) == 1


def test_updates_have_six_deviations_within_the_clip_and_seeds_and_sizes_of_their_own() -> None:
    case = Case("masked", False, 2, 50_000, 8)
    updates = make_updates(case)
    assert np.std(updates) == pytest.approx(CLIP / 6, rel=0.02)
    assert not np.array_equal(updates[0], updates[1])
    for other in (replace(case, seed=1), replace(case, banks=3)):
        assert not np.array_equal(make_updates(other)[0], updates[0])


def test_lists_of_numbers_keep_their_order_and_no_number_twice() -> None:
    assert cases.parse_numbers("10, 3,10 ,5", "--banks") == [10, 3, 5]
    assert cases.parse_schemes("masked, bfv,masked") == ["masked", "bfv"]
    assert cases.parse_schemes(None) == list(SCHEMES)
    assert cases.parse_bits("float32") == "float32"
    assert cases.parse_bits("12") == 12
    assert cases.parse_numbers("1", "--banks") == [1]


@pytest.mark.parametrize("text", ["0", "0,3", "3,0", "-1,5", "", "3,,4", "3.5"])
def test_numbers_that_are_none_are_refused_by_the_option(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--banks .*; (use|write)"):
        cases.parse_numbers(text, "--banks")


@pytest.mark.parametrize("text", ["rot13", "masked,rot13", "rot13,masked"])
def test_a_scheme_that_does_not_exist_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match="there is no scheme 'rot13'; choose"):
        cases.parse_schemes(text)


# The command.


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, make_row: MakeRow) -> list[tuple[Settings, str]]:
    """What benchmarks were asked for, with the command that each would be repeated by."""
    found: list[tuple[Settings, str]] = []

    def run(settings: Settings, words: str, progress: object) -> Benchmark:
        found.append((settings, words))
        return Benchmark((make_row(),), (), words, {"processor": "x", "cores": "2"})

    monkeypatch.setattr(command, "run_benchmark", run)
    return found


NOTHING: dict[str, Any] = {
    "schemes": None,
    "banks": None,
    "parameters": None,
    "bits": "8",
    "repeat": 5,
    "peers": False,
    "json_file": None,
    "html_file": None,
    "drop_sweep": False,
    "scale": False,
    "force": False,
    "show_progress": show_progress,
}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "--banks 3,10 --parameters 10369,100000 --bits 8 --repeat 5"),
        (
            {"schemes": "bfv,ckks", "banks": "4,7", "parameters": "9", "bits": "float32", "repeat": 2, "peers": True},
            "--schemes bfv,ckks --banks 4,7 --parameters 9 --bits float32 --repeat 2 --peers",
        ),
        ({"banks": "5", "drop_sweep": True}, "--banks 5 --parameters 10369,100000 --bits 8 --repeat 5 --drop-sweep"),
        ({"scale": True, "bits": "6"}, "--bits 6 --scale"),
        ({"scale": True, "schemes": "masked"}, "--schemes masked --bits 8 --scale"),
    ],
)
def test_the_command_that_is_kept_asks_for_the_same_benchmark(
    asked: list[tuple[Settings, str]], options: dict[str, Any], words: str
) -> None:
    command.run_command(**(NOTHING | options))
    settings, kept = asked[0]
    assert kept == f"secure-fl bench {words}"
    again = dict(NOTHING)
    given = shlex.split(kept)[2:]
    for place, word in enumerate(given):
        name = word.removeprefix("--").replace("-", "_")
        if word in ("--peers", "--drop-sweep", "--scale"):
            again[name] = True
        elif word.startswith("--"):
            again[name] = int(given[place + 1]) if word == "--repeat" else given[place + 1]
    command.run_command(**again)
    assert asked[1] == (settings, kept)


def test_settings_are_what_was_asked_for(asked: list[tuple[Settings, str]]) -> None:
    wanted = {"banks": "4,7", "parameters": "9,8", "repeat": 3, "peers": True, "drop_sweep": True, "schemes": "bfv"}
    command.run_command(**(NOTHING | wanted))
    assert asked[0][0] == Settings(["bfv"], [(4, 9), (4, 8), (7, 9), (7, 8)], 8, 3, True, True)
    command.run_command(**(NOTHING | {"scale": True}))
    assert asked[1][0] == Settings(list(SCHEMES), scale_sizes(), 8, repeat=1, peers=False)


@pytest.mark.parametrize("more", [{"banks": "3"}, {"parameters": "9"}, {"peers": True}, {"drop_sweep": True}], ids=str)
def test_scale_goes_with_nothing_that_sets_a_size(asked: list[tuple[Settings, str]], more: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="--scale has sizes of its own; leave out"):
        command.run_command(**(NOTHING | {"scale": True} | more))
    assert asked == []


def test_each_file_gets_what_its_name_says(asked: list[tuple[Settings, str]], tmp_path: Path) -> None:
    command.run_command(**(NOTHING | {"json_file": tmp_path / "b.json", "html_file": tmp_path / "b.html"}))
    text = (tmp_path / "b.json").read_text()
    assert json.loads(text)["command"] == asked[0][1]
    assert text.endswith("}\n")
    assert (tmp_path / "b.html").read_text().startswith("<!DOCTYPE html>")


# The machine.


def test_the_machine_is_described_by_what_it_says_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "processor\t: 0\nmodel\t\t: 85\nmodel name\t: A Processor: fast\nmodel name\t: another\n"
    monkeypatch.setattr("pathlib.Path.read_text", lambda *_, **__: text)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 3 * 2**18}.__getitem__)

    def version(library: str) -> str:
        if library in ("secure-fl", "nvflare"):
            raise PackageNotFoundError
        return f"9 of {library}"

    monkeypatch.setattr(machine, "version", version)
    found = machine.describe_machine()
    assert found.pop("system")
    assert found.pop("python").endswith(os.sys.version.split()[0])  # type: ignore[attr-defined]
    assert found == {
        "processor": "A Processor: fast",
        "cores": "3",
        "memory": "3 GiB",
        "secure-fl": "run from source",
        "numpy": "9 of numpy",
        "cryptography": "9 of cryptography",
        "tenseal": "9 of tenseal",
        "nvflare": "not installed",
        "flwr": "9 of flwr",
        "pyhelayers": "9 of pyhelayers",
    }


# The page and its curves.


def series(make_row: MakeRow) -> tuple[Row, ...]:
    """Client, server and upload grow with powers of their own, and differently in banks and in parameters."""
    return tuple(
        make_row(
            scheme,
            peer=peer,
            banks=n,
            parameters=d,
            client_seconds=n**0.5 * d**0.25 / 1e3,
            server_seconds=n**1.5 * d**0.75 / 1e3,
            upload_bytes=n**2 * d,
        )
        for scheme, peer in (("masked", False), ("nvflare-he", True))
        for n, d in ((3, 1_000), (30, 1_000), (3, 2_000_000))
    )


def test_exponents_and_vanished_banks_stand_under_their_names(
    make_row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secure_fl.bench.schemes.figures.draw_curves", lambda rows: ())
    done, failed = (
        Dropout("masked", 30, 1_000, 8, "masked_input", 4, True, 0.25, None),
        Dropout("masked", 31, 2_000, 8, "masked_input", 16, False, None, "too few"),
    )
    page = render(Benchmark(series(make_row), (done, failed), "", {"processor": "x"}))
    rows = Tables(page).rows
    place = rows.index(["Scheme", "Against", "Sizes", "Fixed", "Client", "Server", "Upload"])
    assert rows[place + 1] == ["masked 8-bit", "banks", "3, 30", "1,000 parameters", "0.50", "1.50", "2.00"]
    assert rows[place + 2][0] == "NVFlare HE"
    assert rows[place + 3] == ["masked 8-bit", "parameters", "1,000, 2,000,000", "3 banks", "0.25", "0.75", "1.00"]
    assert rows[-3:] == [
        ["Scheme", "Banks", "Parameters", "Vanished at masked_input", "Server", "Outcome"],
        ["masked", "30", "1,000", "4", "250 ms", "exact sum over the rest"],
        ["masked", "31", "2,000", "16", "none", "refused: too few"],
    ]
    assert "twice a latency of 20 ms and" in page


def test_only_what_was_not_measured_at_a_size_is_missing_there(make_row: MakeRow) -> None:
    missing = [Row.of(Case("ckks", False, n, 1_000, 8), "refused", note=f"not for {n}") for n in (3, 4)]
    peer = Row.of(Case("nvflare-he", True, 3, 1_000, 40), "not installed", note="install it")
    rows = (make_row(banks=3), missing[0], peer, missing[1], make_row("plaintext", banks=4, decode_seconds=0.0))
    three, four = list_sizes(rows)
    assert (three.title, four.title) == ("3 banks × 1,000 parameters", "4 banks × 1,000 parameters")
    assert (three.missing, four.missing) == ((missing[0], peer), (missing[1],))
    assert [chart.bars[0].percent for chart in four.charts] == [100, 100, 0, 100]
    page = render(Benchmark(rows, (), "", {"processor": "x"}))
    assert "<strong>ckks 8-bit</strong>, refused: not for 3</p>" in page
    assert "<dt>NVFlare HE</dt>" not in page  # its peculiarities matter only beside its figures
    assert "other libraries" not in page


def test_bars_are_shares_of_the_longest_wherever_it_stands(make_row: MakeRow) -> None:
    rows = [make_row(client_seconds=s, upload_bytes=n) for s, n in ((0.02, 500), (0.08, 2_000), (0.04, 1_000))]
    charts = list_sizes(rows)[0].charts
    assert [bar.percent for bar in charts[0].bars] == [25, 100, 50]
    assert [bar.value for bar in charts[3].bars] == ["500 B", "2.0 kB", "1.0 kB"]


def test_curves_hold_one_size_fixed_and_are_named_at_their_ends(
    make_row: MakeRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[str, Any]] = []

    def note(figure: Figure, name: str, label: str) -> str:
        drawn.append((name, figure.axes[0]))
        return label

    monkeypatch.setattr(figures, "to_svg", note)
    rows = (*series(make_row), make_row(banks=3, parameters=10), make_row(banks=90, parameters=10))
    titles = [curve.title for curve in figures.draw_curves(rows)]
    assert titles == [
        f"{name} against {sizes}"
        for sizes in ("banks, 10 parameters", "banks, 1,000 parameters", "parameters, 3 banks")
        for name in ("Client", "Server", "Upload per bank")
    ]
    found = dict(drawn)
    assert len(found) == 18
    assert {name.rpartition("-")[2] for name in found} == {"wide", "narrow"}
    wide, narrow = found["client-seconds-banks-1000-wide"], found["client-seconds-banks-1000-narrow"]
    assert wide.figure.get_figwidth() > narrow.figure.get_figwidth()
    ours, theirs = wide.lines
    assert (ours.get_color(), theirs.get_color()) == (SKY, GREY)
    assert (ours.get_linestyle(), theirs.get_linestyle()) == ("-", "--")
    assert np.asarray(ours.get_xydata()).tolist() == [[n, n**0.5 * 1_000**0.25 / 1e3] for n in (3, 30)]
    assert [text.get_text() for text in wide.texts] == ["masked 8-bit", "NVFlare HE"]
    tallest = found["upload-bytes-parameters-3-wide"]
    assert np.asarray(tallest.lines[0].get_xydata())[-1].tolist() == [2_000_000, 9 * 2_000_000]
    assert [label.get_text() for label in tallest.get_xticklabels()] == ["10", "1k", "2M"]
    assert tallest.yaxis.get_major_formatter()(1e6, 0) == "1.0 MB"
    assert wide.yaxis.get_major_formatter()(0.1, 0) == "100 ms"


def test_ticks_in_words() -> None:
    said = {0.01: "10 ms", 1.0: "1 s", 100.0: "100 s", 1e-3: "1 ms", 1e-4: "100 µs", 1e-6: "1 µs", 1e-10: "0.1 ns"}
    assert {value: figures._power_text(value) for value in said} == said
    assert [figures._short(n) for n in (999, 1_000, 10_369, 999_999, 1_000_000)] == [
        "999",
        "1k",
        "10.4k",
        "1M",
        "1M",
    ]
    assert figures._apart([10, 11, 12, 100, 1_000]) == [10, 100, 1_000]
    assert figures._apart([100, 120, 140, 1_000, 10_000]) == [100, 140, 1_000, 10_000]
    assert figures._colors([]) == {}


def test_colours_tell_our_schemes_and_peers_apart(make_row: MakeRow) -> None:
    rows = [make_row("nvflare-he", peer=True), make_row("masked"), make_row("flower-secaggplus", peer=True)]
    rows.append(make_row("ckks"))
    assert figures._colors(rows) == {
        "NVFlare HE": GREY,
        "Flower SecAgg+": SOFT,
        "masked 8-bit": SKY,
        "ckks 8-bit": GREY,
    }
    assert INK in figures.THEIRS
