"""Rows scored encrypted: the model's owner never sees them, and does not hand out its weights.

.venv/bin/python examples/12_score_encrypted_rows.py
"""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler

from secure_fl.scoring import DataOwner, Linear, ModelOwner, Relu, compile_model, plan_batched, plan_single

CLIP = 4.0  # no feature is further from its mean, in standard deviations
X, y = load_breast_cancer(return_X_y=True)
X = np.clip(StandardScaler().fit_transform(X), -CLIP, CLIP)
X, X_test, y, y_test = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)

logistic = LogisticRegression().fit(X, y)
network = MLPClassifier((8,), alpha=1.0, max_iter=2000, random_state=1).fit(X, y)
layers = {
    "logistic regression": (Linear(logistic.coef_, logistic.intercept_),),
    "network 30-8-1": (
        Linear(network.coefs_[0].T, network.intercepts_[0]),
        Relu(),
        Linear(network.coefs_[1].T, network.intercepts_[1]),
    ),
}

for name, parts in layers.items():
    model = plan_batched(compile_model(parts, X, CLIP))  # the model's owner plans; the plan is public
    bank = DataOwner(model.plan)  # the owner of the rows draws a key that nobody else gets
    scorer = ModelOwner(model, bank.keys())
    logits = np.concatenate([bank.open(scorer.score(request)) for request in bank.encrypt(X_test)])
    print(f"{name}: AUPRC {average_precision_score(y_test, logits):.3f} on {len(X_test)} encrypted rows")

one = plan_single(compile_model(layers["network 30-8-1"], X, CLIP))  # a row at a time, sooner
bank = DataOwner(one.plan)
scorer = ModelOwner(one, bank.keys())
(request,) = bank.encrypt(X_test[:1])
print(f"a row by itself: {bank.open(scorer.score(request))[0]:.2f}, as in the batch: {logits[0]:.2f}")
