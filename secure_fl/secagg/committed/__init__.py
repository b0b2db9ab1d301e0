"""Uploads that banks commit to before any is shown, and then sign: whoever opens a sum can tell what it sums.

A ciphertext does not show what it sums, and can be worked on by whoever sees it. So

1. banks commit to their ciphertexts;
2. the aggregator sends all of them the list of commitments;
3. banks send their ciphertexts, with a signature of the list.

Who checks a sum (`checking`) takes ciphertexts that are on the list, each with its bank's signature of that very list,
and adds them up again. A bank that wants to send what depends on another ciphertext of the list, a copy or what cancels
it, had to commit before the other one was shown, since honest banks show theirs only once the list stands. A single
upload, or one that the aggregator made up, is no sum of signed ones. In one attempt an honest bank signs one list.

What is left: what a bank makes from ciphertexts of an earlier attempt or round under the same key, which new keys for
each end (`fresh_keys`); and what is no encryption at all, which nothing but a proof about each ciphertext would stop.
"""
