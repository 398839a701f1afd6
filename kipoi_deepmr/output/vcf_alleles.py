"""How a VCF spells a mutant: POS, REF and ALT, with the base beside a deletion, and an allele in angle brackets for a
mean over draws."""

from typing import NamedTuple

import numpy as np

from .. import variants
from ..loci.mutants import AVERAGED

ABLATED = variants.ABLATED.decode()
DESCRIPTION = "Bases after POS, SVLEN of them, replaced by others; effects are means over DRAWS replacements"
# VCF 4.3 knows A, C, G, T and N in REF, and of each ambiguity code the first base of the alphabet
_CONCRETE = str.maketrans("RYSWKMBDHV-*.", "ACCAGACAAANNN")


class Alleles(NamedTuple):
    """Of the mutants of a locus, (variant,) arrays.

    Attributes
    ----------
    position : int64
        POS, but 0-based.
    ref, alt : str
    is_averaged : bool
        Whether ALT is `ABLATED`.
    is_there : bool
        Whether the locus has such a mutant, and it differs from the reference.
    """

    position: np.ndarray
    ref: np.ndarray
    alt: np.ndarray
    is_averaged: np.ndarray
    is_there: np.ndarray


def alleles_of(mutants, around, first):
    """The `Alleles` of the mutants of a locus.

    REF and ALT of a replacement are its bases. A deletion has the base before it in both, and a mean over draws has it
    as REF; at the start of a contig, where there is none, a deletion has the base after it, and a mean over draws its
    own first base.

    Parameters
    ----------
    mutants : OnContig
    around : str
        Bases of the contig from one base before the locus to one after it, as far as there are any.
    first : int
        Position of the first of them, 0-based.

    References
    ----------
    The Variant Call Format Specification, version 4.3, section 1.6.1, REF and ALT.
    """
    is_averaged = mutants.alt == AVERAGED
    is_there = (mutants.length > 0) & (mutants.ref != mutants.alt)
    padded = np.flatnonzero(is_there & (is_averaged | (mutants.alt == "")))
    if not len(padded):
        return Alleles(mutants.position, mutants.ref, mutants.alt, is_averaged, is_there)
    position, ref, alt = mutants.position.copy(), mutants.ref.tolist(), mutants.alt.tolist()
    around = around.translate(_CONCRETE)
    for i in padded.tolist():
        start = int(position[i])
        if start == 0:
            after = around[int(mutants.length[i]) - first]
            ref[i], alt[i] = (ref[i][0], ABLATED) if is_averaged[i] else (ref[i] + after, after)
        else:
            before = around[start - 1 - first]
            position[i] = start - 1
            ref[i], alt[i] = (before, ABLATED) if is_averaged[i] else (before + ref[i], before)
    return Alleles(position, np.array(ref), np.array(alt), is_averaged, is_there)
