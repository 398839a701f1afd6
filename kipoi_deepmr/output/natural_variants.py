"""Natural variants: which mutants of a run's loci a VCF holds."""

import os
from collections import Counter
from typing import NamedTuple

import numpy as np

from .. import variants
from ..effects_store import StoredMutants
from ..errors import InputError
from ..files import file_checksum
from ..instruments.rules import check_natural
from ..loci import other_prefix
from ..loci.mutants import SINGLE
from .stored_loci import index_of
from .vcf_lines import VcfLines

DUPLICATE = "duplicate"
OTHER_PREFIX = "other_prefix"


class NaturalVariants(NamedTuple):
    """The mutants of a run's loci that a VCF holds.

    Attributes
    ----------
    path : str
    sha256 : str
        Of the file.
    mutants : (n,) int64
        Locus times mutants a locus, plus the number of the single mutant; sorted. A variant in several loci is a mutant
        of each.
    counts : dict of str to int
        Of alleles: `alleles` in the file, `outside` the loci, `other_prefix` on contigs that hold loci only under
        another chr prefix, `usable`, `duplicate` of an earlier one, and the reasons of `variants.MEANINGS`.
    """

    path: str
    sha256: str
    mutants: np.ndarray
    counts: dict


def natural_of_store(path, effects):
    """`natural_variants` of the loci of a Dataset of effects; `InputError` if it has no single mutants."""
    check_natural(StoredMutants(effects).kinds)
    return natural_variants(path, index_of(effects))


def natural_of_loci(path, loci):
    """The same of `Loci` that are not predicted yet."""
    check_natural([SINGLE] if not loci.plan or loci.plan.has_single else [kind.name for kind in loci.plan.kinds])
    return natural_variants(path, variants.LocusIndex.of_loci(loci))


def natural_variants(path, index):
    """Read which mutants of loci a VCF holds; its genotypes and filters do not matter.

    Parameters
    ----------
    path : str
        VCF, plain, gzip or BGZF, or BCF; a file, since it is read for its checksum, too.
    index : LocusIndex
        Of loci with single mutants.

    Returns
    -------
    NaturalVariants

    Raises
    ------
    InputError
        The file is no VCF, or none of its variants is a mutant of a locus.
    """
    counts, found = Counter(), set()
    for _, columns in VcfLines(path):
        contig, position, ref = columns[0].decode("utf-8", "replace"), int(columns[1]) - 1, columns[3].upper()
        loci = index.at(contig, position, position + len(ref) - 1)
        for alt in columns[4].upper().split(b","):
            counts["alleles"] += 1
            counts[_take(found, index, loci, position, ref, alt) if loci else _elsewhere(index, contig)] += 1
    counts = {name: counts[name] for name in ("alleles", "usable", *sorted(set(counts) - {"alleles", "usable"}))}
    if not found:
        raise InputError(f"{path}: none of its {counts['alleles']} alleles is a mutant of a locus: {_reasons(counts)}")
    return NaturalVariants(os.path.abspath(path), file_checksum(path), np.array(sorted(found), np.int64), counts)


def _take(found, index, loci, position, ref, alt):
    """Add the mutants that an allele is, one in each locus; what to count it as."""
    kind, offset, short, alt = variants.classify(ref, alt)
    if kind != variants.SNV:
        return kind
    holding = [locus for locus in loci if index.holds(locus, position + offset)]
    if not holding:
        return variants.OUTSIDE
    if not index.is_ref(holding[0], position, ref):
        return variants.REF_MISMATCH
    numbers = [(locus, index.mutant(locus, position + offset, short, alt)) for locus in holding
               if index.mutated(locus, position + offset)]
    mutants = {index.n_variants * locus + mutant for locus, mutant in numbers}
    if not mutants:
        return variants.NOT_MUTATED
    if mutants <= found:
        return DUPLICATE
    found |= mutants
    return "usable"


def _elsewhere(index, contig):
    other = contig not in index.contigs and other_prefix(contig) in index.contigs
    return OTHER_PREFIX if other else variants.OUTSIDE


def _reasons(counts):
    reasons = ", ".join(f"{n} {name}" for name, n in counts.items() if n and name not in ("alleles", "usable"))
    hint = "; rename its contigs, as with `bcftools annotate --rename-chrs`" if counts.get(OTHER_PREFIX) else ""
    return (reasons or "the file holds no records") + hint

