"""SEAL's CKKS for scoring: what everybody may hold (`public`), the secret key (`secret`), and how objects travel."""
