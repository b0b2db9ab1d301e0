"""One party alone in a process, for whoever wants to look into its memory: `python -m tests.scoring.processes WHO`.

Messages go through the standard streams, each with eight bytes of length in front. The process then waits to be ended.
"""

from __future__ import annotations

import sys
from typing import IO

import numpy as np

SEED, WIDTHS = 2, (3, 2, 1)


def send(stream: IO[bytes], data: bytes) -> None:
    stream.write(len(data).to_bytes(8, "little") + data)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes:
    return stream.read(int.from_bytes(stream.read(8), "little"))


def data_owner() -> None:
    """Sends its keys, one request, and the secret key as SEAL writes it: compressed."""
    from secure_fl.scoring.data_owner import DataOwner
    from secure_fl.scoring.plans import ScoringPlan
    from secure_fl.secagg.hazmat.he_words import saved

    owner = DataOwner(ScoringPlan.from_json(receive(sys.stdin.buffer)))
    send(sys.stdout.buffer, owner.keys())
    send(sys.stdout.buffer, next(owner.encrypt(np.ones((5, WIDTHS[0])))))
    send(sys.stdout.buffer, saved(owner._key._key))
    sys.stdin.buffer.read(1)


def model_owner() -> None:
    """Takes keys and one request, and answers."""
    from secure_fl.scoring.model_owner import ModelOwner
    from tests.scoring.scene import planned

    keys, request = receive(sys.stdin.buffer), receive(sys.stdin.buffer)
    scorer = ModelOwner(planned(SEED, WIDTHS), keys)
    send(sys.stdout.buffer, scorer.score(request))
    sys.stdin.buffer.read(1)


def row_owner() -> None:
    """Sends its keys, its rows, one request, and the secret key as SEAL writes it: compressed."""
    from secure_fl.secagg.hazmat.he_words import saved
    from tests.scoring.descent.scene import small_training

    owner = small_training().owner
    send(sys.stdout.buffer, owner.keys())
    send(sys.stdout.buffer, next(owner.training_rows()))
    send(sys.stdout.buffer, owner.request())
    send(sys.stdout.buffer, saved(owner._key._key))
    sys.stdin.buffer.read(1)


def trainer() -> None:
    """Takes keys, rows and one request, and answers."""
    from secure_fl.scoring.descent.trainer import Trainer
    from tests.scoring.descent.scene import small_plan

    keys, rows, request = (receive(sys.stdin.buffer) for _ in range(3))
    one = Trainer(small_plan(), keys)
    one.accept(rows)
    send(sys.stdout.buffer, one.gradient(request))
    sys.stdin.buffer.read(1)


PARTIES = {"data-owner": data_owner, "model-owner": model_owner, "row-owner": row_owner, "trainer": trainer}
if __name__ == "__main__":
    PARTIES[sys.argv[1]]()
