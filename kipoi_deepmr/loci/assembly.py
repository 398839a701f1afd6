"""Whether intervals and a FASTA are of one assembly: what names and lengths of contigs tell."""

import re

from ..errors import InputError

OVER_THE_START = "begins before its contig"
OVER_THE_END = "runs over the end of its contig"
ABSENT_CONTIG = "its contig is not in the FASTA"
PREFIX_MISMATCH = 'its contig is in the FASTA only with another "chr" prefix'

MANY = 0.01  # of intervals that end beyond their contigs; rounded or resized intervals at ends are fewer
NAMES_SHOWN = 3
_ACCESSION = re.compile(r"[A-Z]{1,4}_?\d{5,}(\.\d+)?")


class DroppedLocus(Exception):
    """Raised by a source of loci for a locus that cannot be used."""

    def __init__(self, name, reason):
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


def check_place(interval, genome):
    """Raise `DroppedLocus` if an interval is not wholly within one of a genome's contigs."""
    contigs = genome.contigs
    if interval.chrom not in contigs:
        raise DroppedLocus(interval.name, PREFIX_MISMATCH if other_prefix(interval.chrom) in contigs else ABSENT_CONTIG)
    genome.check_lines(interval.chrom)  # else its length may be wrong
    if interval.start < 0:
        raise DroppedLocus(interval.name, OVER_THE_START)
    if interval.end > contigs[interval.chrom]:
        raise DroppedLocus(interval.name, OVER_THE_END)


def other_prefix(contig):
    """The contig's name with `chr` taken away or put before it."""
    return contig[3:] if contig.startswith("chr") else "chr" + contig


def compare(intervals, path, genome):
    """Compare intervals with the contigs of a genome.

    Parameters
    ----------
    intervals : list of Interval
        As the file has them, not resized.
    path : str
        Of their file.
    genome : Genome

    Returns
    -------
    list of str
        What speaks against one assembly for some of them: a line each.

    Raises
    ------
    InputError
        No contig of the intervals is in the FASTA, or more than half of them end beyond their contigs.
    """
    names = dict.fromkeys(interval.chrom for interval in intervals)
    missing = [name for name in names if name not in genome.contigs]
    of_fasta = f"{genome.path} ({_listed(genome.contigs)})"
    if len(missing) == len(names):
        raise InputError(f"{path}: none of its contigs ({_listed(missing)}) is in {of_fasta}: "
                         f"{_reason(missing, genome)}")
    notes = []
    n_missing = sum(interval.chrom not in genome.contigs for interval in intervals)
    if missing:
        notes.append(f"{path}: {n_missing:,} of {len(intervals):,} intervals lie on contigs ({_listed(missing)}) that "
                     f"are not in {of_fasta}: {_reason(missing, genome)}")
    beyond = [interval for interval in intervals if interval.end > genome.contigs.get(interval.chrom, interval.end)]
    if len(beyond) > 1 and len(beyond) >= MANY * len(intervals):
        first = beyond[0]
        told = (f"{path}: {len(beyond):,} of {len(intervals):,} intervals end beyond their contigs in {genome.path} "
                f"(the first, in line {first.line}: {first.chrom}:{first.start}-{first.end}, and {first.chrom} has "
                f"{genome.contigs[first.chrom]:,} bases): the two are probably of different assemblies")
        if 2 * len(beyond) > len(intervals) - n_missing:
            raise InputError(told)
        notes.append(told)
    return notes


def _reason(missing, genome):
    """Why contigs are probably missing in a genome."""
    prefixed = next((name for name in missing if other_prefix(name) in genome.contigs), None)
    if prefixed:
        return (f'they are there only with another "chr" prefix ({other_prefix(prefixed)} for {prefixed}); rename them '
                "in one of the two files")
    accessions = [any(map(_ACCESSION.fullmatch, map(str, names))) for names in (missing, genome.contigs)]
    if accessions[0] != accessions[1]:
        return (f"{'the intervals name' if accessions[0] else 'the FASTA names'} contigs by accession number; rename "
                "them in one of the two files")
    return "the two are probably of different assemblies or species, or the FASTA holds a part of the genome"


def _listed(names):
    names = list(names)
    more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(map(str, names[:NAMES_SHOWN])) + more
