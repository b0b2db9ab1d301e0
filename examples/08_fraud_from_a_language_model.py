"""Fraud patterns, and how many rows one becomes. Offline: the built-in library stands in for a language model.

.venv/bin/python examples/08_fraud_from_a_language_model.py

With a model of your own, set OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL and run: secure-fl synthesize --count 20
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from secure_fl.data import Simulation, concatenate, simulate
from secure_fl.data.synthetic.command import synthesize
from secure_fl.data.synthetic.patterns import FraudPattern
from secure_fl.data.synthetic.population import population
from secure_fl.data.synthetic.prompts import prompt
from secure_fl.data.synthetic.sampler import FIRST_NUMBER, Sample, sample_campaigns


def describe(pattern: FraudPattern, drawn: Sample) -> None:
    """One line on a pattern, one on its rows."""
    rows = drawn.rows
    sizes = np.unique(drawn.sequence, return_counts=True)[1]
    hour = rows.when // 3600 % 24
    print(f"\n{pattern.name} ({pattern.channel}, {', '.join(pattern.countries)}): {pattern.description}")
    print(
        f"  {len(rows)} rows of {drawn.campaign.max() + 1} campaigns, {sizes.mean():.1f} payments in a sequence, "
        f"median amount {np.median(rows.numeric['amount']):.2f}, {np.mean((hour < 6) | (hour >= 22)):.0%} at night"
    )


# What a model would be sent. There is no row in it and no figure about any bank's rows.
request = prompt(number=0, patterns=2)
print("A model would be asked:", request.task, sep="\n")

with TemporaryDirectory() as folder:
    proposals = synthesize(count=16, built_in=True, out=Path(folder) / "proposals.json").proposals
print(f"\n{len(proposals)} patterns; the source of each says so: {proposals[0].provenance.label}")

# A bank draws rows for its own customers and terminals, and only for the period that it trains on.
table = simulate(Simulation(transactions=20_000, seed=1))
training = table.before(0.7 * table.when.max())
host = population(training)
rng = np.random.default_rng(1)
samples = [
    sample_campaigns(proposal.pattern, 200, host, rng, FIRST_NUMBER + place) for place, proposal in enumerate(proposals)
]
for proposal, drawn in zip(proposals[:5], samples, strict=False):
    describe(proposal.pattern, drawn)

mixed = concatenate([training, *(drawn.rows for drawn in samples)]).sorted_by_time()
print(f"\nfor training: {training.fraud.sum()} real and {mixed.fraud.sum() - training.fraud.sum()} synthetic frauds")
print(f"latest synthetic row before the test period: {mixed.when.max() <= training.when.max()}")
