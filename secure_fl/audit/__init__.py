"""Audits of a run's model at the banks that trained it: what drives scores, and how groups fare.

Each bank computes on its own rows; only sums over all banks are opened, under the scheme of the run. No differential
privacy protects these sums, and a run's epsilon does not cover them.
"""
