"""Fraud that changes: streams in which patterns appear, move between banks and fade, and detectors that notice.

    stream      simulated transactions of several banks, with fraud patterns that come and go
    detection   change detectors on a model's errors or scores (river)

Retraining as a stream advances needs models, which this layer does not know: see `secure_fl.bench.claims.retraining`.
"""

from secure_fl.data.drift.detection import DETECTORS, Alarms, watch
from secure_fl.data.drift.stream import Course, FraudSource, Stream, make_stream

__all__ = ["DETECTORS", "Alarms", "Course", "FraudSource", "Stream", "make_stream", "watch"]
