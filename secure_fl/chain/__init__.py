"""Lines that nobody changes unnoticed: each holds the hash of the one before it (`links`), and people sign (`signing`).

The log of the expert review and the record of a run are such chains.
"""
