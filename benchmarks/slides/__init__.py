"""docs/slides: figures for a lecture, 16:9, readable from the back of a room.

    .venv/bin/python -m benchmarks.slides              # draws them all
    .venv/bin/python -m benchmarks.slides --record     # runs the protocols again first, with new keys

Every number on a slide comes from the package. What depends on keys that nobody can repeat (shares, ciphertexts) was
recorded once, in docs/figures/slides.json; everything else is computed while a slide is drawn.
"""
