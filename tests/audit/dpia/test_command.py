"""`secure-fl audit --dpia`: what it writes and says, and what it refuses with nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from secure_fl import Result
from secure_fl.audit.dpia import draft_of, read_facts, to_markdown
from secure_fl.audit.dpia.card import card_of
from secure_fl.audit.dpia.command import CARD, FIGURES, FOLDER, MARKDOWN, PAGE
from secure_fl.audit.dpia.law import statements
from secure_fl.audit.dpia.layouts import LAYOUTS, ORDERS
from secure_fl.audit.dpia.stages import HELD
from secure_fl.audit.dpia.tree import Blank
from secure_fl.cli.app import app
from secure_fl.errors import ConfigurationError, RecordError
from secure_fl.report.record_key import RecordKey
from tests.audit.dpia.test_canaries import audited
from tests.report.test_record import chained, said


def audit(*arguments: object) -> str:
    """What is printed. Raises the command's error."""
    done = CliRunner().invoke(app, ["audit", *map(str, arguments)])
    if done.exception is not None:
        raise done.exception
    return done.output


def test_a_draft_is_written_in_markdown_as_a_page_and_as_figures(copy: Path, tmp_path: Path) -> None:
    out = audit(copy, "--dpia", "--json", tmp_path / "d.json", "--out", tmp_path / "d.html")
    folder = copy / FOLDER
    assert {path.name for path in folder.iterdir()} == {MARKDOWN, PAGE, FIGURES, CARD}
    assert (tmp_path / "d.html").read_text(encoding="utf-8") == (folder / PAGE).read_text(encoding="utf-8")
    figures = json.loads((folder / FIGURES).read_text(encoding="utf-8"))
    assert json.loads((tmp_path / "d.json").read_text(encoding="utf-8")) == figures
    assert figures["layout"] == "edpb"
    assert figures["made_from"]["head"] == json.loads((copy / "record.jsonl").read_text().splitlines()[-1])["hash"]
    assert len(figures["blanks"]) > 40
    assert [blank["number"] for blank in figures["blanks"]] == list(range(1, len(figures["blanks"]) + 1))
    assert f"a draft, no legal advice: {len(figures['blanks'])} blanks left to people" in out
    assert "https://" not in (folder / PAGE).read_text(encoding="utf-8")
    assert json.loads(audit(copy, "--dpia", "--json", "-", "--force")) == figures


def test_a_draft_that_is_there_is_kept_unless_asked(copy: Path) -> None:
    audit(copy, "--dpia")
    first = (copy / FOLDER / MARKDOWN).read_text(encoding="utf-8")
    with pytest.raises(ConfigurationError, match="--force replaces it"):
        audit(copy, "--dpia", "--layout", "cnil")
    assert (copy / FOLDER / MARKDOWN).read_text(encoding="utf-8") == first
    audit(copy, "--dpia", "--layout", "cnil", "--force")
    assert "Study of the context" in (copy / FOLDER / MARKDOWN).read_text(encoding="utf-8")
    assert 'not in the record: "dpia/' in audit(copy, "--verify"), "the draft leaves the run as it was"


