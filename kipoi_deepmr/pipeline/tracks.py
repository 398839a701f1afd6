"""Tracks for genome browsers, of a run or of a store of effects."""

import contextlib
import os
import tempfile
from typing import NamedTuple

from .. import effects_store
from ..errors import InputError
from ..files import disk_full_told
from ..loci import Genome
from ..options import TracksOptions
from ..output.tracks import SESSION, TrackCounts, big_wig, write_tracks
from ..runs.finished import FinishedRun
from ..runs.outputs import RUN_JSON, check_inputs
from .chosen import numbers_of
from .progress import progress


class TracksResult(NamedTuple):
    """What was written, and notes on what is left out."""

    counts: TrackCounts
    n_marks: int
    notes: list


def tracks(source, folder, options=None, *, quiet=True, **changes):
    """Write effects (bedGraph, bigWig) and instruments (BED) of each mark, and an IGV session, into a new folder.

    Parameters
    ----------
    source : str
        Folder of a run, or a store of effects, which knows no instruments.
    folder : str
        To write; with `overwrite` it may hold tracks of before, which go.
    options : TracksOptions, optional
    quiet : bool
    **changes
        Options by name, in place of those.

    Returns
    -------
    TracksResult

    Raises
    ------
    InputError
        No effects are there, a mark is unknown, the loci have no place in a genome, or there is something else in the
        folder; then nothing is left behind.
    DiskFull
    """
    options = TracksOptions.of(options, **changes)
    effects, rule, notes = _source(source)
    names = [str(mark) for mark in effects["mark"].values]
    marks = numbers_of("mark", options.marks or None, names)
    sizes, genome, more = _contigs(effects, options.fasta_file)
    notes += more
    if big_wig() is None:
        notes.append("no bigWig, which needs pyBigWig: pip install pyBigWig")
    _check_folder(folder, options.overwrite, source)
    blocks = effects_store.locus_blocks(effects)
    with disk_full_told(lambda: "free some space and start again", folder), _whole_folder(folder) as made:
        counts = write_tracks(made, effects, sizes, marks, options.value, rule, genome,
                              progress("tracks", len(blocks), quiet))
    return TracksResult(counts, len(marks), notes)


def _source(path):
    """Effects, the rule of instruments (None without), and notes."""
    if os.path.isfile(os.path.join(path, RUN_JSON)):
        run = FinishedRun(path)
        if run.effects is None:
            raise InputError(f"{path}: effects.zarr is missing, which this needs")
        return run.effects, run.rule, []
    effects = effects_store.open_effects(path)
    effects_store.check_chunks(path)
    return effects, None, ["no instruments, which a store does not know: give the folder of a run"]


def _contigs(effects, fasta_file):
    """Lengths of contigs, the FASTA for the session, and notes."""
    path = fasta_file or effects.attrs.get("fasta_file")
    if path and (fasta_file or os.path.isfile(path)):
        genome = Genome(path)
        try:
            return dict(genome.contigs), os.path.abspath(path), []
        finally:
            genome.close()
    ends = {}
    for chrom, end in zip(effects["chrom"].values, effects["end"].values, strict=True):
        ends[str(chrom)] = max(int(end), ends.get(str(chrom), 0))
    if not path and len(ends) == effects.sizes["locus"] and not effects["start"].values.any():
        raise InputError("the loci are sequences without a place in a genome, so that no browser can show them; give "
                         "their places (chrom, start, end, strand) to Loci.from_sequences, or the FASTA whose contigs "
                         "they are: --fasta_file")
    return ends, None, [f"contigs end with their last locus, since {path or 'no FASTA'} is there to say how long they "
                        "are: --fasta_file"]


def _check_folder(folder, overwrite, source):
    check_inputs(folder, [source])
    if not os.path.lexists(folder):
        parent = os.path.dirname(os.path.abspath(folder))
        if not os.path.isdir(parent):
            raise InputError(f"-o {folder}: there is no folder {parent}")
    elif not os.path.isdir(folder):
        raise InputError(f"-o {folder}: there is a file of that name")
    elif os.listdir(folder) and not os.path.isfile(os.path.join(folder, SESSION)):
        raise InputError(f"-o {folder}: there is something in it that `tracks` did not write; name a new folder")
    elif os.listdir(folder) and not overwrite:
        raise InputError(f"-o {folder}: there are tracks in it already; name a new folder, or replace them with "
                         "--overwrite")


@contextlib.contextmanager
def _whole_folder(folder):
    """A folder to write to, which gets its name at the end, in place of what was there."""
    folder = os.path.realpath(folder)
    with tempfile.TemporaryDirectory(prefix=f".{os.path.basename(folder)}.", dir=os.path.dirname(folder)) as staged:
        made = os.path.join(staged, "made")
        os.mkdir(made)
        yield made
        if os.path.isdir(folder):
            os.rename(folder, os.path.join(staged, "before"))
        os.rename(made, folder)
