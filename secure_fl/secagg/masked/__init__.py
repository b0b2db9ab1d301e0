"""Masking: banks add pairwise masks that cancel in the sum, and nobody holds a decryption key.

The protocol of Bonawitz, Ivanov, Kreuter, Marcedone, McMahan, Patel, Ramage, Segal, Seth, "Practical Secure
Aggregation for Privacy-Preserving Machine Learning", CCS 2017 (figure 4, with the consistency check), on the k-regular
graph of Bell, Bonawitz, Gascon, Lepoint, Raykova, "Secure Single-Server Aggregation with (Poly)Logarithmic Overhead",
CCS 2020, where there are many banks. `client` and `server` do not import each other; `wire` is what they share, `graph`
who masks with whom.
"""