def test_a_changed_run_is_named_and_nothing_is_written(copy: Path, tmp_path: Path) -> None:
    (copy / "metrics.json").write_text((copy / "metrics.json").read_text() + " ")
    with pytest.raises(RecordError, match=r"metrics\.json was changed after the run"):
        audit(copy, "--dpia", "--json", tmp_path / "d.json")
    lines = (copy / "record.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "record.jsonl").write_bytes(b"".join([lines[0], *lines[2:]]))
    with pytest.raises(RecordError, match=r"line 2 of .* was changed, or the line that stood there"):
        audit(copy, "--dpia")
    (copy / "record.jsonl").unlink()
    with pytest.raises(ConfigurationError, match="a run of an earlier version, or no finished run"):
        audit(copy, "--dpia")
    assert not (copy / FOLDER).exists()
    assert not (tmp_path / "d.json").exists()


def test_a_record_that_does_not_name_what_is_read_is_refused(copy: Path) -> None:
    """Whoever holds the key could leave a file out, and change it afterwards."""
    kept = [(kind, {} if kind == "files" else says) for kind, says in said(copy)[:-1]]
    (copy / "record.jsonl").write_bytes(chained([*kept, ("signature", {})], RecordKey.of_user()))
    with pytest.raises(RecordError, match=r"experiment\.toml is not what the record says"):
        audit(copy, "--dpia")


def test_somebody_elses_run_is_drafted_under_their_key_and_head(
    run_small: Callable[..., Result], tmp_path: Path
) -> None:
    from secure_fl.report.outputs import write_run

    theirs, run = RecordKey.generate(), tmp_path / "run"
    run.mkdir()
    signed = write_run(run_small(scheme="plaintext"), run, key=theirs)
    with pytest.raises(RecordError, match="which is not yours"):
        audit(run, "--dpia")
    with pytest.raises(RecordError, match="not with the noted one"):
        audit(run, "--dpia", "--key", theirs.public, "--head", "ab" * 32)
    audit(run, "--dpia", "--key", theirs.public, "--head", signed.head)
    assert theirs.public in (run / FOLDER / MARKDOWN).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "asked",
    [
        ("--group", "bank"),
        ("--threshold", 0.0),
        ("--max-gap", 0.0),
        ("--max-psi", 0.1),
        ("--drift", "a.csv", "b.csv"),
        ("--rows", 5),
    ],
    ids=lambda asked: asked[0],
)
def test_a_draft_asks_nothing_of_the_model(copy: Path, asked: tuple[object, ...]) -> None:
    with pytest.raises(ConfigurationError, match=r"is not for --dpia; leave|ask for different things; ask one"):
        audit(copy, "--dpia", *asked)


def test_what_does_not_go_together_is_one_line(copy: Path) -> None:
    with pytest.raises(ConfigurationError, match="--verify and --dpia ask for different things"):
        audit(copy, "--dpia", "--verify")
    with pytest.raises(ConfigurationError, match="--layout is for --dpia"):
        audit(copy, "--layout", "cnil")
    with pytest.raises(ConfigurationError, match="there is no layout 'ico'; choose one of edpb, cnil"):
        audit(copy, "--dpia", "--layout", "ico")
    assert not (copy / FOLDER).exists()


ATTACKS: dict[str, dict[str, Any]] = {
    "inversion": {"batch": 4, "success_rate": 0.9, "interval": [0.8, 0.95], "guessing": 0.1},
    "membership": {"epsilon": None, "success_rate": 0.2, "interval": [0.1, 0.3]},
    "audit-epsilon": {"audited_epsilon": 1.3, "claimed_epsilon": 3.0, "refuted": False},
}


