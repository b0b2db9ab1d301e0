"""Step-by-step pages for the site: protocols run while it is built, as `secure-fl explain` runs them."""

from __future__ import annotations

from pathlib import Path

from secure_fl.report.explain import Request, explain, render

PAGES = {
    "masked": ("Pairwise masks, and a bank that vanishes", Request("masked", drop={"bank-2": "masked_input"})),
    "additive": ("Additive shares", Request("additive")),
    "ckks": ("CKKS", Request("ckks")),
    "bfv": ("BFV", Request("bfv")),
    "rlwe": ("Ring-LWE of our own (experimental)", Request("rlwe")),
    "multi-krum": (
        "Multi-Krum on ciphertexts, and a row scored encrypted",
        Request("ckks", robust="multi-krum", score=True),
    ),
    "plaintext": ("In the clear, for comparison", Request("plaintext")),
}
"""Name of the file -> its title, and what is run."""

_HEAD = """# Step by step

Each page is one secure sum of small numbers that really ran, message by message: look at it with the eyes of each
party, choose who lies, see what the curious compute together. `secure-fl explain` writes such a page for other banks
and dropouts.

"""


def write_steps(pages: Path, index: Path) -> None:
    """Each page into the folder `pages`, and the document that leads to them, which lies beside that folder."""
    pages.mkdir(parents=True)
    for name, (_, request) in PAGES.items():
        (pages / f"{name}.html").write_text(render(explain(request)), encoding="utf-8")
    links = (f'- <a href="{pages.name}/{name}.html">{title}</a>\n' for name, (title, _) in PAGES.items())
    index.write_text(_HEAD + "".join(links), encoding="utf-8")
