"""Your own model and rows: three hospitals train a network of theirs; and the same in scikit-learn's manners.

.venv/bin/python examples/11_your_own_model.py
"""

import os
import tempfile

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from secure_fl import Experiment, FederatedFraudClassifier, run_federation

table = load_breast_cancer(as_frame=False)
X, X_test, y, y_test = train_test_split(table.data, table.target, test_size=0.3, random_state=0, stratify=table.target)
owner = np.arange(len(X)) % 3  # who holds which row


def make_model() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(30, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))


settings = Experiment(scheme="ckks", rounds=4, batch_size=16, learning_rate=0.01, positive_weight=1.0)
result = run_federation(
    settings,
    model=make_model,
    banks={name: (X[owner == place], y[owner == place]) for place, name in enumerate(("north", "south", "west"))},
    test=(X_test, y_test),
)
print(result)
for record in result.rounds:
    print(f"round {record.round}: AUPRC {record.auprc:.3f}, off the exact mean by {record.max_abs_error:.0e} at most")
print("the module comes back:", result.model.to_torch()[0])

with tempfile.TemporaryDirectory() as folder:
    os.environ["SECURE_FL_RECORD_KEY"] = f"{folder}/record.key"  # signs the record; without this line, a key of yours
    saved = result.save(f"{folder}/run")
    print("saved:", *sorted(path.name for path in saved.iterdir()))

# The same in scikit-learn's manners: the bank of each row is a column beside the rows.
classifier = FederatedFraudClassifier(scheme="masked", rounds=4, batch_size=16, model=make_model)
classifier.fit(X, y, banks=owner)
print(f"scikit-learn: accuracy {classifier.score(X_test, y_test):.3f} on unseen rows, {classifier.banks_}")
