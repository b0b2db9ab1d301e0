"""`python -m secure_fl` is `secure-fl`."""

from __future__ import annotations

import sys

from secure_fl.cli.interrupts import heed_signals, ignore_signals


def main() -> None:
    """The command; interrupts are heeded from its first import to its last step."""
    heed_signals()
    try:
        from secure_fl.cli.app import main as command

        command()
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted; what was finished before is kept\n")
        sys.exit(130)
    finally:
        ignore_signals()


if __name__ == "__main__":
    main()
