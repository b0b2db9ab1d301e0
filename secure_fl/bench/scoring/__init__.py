"""What scoring encrypted rows costs, ours and other libraries', on the same network, weights and rows.

`models` are what is scored, `ours` and `bench.peers.scoring` how, `measured` what counts, `rows` the figures, `ratios`
what they say side by side.
"""
