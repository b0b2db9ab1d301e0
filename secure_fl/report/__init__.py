"""A run's results as one self-contained HTML page that opens offline.

`render` is the whole interface. It returns text; the caller writes it to `report.html`.
"""

from secure_fl.report.page import render

__all__ = ["render"]
