"""Which mutants are instruments of which marks, and the moderation of their standard errors."""

from .moderation import SE_SHRINKAGES, Moderation, fit_prior, moderation_for
from .rules import InstrumentRule, rule_for

__all__ = ["SE_SHRINKAGES", "InstrumentRule", "Moderation", "fit_prior", "moderation_for", "rule_for"]
