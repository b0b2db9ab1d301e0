"""docs/report.png: how a report begins, from a run of the experiment that README shows.

    secure-fl run --dataset ulb --scheme ckks --banks 3 --rounds 5 --seed 1 --out runs/picture
    .venv/bin/python -m benchmarks.report_picture runs/picture

Needs chromium on the PATH.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image

PICTURE = Path(__file__).parents[1] / "docs" / "report.png"
WIDTH, HEIGHT = 1280, 1468


def photograph(report: Path, picture: Path) -> None:
    """The first `HEIGHT` pixels of a page in a light window. Raises `FileNotFoundError` where there is no chromium."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise FileNotFoundError("there is no chromium on the PATH; install it")
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-lcd-text"]
    command += [f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={picture}", report.resolve().as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    with Image.open(picture) as shot:  # text and flat colours need no more than a palette
        shot.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(picture, optimize=True)


if __name__ == "__main__":
    photograph(Path(sys.argv[1]) / "report.html", PICTURE)
