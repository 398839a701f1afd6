"""In-silico saturation mutagenesis: every mutant's effect on every mark, with its standard error."""

from .effects import iter_effects, saturate
from .saturation import saturation_mutants

__all__ = ["iter_effects", "saturate", "saturation_mutants"]
