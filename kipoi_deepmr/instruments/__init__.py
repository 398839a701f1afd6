"""Which mutants are instruments of which marks, and the moderation of their standard errors."""

from .assignment import Acts, Assignment, assign
from .direct_effects import direct_of_total, total_of_direct
from .moderation import (
    SE_SHRINKAGES,
    Moderation,
    fit_prior,
    moderated,
    moderation_for,
    moderation_of,
    with_se_shrinkage,
)
from .rules import InstrumentRule, rule_for

__all__ = ["Acts", "Assignment", "SE_SHRINKAGES", "InstrumentRule", "Moderation", "assign", "direct_of_total",
           "fit_prior", "moderated", "moderation_for", "moderation_of", "rule_for", "total_of_direct",
           "with_se_shrinkage"]
