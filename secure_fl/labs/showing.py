"""Shows what is seen of a lab in a size that a terminal bears: long values are cut, and say how long they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

MOST_CHARACTERS, MOST_ITEMS = 60, 12


def shortened(value: Any) -> Any:
    """The same, with the beginning of every long text and list and a note of its length; of what JSON can hold."""
    if isinstance(value, str) and len(value) > MOST_CHARACTERS:
        return f"{value[:MOST_CHARACTERS]}... ({len(value):,} characters)"
    if isinstance(value, Mapping):
        return {name: shortened(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        shown = [shortened(each) for each in value[:MOST_ITEMS]]
        return shown if len(value) <= MOST_ITEMS else [*shown, f"... ({len(value):,} items)"]
    return value


def seen_text(seen: Mapping[str, Any]) -> str:
    """JSON, a line for each thing that is seen."""
    lines = [f"  {json.dumps(name)}: {json.dumps(shortened(value))}" for name, value in seen.items()]
    return "{\n" + ",\n".join(lines) + "\n}"
