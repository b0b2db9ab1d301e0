"""Expert review: what `secure-fl review` does. Proposals are validated on their way in, listed, shown and decided.

Rules: text that a language model wrote is printed as plain text (no markup is interpreted), and always with its
source beside it, so that nobody takes the built-in library for a model's work. Deciding needs a name and a reason;
it is shown with the key that signed it, and whether that key is trusted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from secure_fl.data.synthetic.describing import COLUMNS, illustrate, parameters
from secure_fl.data.synthetic.leakage import RealRows
from secure_fl.data.synthetic.patterns import FraudPattern, Proposal, parse_pattern
from secure_fl.data.synthetic.review_line import Entry
from secure_fl.data.synthetic.review_log import place_of
from secure_fl.data.synthetic.store import Holdings, Kept, PatternStore
from secure_fl.data.synthetic.validation import Verdict, validate
from secure_fl.data.transactions import Transactions
from secure_fl.errors import ConfigurationError, DataError

ID_LENGTH = 12
"""Characters of a digest that stand for it on the terminal."""
HASH_LENGTH = 64
_BARS = " ▁▂▃▄▅▆▇█"
_BINS = 48


def submit(
    store: PatternStore, proposals: Iterable[Proposal], real: RealRows, rng: np.random.Generator
) -> tuple[Verdict, ...]:
    """Validate proposals and take them into the store; those that it has already are passed over.

    Rejected ones are kept with their reasons. The verdicts are those of the new ones, in their order. Raises
    SyntheticError if the store was tampered with.
    """
    holdings = store.read()
    known, others = {kept.digest for kept in holdings.kept}, _others(holdings)
    verdicts = []
    for proposal in proposals:
        if proposal.digest in known:
            continue
        verdict = validate(proposal, others, real, rng)
        store.propose(proposal, verdict)
        known.add(proposal.digest)
        others += [proposal.pattern] if verdict.accepted else []
        verdicts.append(verdict)
    return tuple(verdicts)


def edit(
    store: PatternStore,
    identifier: str,
    file: Path,
    reviewer: str,
    reason: str,
    real: RealRows,
    rng: np.random.Generator,
) -> tuple[Entry, Verdict]:
    """Replace a pattern by the one in a JSON file (such as `export` writes), which is validated anew.

    The provenance stays; the log links the two. Raises DataError if the file holds no valid pattern, ConfigurationError
    if nothing was changed or the reviewer and the reason are missing.
    """
    holdings = store.read()
    old = holdings.find(identifier)
    new = Proposal(pattern=_read_pattern(file), provenance=old.proposal.provenance)
    if any(kept.digest == new.digest for kept in holdings.kept):
        raise ConfigurationError("the edited pattern is in the store already; change one of its fields")
    verdict = validate(new, _others(holdings, without=old.digest), real, rng)
    return store.edit(old.digest, new, verdict, reviewer, reason), verdict


def pattern_json(store: PatternStore, identifier: str) -> str:
    """The pattern as JSON to edit."""
    return store.read().find(identifier).proposal.pattern.model_dump_json(indent=1) + "\n"


def list_json(store: PatternStore, every: bool = False) -> str:
    """What `print_list` prints, as JSON."""
    holdings = store.read()
    patterns = [
        {
            "id": kept.digest,
            "state": kept.state,
            "name": kept.proposal.pattern.name,
            "source": kept.label,
            "replaces": kept.replaces,
            "last": {"by": kept.last.reviewer, "time": kept.last.time, "reason": kept.last.reason},
        }
        for kept in _listed(holdings, every)
    ]
    return json.dumps({"schema": 1, "patterns": patterns, "states": _counted(holdings)}, indent=1) + "\n"


def print_list(store: PatternStore, every: bool = False, console: Console | None = None) -> None:
    """Patterns that wait for a decision, or all of them, with their states; readable at 80 columns."""
    console = console or Console()
    holdings = store.read()
    chosen = _listed(holdings, every)
    if chosen:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for name in ("ID", "state", "pattern", "source"):
            table.add_column(name, overflow="fold", no_wrap=name == "ID")
        for kept in chosen:
            table.add_row(kept.digest[:ID_LENGTH], kept.state, Text(kept.proposal.pattern.name), Text(kept.label))
        console.print(table)
    console.print(_counts(holdings), highlight=False)


def print_pattern(store: PatternStore, identifier: str, host: Transactions, console: Console | None = None) -> None:
    """One pattern: its words, parameters, histograms of drawn amounts and hours, and some drawn rows.

    host: a table of the simulator whose customers and terminals the rows are drawn for.
    """
    console = console or Console()
    holdings = store.read()
    kept = holdings.find(identifier)
    pattern = kept.proposal.pattern
    console.print(Text(pattern.name, style="bold"))
    console.print(Text(pattern.description))
    console.print(_standing(kept, holdings))
    facts = Table.grid(padding=(0, 2))
    for name, value in parameters(pattern).items():
        facts.add_row(Text(name, style="dim"), Text(value))
    console.print(facts)
    try:
        drawn = illustrate(pattern, host)
    except ConfigurationError as error:
        console.print(Text(f"no rows: {error}"))
        return
    console.print(_histogram("amount", drawn.amount, float(drawn.amount.min()), float(drawn.amount.max())))
    console.print(_histogram("hour", drawn.hour, 0.0, 24.0))
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    for name in COLUMNS:
        table.add_column(name, justify="right" if name in ("sequence", "amount") else "left", overflow="fold")
    for row in drawn.rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def print_log(store: PatternStore, head: str | None = None, console: Console | None = None) -> None:
    """Every line of the log, once the chain, all signatures and all files hold, and the hash of the last line.

    head: that hash as it was noted earlier. Raises SyntheticError if the log does not hold, or no longer has that line.
    """
    console = console or Console()
    holdings = store.read()
    place = _place_of_noted(head, holdings)
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    for name in ("line", "time (UTC)", "who", "what, and why"):
        table.add_column(name, overflow="fold", no_wrap=name in ("line", "time (UTC)"))
    for entry in holdings.entries:
        when = datetime.fromisoformat(entry.time).astimezone(UTC).strftime("%Y-%m-%d %H:%M")
        what = f"{entry.action.replace('_', ' ')} {entry.pattern[:ID_LENGTH]}"
        if entry.replaces is not None:
            what += f" in place of {entry.replaces[:ID_LENGTH]}"
        table.add_row(str(entry.seq + 1), when, Text(holdings.signer_of(entry)), Text(f"{what}: {entry.reason}"))
    console.print(table)
    if place is not None:
        console.print(_standing_of_head(place, len(holdings.entries)), highlight=False)
    console.print(
        f"the chain and all signatures hold; hash of the last line: {holdings.head}", highlight=False, soft_wrap=True
    )


def log_json(store: PatternStore, head: str | None = None) -> str:
    """What `print_log` prints, as JSON; raises as it does."""
    holdings = store.read()
    place = _place_of_noted(head, holdings)
    lines = [
        {
            "line": entry.seq + 1,
            "time": entry.time,
            "action": entry.action,
            "pattern": entry.pattern,
            "replaces": entry.replaces,
            "reviewer": entry.reviewer,
            "key": entry.key,
            "trusted": None if entry.key is None else holdings.trusted.counts(entry),
            "reason": entry.reason,
            "hash": entry.hash,
        }
        for entry in holdings.entries
    ]
    noted = None if place is None else {"head": head, "line": place}
    return json.dumps({"schema": 1, "lines": lines, "head": holdings.head, "noted": noted}, indent=1) + "\n"


def _place_of_noted(head: str | None, holdings: Holdings) -> int | None:
    return None if head is None else place_of(_whole_hash(head), holdings.entries)


def _whole_hash(head: str) -> str:
    if len(head) != HASH_LENGTH or not set(head) <= set("0123456789abcdef"):
        raise ConfigurationError(
            f"--head takes a whole hash, {HASH_LENGTH} hexadecimal digits; copy it as it was noted"
        )
    return head


def _standing_of_head(place: int, lines: int) -> str:
    if place == lines:
        return "the noted head is the current head"
    if place == 0:
        return f"the noted head is that of an empty log; all {lines} lines were added since, and it vouches for none"
    return f"the noted head is an ancestor: line {place} of {lines}; all up to there is as it was when it was noted"


def _others(holdings: Holdings, without: str | None = None) -> list[FraudPattern]:
    """The patterns that a new one must differ from: all that could still be trained on, or were turned down."""
    kept = holdings.in_state("pending", "approved", "rejected")
    return [each.proposal.pattern for each in kept if each.digest != without]


def _read_pattern(file: Path) -> FraudPattern:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
    else:
        return parse_pattern(text)
    raise DataError(f"{file} cannot be read ({reason}); name a JSON file with one pattern")


def _listed(holdings: Holdings, every: bool) -> tuple[Kept, ...]:
    return holdings.kept if every else holdings.waiting()


def _counted(holdings: Holdings) -> dict[str, int]:
    states = [kept.state for kept in holdings.kept]
    return {state: states.count(state) for state in dict.fromkeys(states)}


def _counts(holdings: Holdings) -> str:
    counts = [f"{count} {state}" for state, count in _counted(holdings).items()]
    return ", ".join(counts) or "the store is empty; add patterns with secure-fl synthesize"


def _standing(kept: Kept, holdings: Holdings) -> Text:
    lines = [f"ID {kept.digest}", f"source: {kept.label}"]
    if kept.proposal.provenance.reference is not None:
        lines.append(f"modelled on: {kept.proposal.provenance.reference}")
    if kept.replaces is not None:
        lines.append(f"edited from: {kept.replaces}")
    lines.append(f"{kept.state}: {kept.last.reason} ({holdings.signer_of(kept.last)}, {kept.last.time})")
    return Text("\n".join(lines))


def _histogram(name: str, values: NDArray[np.float64], low: float, high: float) -> Text:
    """One line of blocks between two numbers."""
    counts = np.histogram(values, bins=_BINS, range=(low, high if high > low else low + 1.0))[0]
    tops = np.ceil(counts / max(1, int(counts.max())) * (len(_BARS) - 1)).astype(int)
    return Text(f"{name:7}{low:>9.2f} {''.join(_BARS[top] for top in tops)} {high:.2f}")
