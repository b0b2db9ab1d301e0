"""`python -m secure_fl` is `secure-fl`."""

from __future__ import annotations

import sys
from contextlib import suppress

from secure_fl.cli.interrupts import heed_signals, ignore_signals
from secure_fl.cli.streams import until_closed


def main() -> None:
    """The command; interrupts are heeded from its first import to its last step."""
    heed_signals()
    try:
        from secure_fl.cli.app import main as command

        command()
    except KeyboardInterrupt:
        with suppress(OSError), until_closed():  # nobody can be told
            sys.stderr.write("error: interrupted; what was finished before is kept\n")
        sys.exit(130)
    finally:
        ignore_signals()


if __name__ == "__main__":
    main()
