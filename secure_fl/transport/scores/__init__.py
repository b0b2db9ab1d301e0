"""Encrypted scoring over the network: a model's owner serves scores, a customer asks for them.

    publishing          what the service says of its model, and what a customer refuses of it
    sessions            the model owner's half for all customers: whose keys, which batch was answered
    allowance           how many answers a customer still gets; on disk before one is given
    refusals            why a request is not answered, in words that both sides know
    service, starting   the pages, and the way from a file to the service at work
    wire, customer      the customer's end: tried again until it works; keys, batches, opened answers
    asking              from a customer's files to its scores

The service holds no secret key and cannot open what it computes; import contracts keep the customer's half from it.
"""
