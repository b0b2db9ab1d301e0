"""docs/your-data.md: its commands, run on rows in the form of the files that it names, and its tables.

The files' terms forbid to keep parts of them here; headers, formats, units and gaps are theirs, values are drawn.
"""

from __future__ import annotations

import csv
import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from secure_fl import Experiment, run_federation
from secure_fl.cli.app import main
from secure_fl.data import Declaration, ReadTable, read_table

PAGE = Path(__file__).parents[2] / "docs" / "your-data.md"
ROWS = 2_000

SPARKOV = (
    ",trans_date_trans_time,cc_num,merchant,category,amt,first,last,gender,street,city,state,zip,lat,long,city_pop,"
    "job,dob,trans_num,unix_time,merch_lat,merch_long,is_fraud"
)

PAYSIM = (
    "step,type,amount,nameOrig,oldbalanceOrg,newbalanceOrig,nameDest,oldbalanceDest,newbalanceDest,isFraud,"
    "isFlaggedFraud"
)

BAF = (
    "fraud_bool,income,name_email_similarity,prev_address_months_count,current_address_months_count,customer_age,"
    "days_since_request,intended_balcon_amount,payment_type,zip_count_4w,velocity_6h,velocity_24h,velocity_4w,"
    "bank_branch_count_8w,date_of_birth_distinct_emails_4w,employment_status,credit_risk_score,email_is_free,"
    "housing_status,phone_home_valid,phone_mobile_valid,bank_months_count,has_other_cards,proposed_credit_limit,"
    "foreign_request,source,session_length_in_minutes,device_os,keep_alive_session,device_distinct_emails_8w,"
    "device_fraud_count,month"
)

Row = list[Any]
Form = tuple[str, list[str], list[Row]]
"""The file's name, its header, its rows."""


