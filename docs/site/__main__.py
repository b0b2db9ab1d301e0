"""Builds the site.

    python -m docs.site [--to FOLDER] [--lessons FOLDER]

Every warning is an error, and so is a link that leads nowhere, or a page that would load anything from elsewhere. What
the site is made of lies beside it, in `FOLDER-sources`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from sphinx.cmd.build import build_main

from docs.site.code_places import ROOT
from docs.site.contents import START
from docs.site.links import faults
from docs.site.sources import AS_THEY_ARE, gather

_FORWARD = (
    '<!doctype html>\n<meta charset="utf-8">\n<title>secure_fl</title>\n'
    '<meta http-equiv="refresh" content="0; url={0}">\n<a href="{0}">secure_fl</a>\n'
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m docs.site", description="Build the documentation site.")
    parser.add_argument("--to", type=Path, default=ROOT / "build" / "site", help="where it goes")
    parser.add_argument("--lessons", type=Path, help="a folder of executed notebooks")
    given = parser.parse_args(arguments)
    if given.lessons and not given.lessons.is_dir():
        parser.error(f"{given.lessons} is no folder")
    sources = given.to.with_name(f"{given.to.name}-sources")
    gather(sources, given.lessons)
    options = ["--fail-on-warning", "--keep-going", "--fresh-env", "--write-all", "--quiet", "--builder", "html"]
    settings = ["--conf-dir", str(Path(__file__).parent), "--doctree-dir", str(sources / ".doctrees")]
    settings += ["--define", f"html_extra_path={sources / AS_THEY_ARE}"]
    status = build_main([*options, *settings, str(sources), str(given.to)])
    if status:
        return status
    (given.to / "index.html").write_text(_FORWARD.format(f"{START}.html"), encoding="utf-8")
    found = list(faults(given.to))
    print("\n".join(found) or f"the site: {given.to / 'index.html'}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
