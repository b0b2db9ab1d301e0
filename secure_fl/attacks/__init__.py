"""What a curious or malicious aggregator, and anybody who holds the final model, can do: attacks that really run.

`inversion` rebuilds transactions from one bank's update, `membership` tells who was trained on, `split_view` is an
aggregator that shows banks different models. Each reports a success rate with an interval beside blind guessing, and
runs the same code under every scheme: what differs is only what the aggregator holds.
"""