def recipes() -> dict[str, str]:
    """Title -> text of each section of the page that is about a file."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def commands(section: str) -> list[str]:
    """The command lines of a section, each whole."""
    block = "\n".join(line[4:] for line in section.splitlines() if line.startswith("    "))
    return block.replace("\\\n", " ").splitlines()


def table(section: str) -> dict[str, set[str]]:
    """What the section says of the columns: use -> names."""
    lines = re.findall(r"^\| (?!used as)([^|]+) \| (`.+) \|$", section, flags=re.MULTILINE)
    return {use: set(names(cell)) for use, cell in lines}


def names(cell: str) -> Iterator[str]:
    """`A`, and each of `D5` to `D9`."""
    for part in cell.split(", "):
        first, *last = re.findall(r"`([^`]+)`", part)
        if last:
            stem, low, high = first.rstrip("0123456789"), *(int(re.sub(r"\D", "", end)) for end in (first, last[0]))
            yield from (f"{stem}{number}" for number in range(low, high + 1))
        else:
            yield first


def some_fraud(row: int) -> int:
    return int(row % 23 == 5)


def sparkov(rng: np.random.Generator) -> Form:
    start = np.datetime64("2019-01-01T00:00:18")
    rows = [
        [
            *(n, str(start + np.timedelta64(n * 3_600, "s")).replace("T", " "), 2_703_186_189_652_095 + n % 50),
            *(f'fraud_Rippin, "Kub" and Mann{n % 80}', ("misc_net", "grocery_pos")[n % 2]),
            *(
                round(float(rng.lognormal(3, 1)), 2),
                "Jennifer",
                "Banks",
                "FM"[n % 2],
                "561 Perry Cove",
                "Moravian Falls",
            ),
            *(("NC", "WA")[n % 2], 28_654, 36.0788, -81.1781, 3_495, "Psychologist, counselling", "1988-03-09"),
            *(f"{n:032x}", 1_325_376_018 + n * 3_600, 36.011293, round(-82.048315 - n % 7, 6), some_fraud(n)),
        ]
        for n in range(ROWS)
    ]
    return "fraudTrain.csv", SPARKOV.split(","), rows


def paysim(rng: np.random.Generator) -> Form:
    kinds = ("PAYMENT", "TRANSFER", "CASH_OUT", "DEBIT", "CASH_IN")
    rows = [
        [
            *(
                1 + n * 743 // ROWS,
                kinds[n % 5],
                round(float(rng.lognormal(9, 2)), 2),
                f"C{1_231_006_815 + n}",
                170_136.0,
            ),
            *(160_296.36, f"{'CM'[n % 2]}{1_979_787_155 + n % 90}", 0.0, 0.0, some_fraud(n), 0),
        ]
        for n in range(ROWS)
    ]
    return "paysim.csv", PAYSIM.split(","), rows


def ieee_cis(rng: np.random.Generator) -> Form:
    header = [
        *(
            "TransactionID",
            "isFraud",
            "TransactionDT",
            "TransactionAmt",
            "ProductCD",
            *(f"card{n}" for n in range(1, 7)),
        ),
        *("addr1", "addr2", "dist1", "dist2", "P_emaildomain", "R_emaildomain", *(f"C{n}" for n in range(1, 15))),
        *(*(f"D{n}" for n in range(1, 16)), *(f"M{n}" for n in range(1, 10)), *(f"V{n}" for n in range(1, 340))),
    ]
    assert len(header) == 394

    def gaps(values: list[Any], n: int) -> list[Any]:
        return ["" if (n + place) % 3 == 0 else value for place, value in enumerate(values)]

    rows = [
        [
            *(2_987_000 + n, some_fraud(n), 86_400 + 7_800 * n, round(float(rng.lognormal(4, 1)), 3), "WCHRS"[n % 5]),
            *(13_926 + n % 40, *gaps([111.0, 150.0, "visa", 142.0, "credit"], n)),
            *gaps([315.0, 87.0, 19.0, 287.0, "gmail.com", "yahoo.com"], n),
            *(float((n + place) % 9) for place in range(14)),
            *gaps([float((n * place) % 31) for place in range(15)], n),
            *gaps(["T", "T", "F", f"M{n % 3}", "F", "T", "F", "F", "T"], n),
            *gaps([1.0] * 339, n),
        ]
        for n in range(ROWS)
    ]
    return "train_transaction.csv", header, rows


def baf(rng: np.random.Generator) -> Form:
    rows = [
        [
            *(
                some_fraud(n),
                0.1 * (1 + n % 9),
                float(rng.random()),
                -1,
                25,
                40,
                0.006735387081,
                -1.074,
                f"A{'ABCDE'[n % 5]}",
            ),
            *(1_059, 13_096.035018, 7_850.955007, 6_742.080561, 5 + n % 11, 5, f"C{'ABCDEFG'[n % 7]}", 163 + n % 50, 1),
            *(f"B{'ABCDEFG'[n % 7]}", 0, 1, 9, 0, 1_500.0, 0, "INTERNET", 16.224843, ("linux", "other")[n % 2]),
            *(1, 1, 0, (n * 7) % 8),  # not in order of time
        ]
        for n in range(ROWS)
    ]
    return "Base.csv", BAF.split(","), rows


def tabformer(rng: np.random.Generator) -> Form:
    header = [
        *("User", "Card", "Year", "Month", "Day", "Time", "Amount", "Use Chip", "Merchant Name", "Merchant City"),
        *("Merchant State", "Zip", "MCC", "Errors?", "Is Fraud?"),
    ]
    chips = ("Swipe Transaction", "Chip Transaction", "Online Transaction")

    def row(n: int, year: int) -> Row:
        online = n % 3 == 2
        amount = float(rng.lognormal(3, 1)) * (1 if n % 17 else -1)
        return [
            *(
                n // 500,
                n % 2,
                year,
                1 + n % 12,
                1 + n % 28,
                f"{n % 24:02}:{n % 60:02}",
                f"${amount:.2f}",
                chips[n % 3],
            ),
            *((-1) ** n * (3_527_213_246_127_876_953 + n % 60), "ONLINE" if online else "La Verne"),
            *("" if online else "CA", "" if online else "91750.0", 5_300 + n % 4),
            *("Bad PIN,Insufficient Balance" if n % 40 == 7 else "", ("No", "Yes")[some_fraud(n)]),
        ]

    rows = [row(n, year) for n, year in zip(range(ROWS), itertools.cycle((2018, 2019, 2020)), strict=False)]
    return "card_transaction.v1.csv", header, [*rows, *(row(n, 2002) for n in range(100))]


FORMS: dict[str, Callable[[np.random.Generator], Form]] = {
    "Sparkov": sparkov,
    "PaySim": paysim,
    "IEEE-CIS": ieee_cis,
    "BAF": baf,
    "TabFormer": tabformer,
}


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """`beside(title)`: the section's last command, as words; its file lies in the folder in which one is."""

    def prepare(title: str) -> list[str]:
        monkeypatch.chdir(tmp_path)
        name, header, rows = FORMS[title](np.random.default_rng(11))
        with Path(name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *rows])
        *before, last = commands(recipes()[title])
        for line in before:
            subprocess.run(["sh", "-c", line], check=True)
        return shlex.split(last)

    return prepare


