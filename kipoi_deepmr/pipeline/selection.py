"""Which loci a run is about."""

import contextlib
import os
from dataclasses import replace

from ..errors import InputError
from ..loci import BedSource, Genome, Mutated, read_bed, select
from .mutants import planned


def select_loci(ensemble, dataloader_args=None, intervals_file=None, fasta_file=None, n_loci=None, seed=42,
                resize=None, mutate=None, mutants=None):
    """Loci from the model's own dataloader, or from BED and FASTA.

    Parameters
    ----------
    ensemble : Ensemble
    dataloader_args : dict, optional
        Arguments of the model's own dataloader.
    intervals_file, fasta_file : str, optional
        BED and FASTA, instead of a dataloader; `fasta_file` may also go with `dataloader_args` that name none.
    n_loci, seed
        As for `kipoi_deepmr.loci.select`.
    resize : str, optional
        How intervals are resized, as `kipoi_deepmr.loci.resized` takes it.
    mutate : str, optional
        Which positions are mutated, as `kipoi_deepmr.loci.Mutated` takes it; all by default.
    mutants : MutantOptions, optional
        Which mutants are predicted; all single ones by default.

    Returns
    -------
    Selection

    Raises
    ------
    InputError
    """
    if bool(dataloader_args) == bool(intervals_file):
        raise InputError("loci come either from --dataloader_args or from --intervals_file and --fasta_file: give one")
    chosen = Mutated(mutate) if mutate else None

    def selected(source):
        return planned(_selected(source, n_loci, seed, fasta_file, chosen), ensemble.marks, mutants, seed)

    if dataloader_args:
        fasta_file = fasta_file or dataloader_args.get("fasta_file")
        with contextlib.ExitStack() as opened:
            genome = opened.enter_context(Genome(fasta_file)) if fasta_file else None
            source = opened.enter_context(ensemble.dataloader(dataloader_args, genome, resize))
            return selected(source)
    if not fasta_file:
        raise InputError("--intervals_file needs --fasta_file")
    if ensemble.needs_item:
        with ensemble.bed(intervals_file, fasta_file, resize) as source:
            return selected(source)
    with Genome(fasta_file) as genome:
        intervals = read_bed(intervals_file, below_zero=True)
        source = BedSource(intervals, genome, ensemble.length, intervals_file, resize)
        return selected(source)


def _selected(source, n_loci, seed, fasta_file, mutated):
    selection = select(source, n_loci, seed, mutated)
    return replace(selection, fasta_file=fasta_file and os.path.abspath(fasta_file),
                   notes=(*source.notes, *_of_mutated(selection.loci.mutated)))


def _of_mutated(mutated):
    """A line of how many positions are mutated, if not all are."""
    if mutated.all():
        return []
    counts = mutated.sum(1)
    each = f"{counts.min():,}" if counts.min() == counts.max() else f"{counts.min():,} to {counts.max():,}"
    return [f"--mutate: {each} of the {mutated.shape[1]:,} positions of a locus are mutated"]
