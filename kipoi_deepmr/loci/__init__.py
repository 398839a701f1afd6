"""Loci: intervals and a FASTA in, sampled and checked; which are used, which are dropped and why."""

from .assembly import (
    ABSENT_CONTIG,
    OVER_THE_END,
    OVER_THE_START,
    PREFIX_MISMATCH,
    DroppedLocus,
    check_place,
    compare,
    other_prefix,
)
from .bed import Interval, content_of, read_bed
from .genome import Genome
from .mutate import NOT_MUTATED, Mutated
from .resize import HOW, common_length, resized
from .selection import AMBIGUOUS, DUPLICATE, RNA, BedSource, Loci, Locus, Selection, select

__all__ = ["ABSENT_CONTIG", "AMBIGUOUS", "DUPLICATE", "HOW", "NOT_MUTATED", "OVER_THE_END", "OVER_THE_START",
           "PREFIX_MISMATCH", "RNA", "BedSource", "DroppedLocus", "Genome", "Interval", "Loci", "Locus", "Mutated",
           "Selection", "check_place", "common_length", "compare", "content_of", "other_prefix", "read_bed", "resized",
           "select"]
