"""Synthetic fraud on its way into training: validated, reviewed by people, logged, and mixed into training rows only.

.venv/bin/python examples/09_reviewing_synthetic_fraud.py

Offline: the built-in library stands in for a language model. The same on the command line:

    secure-fl synthesize --count 6 --built-in
    secure-fl review list
    secure-fl review show ID
    secure-fl review approve ID --name "..." --reason "..."      # signed with your key
    secure-fl review log --head HASH                              # is the line noted then still there?
    secure-fl run --dataset simulated --synthetic approved
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from secure_fl.data import FederationKey, Simulation, extract, simulate, time_cut
from secure_fl.data.synthetic.leakage import RealRows
from secure_fl.data.synthetic.library import library
from secure_fl.data.synthetic.mixing import REAL, Mix, mixed_features, with_synthetic
from secure_fl.data.synthetic.patterns import Proposal
from secure_fl.data.synthetic.review import print_list, print_log, print_pattern, submit
from secure_fl.data.synthetic.reviewers import ReviewerFiles
from secure_fl.data.synthetic.store import PatternStore
from secure_fl.errors import ConfigurationError, SyntheticError

# A bank's table, and the one point in time that parts training from testing.
table = simulate(Simulation(transactions=12_000, fraud_share=0.01, seed=1))
cut = time_cut(table, 0.3)
training = table.before(cut)

# Proposals: five of the library, and one that no card can follow: Belgium and Thailand within an hour.
proposals = list(library(5))
gift_cards = library()[5]
far_apart = gift_cards.pattern.model_copy(update={"countries": ("BE", "TH")})
proposals.append(Proposal(pattern=far_apart, provenance=gift_cards.provenance))

with TemporaryDirectory() as folder:
    store = PatternStore(Path(folder) / "patterns", ReviewerFiles.in_folder(Path(folder) / "A"))
    store_of_b = PatternStore(store.folder, ReviewerFiles.in_folder(Path(folder) / "B"))  # the same, opened by B
    rng = np.random.default_rng(1)
    for verdict in submit(store, proposals, RealRows.split(training, rng), rng):
        print(f"{verdict.digest[:12]}  {verdict.reason}")

    print()
    print_list(store, every=True)
    first, second, *_, impossible = (proposal.digest for proposal in proposals)
    print()
    print_pattern(store, first, training)

    # People decide, with a name, a reason and a signature. What validation rejected cannot be approved.
    store.approve(first, "Reviewer A", "seen last quarter, amounts are right")
    store_of_b.approve(second, "Reviewer B", "plausible")
    print(f"\nA does not know B's key yet: {store.read().find(second).state}")
    store.own.trust("Reviewer B", store_of_b.own.signer("Reviewer B").public)
    print(f"after review trust: {store.read().find(second).state}")
    before = store.log.path.read_bytes()
    store.reject(second, "Reviewer A", "our limits make this impossible")
    try:
        store.approve(impossible, "Reviewer A", "looks fine to me")
    except ConfigurationError as error:
        print(f"\nrefused: {error}\n")
    print_log(store)

    # Training: half a synthetic fraud for every real one, drawn for this bank's customers and terminals.
    approved = store.read().approved()
    dataset = with_synthetic(training, approved, Mix(share=0.5), rng)
    print(f"\n{dataset}; latest synthetic row before the cut: {dataset.rows.when.max() < cut}")
    key = FederationKey.for_simulation(1)
    train, test = mixed_features(table, cut, dataset, key)
    alone = extract(table, key)
    real = dataset.provenance == REAL
    print("test features are those of the real table:", np.array_equal(test.numeric, alone.since(cut).numeric))
    print("so are those of real training rows:", np.array_equal(train.numeric[real], alone.before(cut).numeric))

    # Somebody changes one letter of a decision, or takes the rejection away. Nothing of the store is used any more.
    whole = store.log.path.read_bytes()
    for name, content in (("changed", whole.replace(b"plausible", b"plausibel")), ("cut", before)):
        store.log.path.write_bytes(content)
        try:
            store.read()
        except SyntheticError as error:
            print(f"\n{name}: {str(error).partition(';')[0].replace(folder, '...')}")
