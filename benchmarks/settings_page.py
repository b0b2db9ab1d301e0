"""docs/settings.md: every setting with its bounds and default, as declared.

.venv/bin/python -m benchmarks.settings_page
"""

from __future__ import annotations

from pathlib import Path

from secure_fl.cli.options import bounds_text, default_text, options
from secure_fl.settings.catalogue import SECTIONS, help_text, title

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"

HEAD = """# Settings

The same in Python (`Experiment(rounds=3)`), in TOML (`rounds = 3`) and on the command line (`--rounds 3`).
`python -m benchmarks.settings_page` wrote this page from the declarations in `secure_fl/settings/`.
"""


def render() -> str:
    """The page."""
    parts = [HEAD]
    for panel in SECTIONS:
        rows = [
            f"| `{name}` | {help_text(field)} | {bounds_text(field)} | {default_text(name, field) or '-'} |"
            for section, name, field in options()
            if section is panel
        ]
        parts.append(
            f"## {title(panel)}\n\n| setting | what | values | default |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
        )
    return "\n".join(parts)


def main() -> None:
    PAGE.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
