"""Real parties on a real network: the aggregator as a gateway, banks and key holders as processes of their own.

    certificates            a sandbox's authority, and a certificate and keys for each party
    roster                  who takes part, under which certificate and key; signed, so that nobody swaps a key
    credentials, serving    TLS 1.3 alone, certificates on both sides; who is at the other end, its certificate says
    agreement               what all work out alike from the settings in the roster
    orders, post, service   what the gateway wants of a party, and what it answers; parties ask (long poll), so
                            that they need no open port
    carrier                 moves the messages of a secure sum as orders; `secagg.protocol.run_carried` does the rest
    coordinator             the rounds, as `federation.run` has them, where banks are elsewhere
    party, bank, holder     the other ends
    status                  what the gateway shows to people: a page that keeps itself new
    server_halves, halves   what of a scheme a gateway may hold, and what a bank
    scores                  a service of scores of encrypted rows, and its customers
    requests                who is at the other end of a request, and a body within limits
    rates                   how much one party may ask in a second
    state, memory           what a gateway, and what a party, must not forget

The gateway holds no secret key of a scheme and, but under `plaintext`, no update (docs/network.md). The checksum in an
envelope is no authentication; the certificate is.
"""
