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
from .mutants import Kind, Mutants, Plan, parse_mutants
from .mutate import NOT_MUTATED, Mutated
from .overlap import Parts, parts_in_loci
from .resize import HOW, common_length, resized
from .selection import AMBIGUOUS, DUPLICATE, RNA, BedSource, Loci, Locus, Selection, select

__all__ = ["ABSENT_CONTIG", "AMBIGUOUS", "BedSource", "DUPLICATE", "DroppedLocus", "Genome", "HOW", "Interval", "Kind",
           "Loci", "Locus", "Mutants", "Mutated", "NOT_MUTATED", "OVER_THE_END", "OVER_THE_START", "PREFIX_MISMATCH",
           "Parts", "Plan", "RNA", "Selection", "check_place", "common_length", "compare", "content_of", "other_prefix",
           "parse_mutants", "parts_in_loci", "read_bed", "resized", "select"]
