"""What a finished run tells of the variants in a VCF."""

import contextlib
import os
import tempfile
from collections import Counter
from typing import NamedTuple

from ..errors import InputError
from ..options import AnnotateOptions
from ..output.annotated_vcf import STDOUT, Annotator, annotate_vcf
from ..output.causal_text import CausalText
from ..output.stored_loci import StoredLoci, index_of
from ..runs.finished import FinishedRun
from .disk import disk_full_told
from .predictor import Predictor


class AnnotationResult(NamedTuple):
    """Counts of records and of alleles in loci, as `kipoi_deepmr.output.annotated_vcf.Annotator` has them; notes."""

    counts: Counter
    alleles: Counter
    notes: list


def annotate(folder, input_vcf, output, options=None, *, ensemble=None, **changes):
    """Write a VCF again, with a run's effects, instruments and causal effects in the INFO of records in its loci.

    Parameters
    ----------
    folder : str
        That of the run.
    input_vcf : str
        VCF, plain, gzip or BGZF, or BCF; sorted or not.
    output : str
        Ends in .vcf.gz or .vcf; `-` for standard output.
    options : AnnotateOptions, optional
    ensemble : Ensemble, optional
        That of the run, to predict insertions, deletions and changes of several bases with; see `Predictor`.
    **changes
        Options by name, in place of those.

    Returns
    -------
    AnnotationResult

    Raises
    ------
    InputError
        The folder is no finished run's, the ensemble is not that of the run, or as `annotate_vcf`; then no file is left
        behind.
    DiskFull
    """
    options = AnnotateOptions.of(options, input_vcf=input_vcf, predict_indels=ensemble is not None, **changes)
    run = FinishedRun(folder)
    if run.effects is None:
        raise InputError(f"{folder}: effects.zarr is missing, which this needs")
    marks = [str(mark) for mark in run.effects["mark"].values]
    exposures, outcomes = (run.settings.get(role) or marks for role in ("exposures", "outcomes"))
    exposures = [x for x in exposures if set(outcomes) - {x}]
    index = index_of(run.effects)
    beside = tempfile.gettempdir() if output == STDOUT else os.path.dirname(output)
    opened = Predictor(ensemble, run, index, options.fasta_file) if ensemble else contextlib.nullcontext()
    with opened as predictor, disk_full_told(lambda: "no VCF is written; free some space and start again"):
        causal = CausalText(run, exposures, outcomes, options.causal_effects, beside)
        annotator = Annotator(index, StoredLoci(run.effects, run.rule), causal, run.effects["name"].values, marks,
                              predictor)
        notes = annotate_vcf(options.input_vcf, output, annotator)
    return AnnotationResult(annotator.counts, annotator.alleles, notes)
