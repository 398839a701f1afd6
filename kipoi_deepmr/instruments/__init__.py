"""Which mutants are instruments of which marks, and the moderation of their standard errors."""

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

__all__ = ["SE_SHRINKAGES", "InstrumentRule", "Moderation", "fit_prior", "moderated", "moderation_for", "moderation_of",
           "rule_for", "with_se_shrinkage"]
