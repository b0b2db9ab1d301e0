"""Measurements for the documents, and ratios that must hold. A package, because opacus installs one of this name."""
