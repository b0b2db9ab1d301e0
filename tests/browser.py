"""Debian's chromium, driven by playwright. Where there is none tests are skipped, but in CI they fail."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
WIDTHS = (1280, 390)
"""Pixels of a desk's window and of a phone's."""

needs_browser = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None and "CI" not in os.environ,
        reason="there is no chromium on this machine; on Debian: apt install chromium",
    ),
]


@contextmanager
def running(reach: str = "") -> Iterator[Browser]:
    """A browser that knows no network, but for one host if a test serves a page there."""
    assert CHROMIUM is not None, "install chromium: apt install chromium"
    rules = "MAP * ~NOTFOUND" + (f", EXCLUDE {reach}" if reach else "")
    arguments = ["--no-sandbox", "--disable-gpu", f"--host-resolver-rules={rules}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()
