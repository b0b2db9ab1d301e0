"""Your own weights: the encrypted mean of what three banks trained, in three lines.

.venv/bin/python examples/10_your_own_weights.py
"""

import torch

from secure_fl import secure_mean, secure_sum


def trained_at(bank: int) -> torch.nn.Module:
    """Stands for a bank that trains a network of its own, on rows that only it has."""
    torch.manual_seed(bank)
    model = new_model()
    for _ in range(5):
        model(torch.randn(64, 30))  # batch norm counts these, and keeps their mean and variance
    return model


def new_model() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(30, 16), torch.nn.BatchNorm1d(16), torch.nn.Linear(16, 1))


north, south, east = (trained_at(bank) for bank in (1, 2, 3))

mean = secure_mean([north.state_dict(), south.state_dict(), east.state_dict()], scheme="ckks")
model = new_model()
model.load_state_dict(mean.value)

print(mean)
for key, bound in mean.error_bounds.items():
    exact = sum(bank.state_dict()[key].double() for bank in (north, south, east)) / 3
    error = float((mean.value[key].double() - exact).abs().max())
    assert error <= bound, "the bound holds for every number"
    print(f"{key:22} off by at most {bound:.1e}")
print(*mean.notes, sep="\n")

# Weighted by numbers of examples, which nobody shows; bank-2 (updates count from 0) vanishes, and the mean is that of
# the others.
examples = [52_000, 8_000, 31_000, 40_000]
states = [trained_at(bank).state_dict() for bank in (1, 2, 3, 4)]
weighted = secure_mean(states, weights=examples, scheme="masked", drop={1: "masked_input"})
names = ", ".join(f"bank-{place + 1}" for place in sorted(weighted.contributors))
print(f"weighted, over {names}: {max(weighted.upload_bytes.values()):,} bytes a bank")

# Integers need no mean: how many frauds each bank saw, by the hour, comes out exactly.
frauds = secure_sum([[3, 0, 1, 7], [0, 0, 2, 5], [1, 1, 0, 9]])
print(f"frauds by the hour, over all banks: {frauds.total.tolist()}")
