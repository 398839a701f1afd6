"""What speaks against an estimate: tests at each locus and pair, and the table of them."""

from .table import RED, count_red, diagnose, diagnose_pairs, iter_diagnostics, share_of_red

__all__ = ["RED", "count_red", "diagnose", "diagnose_pairs", "iter_diagnostics", "share_of_red"]
