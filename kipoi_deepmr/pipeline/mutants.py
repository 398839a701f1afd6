"""Which mutants a run predicts: what its options ask for, at the loci that were selected."""

from dataclasses import replace
from itertools import compress

import numpy as np

from .. import dna
from ..errors import InputError
from ..instruments.regions import read_regions
from ..loci import Genome, Kind, Plan, parse_mutants
from ..loci.mutants import DELETIONS, PAIRS, REGIONS, SINGLE, has_kind
from ..options import MutantOptions

NO_MUTANT = "none of the mutants lies in it (--mutants, --mutate)"


def planned(selection, marks, options=None, seed=42, **changes):
    """A selection with the plan of its mutants; loci without any are dropped.

    Parameters
    ----------
    selection : Selection
    marks : list of str
    options : MutantOptions, optional
    seed : int
        Of what replaces windows and regions.
    **changes
        Options by name, in place of those of `options`.

    Returns
    -------
    Selection

    Raises
    ------
    InputError
        A kind is unknown, wider than the loci or needs a file that is not there, or no locus has a mutant.
    """
    options = MutantOptions.of(options, **changes)
    kinds = parse_mutants(options.mutants)
    if kinds == (Kind(SINGLE),):
        return selection
    length = selection.loci.sequences.shape[1]
    for kind in kinds:
        if kind.width > length - (kind.name == DELETIONS):
            raise InputError(f"--mutants {kind}: a locus has {length:,} bases, and one of the {kind.name} must be "
                             f"{'shorter' if kind.name == DELETIONS else 'no longer'}")
    regions, notes = _regions(selection, marks, kinds, options.instrument_regions)
    plan = Plan(kinds, options.mutant_draws, options.mutant_bases, seed, regions, _flanks(selection, kinds))
    selection = replace(selection, loci=replace(selection.loci, plan=plan))
    tables = [selection.loci.mutants_of(number) for number in range(len(selection.loci))]
    there = np.array([(table.length > 0).any() for table in tables])
    if not there.any():
        raise InputError(f"--mutants {options.mutants}: no locus has such a mutant")
    dropped = dict(selection.dropped)
    if not there.all():
        dropped[NO_MUTANT] = selection.loci.name[~there].tolist()
    loci = replace(selection.loci[np.flatnonzero(there)], dropped=selection.loci.dropped)
    return replace(selection, loci=loci, dropped=dropped,
                   notes=(*selection.notes, *notes, *_cost(plan, list(compress(tables, there)))))


def _regions(selection, marks, kinds, path):
    """Regions of each locus as `Plan` has them, and what is not used of the file, in words."""
    loci = selection.loci
    if not has_kind(kinds, REGIONS, PAIRS):
        return np.zeros((len(loci), 0, 3), np.int32), []
    if not path:
        raise InputError(f"--mutants {','.join(map(str, kinds))} needs the regions: --instrument_regions FILE")
    found = read_regions(path, loci, marks)
    if not found.is_whole.any():
        raise InputError(f"{path}: no region of a mark lies wholly in a locus")
    each = np.stack([found.first, found.last, found.mark], axis=1)[found.is_whole]
    places, counts = np.unique(found.locus[found.is_whole], return_counts=True)
    regions = np.full((len(loci), counts.max(), 3), -1, np.int32)
    for place, rows in zip(places, np.split(each, np.cumsum(counts)[:-1]), strict=True):
        regions[place, :len(rows)] = rows
    n_cut = int((~found.is_whole).sum())
    cut = [f"{path}: {n_cut} regions at the ends of loci are not replaced, since a part of them lies outside"]
    return regions, [*found.left_out, *(cut if n_cut else ())]


def _flanks(selection, kinds):
    """Bases beside each locus as `Plan` has them, for deletions."""
    loci, widest = selection.loci, max((kind.width for kind in kinds if kind.name == DELETIONS), default=0)
    flanks = np.zeros((len(loci), 2, widest), np.uint8)
    if not widest:
        return flanks
    if not selection.fasta_file:
        raise InputError("--mutants deletions needs --fasta_file: the model takes sequences of one length, so that a "
                         "deletion lets in bases of the genome beside the locus")
    with Genome(selection.fasta_file) as genome:
        for number, (chrom, start, end, strand) in enumerate(zip(loci.chrom, loci.start.tolist(), loci.end.tolist(),
                                                                 loci.strand, strict=True)):
            size = genome.contigs.get(str(chrom), 0)
            if end > size:
                continue
            before = genome.fetch(str(chrom), max(0, start - widest), start)
            after = genome.fetch(str(chrom), end, min(size, end + widest))
            if strand == "-":
                before, after = dna.reverse_complement(after), dna.reverse_complement(before)
            flanks[number, 0, widest - len(before):] = before
            flanks[number, 1, :len(after)] = after
    return flanks


def _cost(plan, tables):
    """Lines of how many mutants there are of each kind, and by how many sequences they are predicted."""
    lines = []
    for name in dict.fromkeys(tables[0].kind.tolist()):
        counts = np.array([int(((table.kind == name) & (table.length > 0)).sum()) for table in tables])
        n_draws = int(plan.draws_of(tables[0])[tables[0].kind == name][0])
        each = f"{counts.min():,}" if counts.min() == counts.max() else f"{counts.min():,} to {counts.max():,}"
        by = f", each by {n_draws} sequences" if n_draws > 1 else ""
        lines.append(f"--mutants: {each} {WORDS[name]} a locus{by}")
    if plan.has(DELETIONS):
        missing = sum(int(((table.kind == DELETIONS) & (table.length == 0)).sum()) for table in tables)
        lines += [f"--mutants: {missing:,} deletions are left out: outside --mutate, or the genome has no letters ACGT "
                  "beside the locus to refill it"] if missing else []
    return lines


WORDS = {"single": "single mutants", "windows": "windows", "deletions": "deletions", "regions": "regions",
         "pairs": "pairs of regions"}
