"""`python -m secure_fl gateway | bank | key-authority`, by a party whose clock is wrong by as much as CLOCKS says.

CLOCKS: JSON, names and seconds. What goes wrong is the time of day that Python's `time` says; OpenSSL, which looks at
certificates, asks the system.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

WRONG = json.loads(os.environ["CLOCKS"]).get(Path(sys.argv[-1]).stem, 0)
right, right_ns = time.time, time.time_ns
time.time = lambda: right() + WRONG
time.time_ns = lambda: right_ns() + int(WRONG * 1e9)

from secure_fl.__main__ import main  # noqa: E402  what it imports takes the clock as it is then

if __name__ == "__main__":
    main()