def test_attacks_that_lie_with_the_run_are_evidence(copy: Path) -> None:
    (copy / "attacks").mkdir()
    for kind, row in ATTACKS.items():
        report = {"attack": kind, "scheme": "plaintext", "settings": {"dataset": "ulb"}, "results": [row]}
        (copy / "attacks" / f"{kind}.json").write_text(json.dumps(report), encoding="utf-8")
    other = {
        "attack": "split-view",
        "scheme": "ckks",
        "settings": {"dataset": "ulb"},
        "results": [ATTACKS["inversion"]],
    }
    (copy / "attacks" / "split-view.json").write_text(json.dumps(other), encoding="utf-8")
    document = to_markdown(draft_of(read_facts(copy)).document)
    assert "on rows of ulb, not on this run: at most 90 % \\[80, 95\\] of the rows of a batch of 4 rebuilt" in document
    assert "an advantage 0.20 \\[0.10, 0.30\\] without noise" in document
    assert "attacks/inversion.json: results" in document
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ")[1] for line in document.splitlines() if "|" in line}
    assert rows["Tested: an aggregator that shows banks different models"] == "not measured in this run", (
        "ckks is another"
    )
    assert "Tested: is epsilon kept?" not in rows, "there was none to keep"
    (copy / "attacks" / "mine.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"mine\.json is no report of secure-fl attack"):
        read_facts(copy)


THREE = ("bank-1", "bank-2", "bank-3")
OTHERS = [(THREE[:2], "plaintext", "MODEL"), (THREE, "ckks", "MODEL"), (THREE, "plaintext", "ab" * 32)]


@pytest.mark.parametrize("content", ["", "{}", "[" * 100_000, *(json.dumps(audited(*other)) for other in OTHERS)])
def test_an_audit_of_another_run_is_refused(copy: Path, content: str) -> None:
    content = content.replace("MODEL", read_facts(copy).rounds[-1]["model_sha256"])
    (copy / "audit").mkdir()
    (copy / "audit" / "audit.json").write_text(content)
    with pytest.raises(ConfigurationError, match=r"audit\.json is no audit of this run's model, banks and scheme"):
        read_facts(copy)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"scheme": "additive"},
        {"scheme": "additive", "holders": 3, "quorum": 2, "drop": ("share-holder-2@1:sum_shares",)},
        {"scheme": "bfv", "holders": 3, "quorum": 2, "drop": ("key-holder-2@1:open",)},
        {"scheme": "ckks", "holders": 3, "quorum": 2, "drop": ("key-holder-2@1:open",)},
        {"scheme": "ckks", "witnesses": 1, "fresh_keys": 1},
        {"scheme": "bfv"},
        {"scheme": "rlwe"},
        {"scheme": "additive", "proofs": True, "hidden": "none", "bits": 8},
        {"scheme": "ckks", "robust": "multi-krum", "byzantine": 1, "banks": 5, "hidden": "none"},
        {"scheme": "plaintext", "robust": "fltrust", "byzantine": 1, "banks": 4, "attack": "sign-flip"},
        {"scheme": "masked", "robust": "median", "banks": 9, "group_size": 3},
        {"scheme": "masked", "banks": 4, "drop": ("bank-2@1:masked_input",)},
        {
            "scheme": "masked",
            "mechanism": "distributed",
            "noise_multiplier": 1.0,
            "delta": 1e-5,
            "lifetime_epsilon": 1e6,
        },
    ],
    ids=str,
)
def test_every_way_of_summing_is_described(
    run_small: Callable[..., Result], tmp_path: Path, ledgers: Path, settings: dict[str, Any]
) -> None:
    facts = read_facts(run_small(rounds=1, **settings).save(tmp_path / "run"))
    document = to_markdown(draft_of(facts).document)
    told = {
        "additive": "of the others sealed seeds for share-holders, and hashes of the seeds with the bank's signature",
        "additive-proofs": "whether a proof holds",
        "ckks-krum": "which banks the rule chose",
        "plaintext": "clean training rows",
        "masked": "masks are added",
        "bfv": "encrypted under the key authority's public key",
        "bfv-committee": "encrypted under a key that nobody has",
        "ckks-committee": "drowned in it",
        "ckks-witnessed": "the witness's signature of the ciphertext of the sum",
        "rlwe": "Experimental: the arithmetic is our own, and nobody has audited it.",
    }
    assert told[facts.scheme] in document
    card = to_markdown(card_of(facts))
    assert (facts.scheme == "rlwe") == ("| Scheme of the sums | rlwe (experimental) |" in document)
    assert (facts.scheme == "rlwe") == ("sums under rlwe (experimental) |" in card)
    if "holders" in settings:
        assert (
            "The aggregator opens a sum with any 2 of 3 holders, and nothing with fewer; 1 may be silent." in document
        )
        assert "Any two quorums have at least 1 holder in common" in document
        assert {
            "additive": "those of any 2 of 3, with the aggregator, open every upload",
            "bfv-committee": "a quorum's parts open every upload",
            "ckks-committee": "a quorum's parts open every upload",
        }[facts.scheme] in document
        assert "Without an answer of 2 of 3 holders no sum is opened" in document
        assert f"1 time a sum was opened without a holder that was silent or lied: {facts.trustees[1]}." in document
    else:
        assert "quorum" not in document
    if "drop" in settings and "holders" not in settings:
        assert "In round 1 the sum was over 3 banks only, so 2 of them have the last one's update from it." in document
        assert "What bank-2 had to add is missing in 1 upload" in document
    if settings.get("attack"):
        assert "bank-4 poisoned the model on purpose (sign-flip), as the settings asked." in document
    if settings.get("mechanism"):
        assert "one that becomes known is not protected by epsilon" in document
        assert "report.html draws" not in document
    assert ("new ones after every 1 round" in document) == ("fresh_keys" in settings)
    if settings.get("group_size"):
        assert "A sum is opened over at least" not in document
    assert ("the key authority opened only sums" in document) == (
        facts.scheme in ("bfv", "ckks", "rlwe", "ckks-witnessed")
    )
    assert ("opened their lengths, the distances between them, and sums" in document) == (facts.scheme == "ckks-krum")


