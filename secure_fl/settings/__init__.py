"""The settings of a run, declared once and checked before anything starts."""
