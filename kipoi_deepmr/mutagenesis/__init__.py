"""In-silico saturation mutagenesis: every mutant's effect on every mark, with its standard error."""

from ..models.host.saturation import saturation_mutants
from .effects import NOT_FINITE, effects_of_block, iter_effects, saturate

__all__ = ["NOT_FINITE", "effects_of_block", "iter_effects", "saturate", "saturation_mutants"]
