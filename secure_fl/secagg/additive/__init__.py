"""Additive secret sharing among share-holders who do not all collude.

A bank splits its vector x into random vectors that add up to x, one for each share-holder; share-holders add what they
got, and the sums of the shares add up to the sum of the vectors. It is what SPDZ-style systems and PySyft's encrypted
workers did (Damgard, Pastro, Smart, Zakarias, CRYPTO 2012, without its MACs, which a sum does not need to stay secret).

Here the aggregator is one share-holder and `share-holder-1`, `share-holder-2` are the others. All shares but one are
random, so they travel as 32-byte seeds (as in Prio, Corrigan-Gibbs, Boneh, NSDI 2017): the upload is one ring vector.
"""
