"""One bank's update, and the transactions inside it: rebuilt from plaintext, not from what masking leaves.

.venv/bin/python examples/05_what_an_update_gives_away.py
"""

from secure_fl.attacks import attack

for scheme in ("plaintext", "masked"):
    # Every bank trains one step on four of its payments and sends its update through the scheme. The aggregator takes
    # what it holds of bank-1's upload for an update, and looks for the payments that made it.
    report = attack("inversion", scheme, dataset="simulated", batches=(4,), trials=2)
    (found,) = report.results
    print(f"{scheme}: {found['success_rate']:.0%} of the payments rebuilt, by guessing {found['guessing']:.0%}")
    for row in report.shown:
        true, rebuilt = row.true, row.rebuilt
        guess = f"{rebuilt['amount']:.0f} at {rebuilt['hour']:.0f} h" if row.error < 0.05 else "something else"
        print(f"  true: {true['amount']:.0f} at {true['hour']:.0f} h, rebuilt: {guess}")
    assert found["success_rate"] == (1 if scheme == "plaintext" else 0)
