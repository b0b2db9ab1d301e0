"""Below these numbers of rows nothing is said of a group: a figure of so few says more of chance than of the model.

That is a matter of the report. Whoever opens the sums sees small groups too, and what all rows have less what the other
groups have is the small one's.
"""

LEAST_ROWS = 20
LEAST_FRAUDS = 5
