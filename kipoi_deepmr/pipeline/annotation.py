"""What a finished run tells of the variants in a VCF."""

import contextlib
import shutil
from collections import Counter
from typing import NamedTuple

from ..errors import InputError
from ..files import is_stream, stream_of
from ..options import AnnotateOptions
from ..output.annotated_vcf import Annotator, annotate_vcf
from ..output.causal_text import CausalText
from ..output.stored_loci import StoredLoci, index_of
from ..runs.finished import FinishedRun
from ..runs.outputs import writing
from .predictor import Predictor


class AnnotationResult(NamedTuple):
    """Counts of records and of alleles in loci, as `kipoi_deepmr.output.annotated_vcf.Annotator` has them; notes; what
    the reasons in `alleles` mean."""

    counts: Counter
    alleles: Counter
    notes: list
    meanings: dict


def annotate(folder, input_vcf, output, options=None, *, ensemble=None, **changes):
    """Write a VCF again, with a run's effects, instruments and causal effects in the INFO of records in its loci.

    Parameters
    ----------
    folder : str
        That of the run.
    input_vcf : str
        VCF, plain, gzip or BGZF, or BCF; sorted or not.
    output : str
        Ends in .vcf.gz or .vcf; `-`, a pipe or a device gets plain VCF.
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
        The folder is not that of a finished run, the ensemble is not that of the run, the output has another ending or
        must not be replaced, or as `annotate_vcf`; then no file is left behind.
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
    if not is_stream(output) and not output.endswith((".vcf.gz", ".vcf")):
        raise InputError(f"{output}: the name must end in .vcf.gz or .vcf, or be - for standard output")
    inputs = [options.input_vcf, options.fasta_file, run.told.get("input_vcf"), run.told.get("fasta_file")]
    opened = Predictor(ensemble, run, index, options.fasta_file) if ensemble else contextlib.nullcontext()
    with opened as predictor, \
            writing("annotate", output, inputs, "no VCF is written; free some space and start again") as files:
        causal = CausalText(run, exposures, outcomes, options.causal_effects, files.folder)
        annotator = Annotator(index, StoredLoci(run.effects, run.rule), causal, run.effects["name"].values, marks,
                              predictor, exposures if run.local_array else None)
        if files.alone:
            with stream_of(output) as stream:
                notes, _ = annotate_vcf(options.input_vcf, stream, annotator)
        else:
            notes, made = annotate_vcf(options.input_vcf, files.path, annotator)
            if made:
                shutil.move(files.path + made, files.beside(made[1:]))
    return AnnotationResult(annotator.counts, annotator.alleles, notes, annotator.meanings)
