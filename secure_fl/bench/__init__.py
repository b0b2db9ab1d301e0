"""What secure sums cost, side by side: the same updates through every scheme, and through other libraries.

`cases` says what is measured, `subject` how one scheme runs a round with its phases timed apart, `peers` the same for
other libraries, `measuring` puts each row into a process of its own, `links` turns seconds and bytes into the time of a
round, `scaling` fits exponents, `dropouts` lets banks vanish, and `page` and `table` show it all.
"""
