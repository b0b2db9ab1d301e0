"""Settings of what a model is audited for once it is trained."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from secure_fl.settings.section import Section


class Auditing(Section):
    """Audit: of the finished run, by secure-fl audit."""

    keep_models: bool = True
    """Keep the model of each round in models/, so that audits can say what changed between rounds."""
    audit_groups: tuple[str, ...] = ()
    """Groups to compare: a categorical column, a number with edges (age:30,50), or bank."""
    audit_max_gap: Annotated[float, Field(ge=0, le=1)] | None = None
    """Largest gap of false positives or recall to a group's disadvantage; beyond it, and beyond chance, audits fail."""