def test_every_statement_on_the_law_has_a_source_and_is_used(copy: Path) -> None:
    facts, used = read_facts(copy), set()
    for layout in LAYOUTS:
        document = draft_of(facts, layout).document
        blocks = [*document.lead, *(block for section in document.walk() for block in section.blocks)]
        used |= {str(block) for block in blocks}
    for name, statement in statements().items():
        assert str(statement) in used, name
        assert statement.says.endswith(".")
        assert str(statement.text_of.year) in statement.source
        assert ("compare it" in statement.source) == (statement.known_from == "descriptions")
    assert {s.state for s in statements().values() if "Proposal" in s.act} == {"draft"}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_has_each_part_once(copy: Path, layout: Any) -> None:
    assert sorted(ORDERS[layout].parts) == sorted(ORDERS["edpb"].parts)
    assert len(set(ORDERS[layout].parts)) == len(ORDERS[layout].parts) > 30
    document = draft_of(read_facts(copy), layout).document
    numbers = [section.number for section in document.walk()]
    assert len(set(numbers)) == len(numbers)
    listed = [row[0] for block in document.sections[-1].blocks for row in getattr(block, "rows", ())]
    assert listed == [str(blank.number) for _, blank in document.blanks()] == [str(n + 1) for n in range(len(listed))]


def test_a_joint_part_asks_what_only_people_can_decide(copy: Path) -> None:
    asked = " ".join(blank.question for _, blank in draft_of(read_facts(copy)).document.blanks())
    for word in (
        "purposes",
        "legal basis",
        "kept",
        "data protection officer",
        "data subjects",
        "receives",
        "needed",
        "bank-3",
    ):
        assert word in asked, word
    assert Blank("x").number == 0


def test_the_docs_count_blanks_and_files_as_the_code_does(copy: Path) -> None:
    text = " ".join((Path(__file__).parents[3] / "docs" / "audit.md").read_text(encoding="utf-8").split())
    blanks = list(draft_of(read_facts(copy)).document.blanks())
    assert f"is a numbered blank, {len(blanks)} of them with three banks" in text
    for name in (MARKDOWN, PAGE, CARD, FIGURES):
        assert name in text


def test_stages_are_described_for_each_scheme_with_protection() -> None:
    of_their_own = {"additive-proofs", "ckks-krum", "bfv-committee", "ckks-committee"}
    of_their_own |= {f"{scheme}-witnessed" for scheme in ("ckks", "bfv", "rlwe")}
    assert set(HELD) == {"plaintext", "additive", "masked", "ckks", "bfv", "rlwe"} | of_their_own
    assert all(holds and protection for ways in HELD.values() for holds, protection in ways.values())


@pytest.mark.slow
def test_a_draft_loads_neither_torch_nor_shap(copy: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from secure_fl.audit.dpia.command import run_command\n"
        f"run_command(Path({str(copy)!r}))\n"
        "print(sorted({'torch', 'shap', 'matplotlib', 'opacus'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "[]"), done.stderr
