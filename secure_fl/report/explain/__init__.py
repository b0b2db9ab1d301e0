"""A protocol step by step, as one self-contained page: who sends what to whom, who can read it, and what liars get.

The real protocol runs on a handful of numbers, with every message kept (`recording`). `tellers` say what is in the
messages, `stories` who lies, `pools` what curious parties make of what they saw; `page` draws it.
"""

from secure_fl.report.explain.page import explain, render
from secure_fl.report.explain.scene import Request

__all__ = ["Request", "explain", "render"]