def settings_of(words: list[str], monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """What the command line makes of a command."""
    taken: list[Experiment] = []
    monkeypatch.setattr("secure_fl.cli.run._finish_run", lambda chosen, *_: taken.append(chosen))
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    return taken[0]


def read_as(experiment: Experiment) -> ReadTable:
    fields = Declaration.__dataclass_fields__.keys() & Experiment.model_fields.keys()
    return read_table(Path(experiment.dataset), Declaration(**{name: getattr(experiment, name) for name in fields}))


def as_table(used: dict[str, str], ignored: list[str]) -> dict[str, set[str]]:
    uses = {use: {name for name, is_used_as in used.items() if is_used_as == use} for use in used.values()}
    return uses | ({"not used": set(ignored)} if ignored else {})


def test_every_file_of_the_page_is_tried() -> None:
    assert list(recipes()) == list(FORMS)
    assert all(commands(text)[-1].startswith("secure-fl run --dataset ") for text in recipes().values())


def needed(title: str) -> list[Any]:
    if title == "TabFormer" and shutil.which("awk") is None:
        return [pytest.mark.skip(reason="there is no awk")]
    return []


@pytest.mark.slow
@pytest.mark.parametrize("title", [pytest.param(title, marks=needed(title)) for title in FORMS])
def test_a_known_file_is_read_as_the_page_says(
    title: str, beside: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = settings_of(beside(title), monkeypatch)
    read = read_as(experiment)
    assert as_table(dict(read.used), list(read.ignored)) == table(recipes()[title])
    assert read.warnings == ()
    rows = read.transactions
    assert (len(rows), int(rows.fraud.sum())) == (ROWS, sum(map(some_fraud, range(ROWS))))
    days = np.ptp(rows.when) / 86_400
    expected = {"Sparkov": ROWS / 24, "PaySim": 742 / 24, "IEEE-CIS": 1_999 * 7_800 / 86_400, "BAF": 210.0}
    if title in expected:
        assert days == pytest.approx(expected[title], rel=0.01)
    else:
        assert 3 * 365 - 60 < days < 3 * 365 + 1  # the rows of 2002 are gone
    trained = run_federation(experiment.with_(rounds=1, scheme="plaintext"))
    assert trained.data["rows"] == ROWS
    assert as_table(trained.data["columns"]["used"], trained.data["columns"]["ignored"]) == table(recipes()[title])


@pytest.mark.slow
def test_a_recipe_ends_with_a_report(beside: Callable[[str], list[str]]) -> None:
    _, *words = beside("Sparkov")
    command = [sys.executable, "-m", "secure_fl.cli.app", *words, "--rounds", "1", "--out", "result"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "used as amount: amt" in done.stdout) == (0, True), done.stderr
    columns = json.loads(Path("result/metrics.json").read_text(encoding="utf-8"))["data"]["columns"]
    assert columns["used"]["cc_num"] == "identifier, pseudonymized"
    assert Path("result/report.html").stat().st_size > 10_000


def test_no_hour_is_made_of_a_month(beside: Callable[[str], list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole months fall on one hour, and its sine would be noise of rounding, blown up by standardization."""
    from secure_fl.data import describe

    schema = read_as(settings_of(beside("BAF"), monkeypatch)).transactions.schema
    assert schema.time == "month"
    assert not any(name.startswith("month") for name in describe(schema))
