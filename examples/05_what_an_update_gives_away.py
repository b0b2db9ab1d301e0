"""One bank's update, and the transactions inside it: rebuilt from plaintext, not from what masking leaves.

.venv/bin/python examples/05_what_an_update_gives_away.py
"""

import numpy as np

from secure_fl import Experiment
from secure_fl.attacks.inversion import invert
from secure_fl.attacks.judging import match
from secure_fl.attacks.raw import undo
from secure_fl.attacks.scene import open_scene
from secure_fl.attacks.trial import Observatory
from secure_fl.attacks.victim import LocalStep

BATCH = 4

for scheme in ("plaintext", "masked"):
    rng = np.random.default_rng(1)
    federation = Experiment(dataset="simulated", transactions=6_000, fraud_share=0.02, scheme=scheme, bits=16)
    scene = open_scene(federation, BATCH).with_batch(BATCH)

    # One round: every bank trains one step on four transactions and sends its update through the scheme.
    observatory = Observatory(scene, LocalStep())
    seen = observatory.watch(rng)

    # The aggregator takes what it holds of the first bank's upload for an update, and looks for rows that made it.
    guesses = invert(observatory, seen.upload, BATCH, rng)
    places, errors = match(guesses, seen.rows)

    print(f"{scheme}: relative error of each rebuilt row: {', '.join(f'{error:.1e}' for error in errors)}")
    for true, place in zip(seen.rows, places, strict=True):
        payment, guess = undo(true, scene.schema), undo(guesses[place], scene.schema)
        print(f"  true {payment['amount']:8.2f} at {payment['hour']:5.2f} h    rebuilt {guess['amount']:10.2f}")
    assert (errors < 0.05).all() if scheme == "plaintext" else (errors > 0.05).all()
