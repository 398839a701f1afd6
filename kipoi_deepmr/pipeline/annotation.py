"""What a finished run tells of the variants in a VCF."""

import os
import tempfile
from collections import Counter
from typing import NamedTuple

from ..errors import InputError
from ..inference import check_choice
from ..output.annotated_vcf import STDOUT, Annotator, annotate_vcf
from ..output.causal_text import CausalText
from ..output.stored_loci import StoredLoci, index_of
from ..runs.finished import FinishedRun
from .disk import disk_full_told
from .predictor import Predictor

CAUSAL_EFFECTS = ("all", "instruments")


class AnnotationResult(NamedTuple):
    """Counts of records and of alleles in loci, as `kipoi_deepmr.output.annotated_vcf.Annotator` has them; notes."""

    counts: Counter
    alleles: Counter
    notes: list


def annotate(folder, input_vcf, output, *, causal_effects="all", ensemble=None, fasta_file=None):
    """Write a VCF again, with a run's effects, instruments and causal effects in the INFO of records in its loci.

    Parameters
    ----------
    folder : str
        That of the run.
    input_vcf : str
        VCF, plain, gzip or BGZF, or BCF; sorted or not.
    output : str
        Ends in .vcf.gz or .vcf; `-` for standard output.
    causal_effects : {"all", "instruments"}
        Of which pairs each record tells causal effects: all, or those that it is an instrument of.
    ensemble : Ensemble, optional
        That of the run, to predict insertions, deletions and changes of several bases with; see `Predictor`.
    fasta_file : str, optional
        With `ensemble`; by default the one that the run names.

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
    check_choice("causal_effects", causal_effects, CAUSAL_EFFECTS)
    run = FinishedRun(folder)
    if run.effects is None:
        raise InputError(f"{folder}: effects.zarr is missing, which this needs")
    marks = [str(mark) for mark in run.effects["mark"].values]
    exposures, outcomes = (run.settings.get(role) or marks for role in ("exposures", "outcomes"))
    exposures = [x for x in exposures if set(outcomes) - {x}]
    index = index_of(run.effects)
    predictor = Predictor(ensemble, run, index, fasta_file) if ensemble else None
    beside = tempfile.gettempdir() if output == STDOUT else os.path.dirname(output)
    with disk_full_told(lambda: "no VCF is written; free some space and start again"):
        causal = CausalText(run, exposures, outcomes, causal_effects, beside)
        annotator = Annotator(index, StoredLoci(run.effects, run.rule), causal, run.effects["name"].values, marks,
                              predictor)
        notes = annotate_vcf(input_vcf, output, annotator)
    return AnnotationResult(annotator.counts, annotator.alleles, notes)
