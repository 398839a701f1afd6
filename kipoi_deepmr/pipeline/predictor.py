"""Effects of variants that are no single mutants, from the run's models: the window with the allele in it."""

import os
from functools import lru_cache

import numpy as np

from ..calibration import moved
from ..calibration import read as read_calibration
from ..errors import InputError
from ..loci import Genome
from ..runs.outputs import CALIBRATION
from ..variants import INDEL, MNV, NOT_FINITE

REFERENCES_HELD = 10_000


class Predictor:
    """Predicts insertions, deletions and changes of several bases at a run's loci; see `LocusIndex.window`.

    Where the run has a calibration, predictions are moved by it as those of its mutants were.

    Parameters
    ----------
    ensemble : Ensemble
        Of the same models as the run's.
    run : FinishedRun
    index : LocusIndex
    fasta_file : str, optional
        By default the one that the run names.

    Raises
    ------
    InputError
        The models are not the run's, take more than DNA, or there is no FASTA.
    """

    def __init__(self, ensemble, run, index, fasta_file=None):
        for what, ours in (("models", ensemble.checksums), ("members", ensemble.names), ("marks", ensemble.marks)):
            if list(ours) != list(run.settings.get(what, ())):
                raise InputError(f"{run.path}: the {what} are not those of the run any more, so that what they predict "
                                 "cannot be set beside its effects")
        if ensemble.needs_item:
            raise InputError("--predict_indels: these models take more than DNA from their dataloader, which has "
                             "nothing to give for a changed window")
        fasta_file = fasta_file or run.told.get("fasta_file")
        if not fasta_file:
            raise InputError("--predict_indels needs the genome: give --fasta_file")
        self._ensemble, self._index, self._genome = ensemble, index, Genome(fasta_file)
        self._chrom, self._ddof = run.effects["chrom"].values.tolist(), run.settings["ddof"]
        self._moves = _moves(os.path.join(run.path, CALIBRATION), ensemble.marks)
        self._reference = lru_cache(REFERENCES_HELD)(self._predict_reference)

    def close(self):
        """Close the genome."""
        self._genome.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __call__(self, placed):
        """Effects and standard errors (mark,), or a reason, of alleles in a batch: by number of record and allele."""
        found, windows = {}, {}
        for number, record in enumerate(placed):
            for k, allele in enumerate(record.alleles if record else ()):
                if allele.kind in (INDEL, MNV) and allele.mutant < 0:
                    what = self._window(record.locus, allele)
                    (found if isinstance(what, str) else windows)[number, k] = what
        if windows:
            sequences = np.stack([np.frombuffer(window, np.uint8) for window in windows.values()])
            predicted = self._ensemble.predict(sequences)
            for i, (number, k) in enumerate(windows):
                found[number, k] = self._effect(predicted[:, i], self._reference(placed[number].locus))
        return found

    def _window(self, locus, allele):
        return NOT_FINITE if self._index.lost[locus] else self._index.window(locus, allele, self._fetcher(locus))

    def _fetcher(self, locus):
        chrom = self._chrom[locus]
        length = self._genome.contigs.get(chrom, 0)

        def fetch(start, end):
            if start < 0 or end > length:
                return None
            return self._genome.fetch(chrom, start, end).tobytes() if end > start else b""

        return fetch

    def _predict_reference(self, locus):
        """Every member's prediction of the unchanged locus: (member, mark).

        Asked anew, since the store's may be those of another engine, equal only up to rounding.
        """
        start = self._index.start[locus]
        forward = self._index.forward(locus)
        if self._fetcher(locus)(start, start + len(forward)) != forward:
            raise InputError(f"{self._genome.path}: at {self._chrom[locus]}:{start}-{start + len(forward)} it is not "
                             "the FASTA that the effects were predicted from")
        return self._ensemble.predict(self._index.seen(locus)[None])[:, 0]

    def _effect(self, predicted, reference):
        predicted, reference = (each.astype(np.float64) if self._moves is None else moved(each, self._moves, self._ddof)
                                for each in (predicted, reference))
        difference = predicted - reference
        if not np.isfinite(difference).all():
            return NOT_FINITE
        return difference.mean(0).astype(np.float32), difference.std(0, ddof=self._ddof).astype(np.float32)


def _moves(path, marks):
    """How the run's calibration moves the members' predictions of each mark; None without one."""
    if not os.path.exists(path):
        return None
    moves = read_calibration(path).moves
    return [moves[mark] for mark in marks]
