"""Synthetic fraud on its way into training: validated, reviewed by people, logged, and mixed into training rows only.

.venv/bin/python examples/09_reviewing_synthetic_fraud.py

On the command line: secure-fl synthesize, secure-fl review list, approve and log, secure-fl run --synthetic approved
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from secure_fl.data import Simulation, simulate, time_cut
from secure_fl.data.synthetic.leakage import RealRows
from secure_fl.data.synthetic.library import library
from secure_fl.data.synthetic.mixing import Mix, with_synthetic
from secure_fl.data.synthetic.patterns import Proposal
from secure_fl.data.synthetic.review import submit
from secure_fl.data.synthetic.reviewers import ReviewerFiles
from secure_fl.data.synthetic.store import PatternStore
from secure_fl.errors import ConfigurationError, SyntheticError

# A bank's table, and the one point in time that parts training from testing.
table = simulate(Simulation(transactions=12_000, fraud_share=0.01, seed=1))
cut = time_cut(table, 0.3)
training = table.before(cut)
rng = np.random.default_rng(1)

# Proposals: two of the library, and one that no card can follow: Belgium and Thailand within an hour.
first, second, *_, gift_cards = library(6)
far_apart = gift_cards.pattern.model_copy(update={"countries": ("BE", "TH")})
impossible = Proposal(pattern=far_apart, provenance=gift_cards.provenance)

with TemporaryDirectory() as folder:
    store = PatternStore(Path(folder) / "patterns", ReviewerFiles.in_folder(Path(folder) / "A"))
    store_of_b = PatternStore(store.folder, ReviewerFiles.in_folder(Path(folder) / "B"))  # the same, opened by B
    for verdict in submit(store, [first, second, impossible], RealRows.split(training, rng), rng):
        print(f"{verdict.digest[:12]}: {verdict.reason}")

    # People decide, with a name, a reason and a signature. What validation rejected cannot be approved.
    store.approve(first.digest, "Ann", "seen last quarter, amounts are right")
    store_of_b.approve(second.digest, "Ben", "plausible")
    print(f"Ann does not know Ben's key yet: {store.read().find(second.digest).state}")
    store.own.trust("Ben", store_of_b.own.signer("Ben").public)
    print(f"after review trust: {store.read().find(second.digest).state}")
    try:
        store.approve(impossible.digest, "Ann", "looks fine to me")
    except ConfigurationError as error:
        print(f"refused: {error}")

    # Training: half a synthetic fraud for every real one, drawn for this bank's customers and terminals.
    dataset = with_synthetic(training, store.read().approved(), Mix(share=0.5), rng)
    print(f"{dataset}; all before the cut: {dataset.rows.when.max() < cut}")

    # Somebody changes one letter of a decision. Nothing of the store is used any more.
    store.log.path.write_bytes(store.log.path.read_bytes().replace(b"plausible", b"plausibel"))
    try:
        store.read()
    except SyntheticError as error:
        print(f"refused: {str(error).partition(';')[0].replace(folder, '...')}")
