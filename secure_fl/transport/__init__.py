"""Real parties on a real network: the aggregator as a gateway, banks and key holders as processes of their own.

    certificates    a sandbox's certificate authority, and a certificate and a key for each party
    roster          who takes part, under which certificate and key; signed, so that nobody on the way can swap a key
    tls, serving    TLS 1.3 alone, certificates on both sides; who is at the other end is what its certificate says
    orders, post    what the gateway wants of a party, and what it answered; parties ask for orders (long poll), so that
                    they need no open port
    carrier         moves the messages of a secure sum by way of orders: `secagg.protocol.run_carried` does the rest
    coordinator     the rounds, as `federation.run` has them, where banks are elsewhere
    party, bank, holder     the other ends

The gateway holds no key of a scheme and no update. The checksum in an envelope is no authentication; the certificate
is.
"""
