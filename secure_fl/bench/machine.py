"""The machine that the figures come from, since they mean nothing without it."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("secure-fl", "numpy", "cryptography", "tenseal", "nvflare", "flwr", "pyhelayers")


def describe_machine() -> dict[str, str]:
    """Processor, cores, memory, system, and versions of Python and of the libraries that do the work."""
    found = {"processor": _processor(), "cores": str(_cores()), "memory": _memory(), "system": platform.platform()}
    found["python"] = f"{platform.python_implementation()} {platform.python_version()}"
    return found | {library: _version(library) for library in LIBRARIES}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"
    except (ValueError, OSError, AttributeError):
        return "unknown"


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "run from source" if library == LIBRARIES[0] else "not installed"
