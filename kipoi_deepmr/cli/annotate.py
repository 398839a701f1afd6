"""`annotate`, and what is told of the variants of a VCF."""

import contextlib
import os

from .. import variants
from ..effects_store import open_effects
from ..errors import InputError
from ..models import parse_dataloader_args
from ..output.annotated_vcf import PREDICTED
from ..output.natural_variants import natural_variants
from ..output.stored_loci import index_of
from ..runs.finished import FinishedRun
from .models import load_ensemble

USABLE = "usable"
ELSEWHERE = {"outside": "outside the loci", "duplicate": "the same as one before",
             "other_prefix": "on contigs that hold loci only under another chr prefix; rename them, as with "
                             "`bcftools annotate --rename-chrs`"}


def of_annotation(result):
    """Records in and out of loci, and what became of the alleles of those in loci."""
    counts, alleles = result.counts, result.alleles
    n, inside = counts["records"], counts["inside"]
    several = f", {counts['several']:,} of them in several (of which the nearest is told)" if counts["several"] else ""
    lines = [f"records: {n:,}, {inside:,} in loci{several}, {n - inside:,} outside (left as they are)",
             f"alleles in loci: {alleles.total():,}, {alleles[PREDICTED]:,} predicted, "
             f"{counts['instruments']:,} of them instruments"]
    lines += [f"  {number:,} not predicted: {reason}: {variants.MEANINGS[reason]}"
              for reason, number in alleles.most_common() if reason != PREDICTED]
    return "\n".join(lines + result.notes)


def of_natural_variants(natural):
    """What became of the variants that `--instruments variants` was given."""
    if natural is None:
        return ""
    counts = natural.counts
    lines = [f"variants: {counts['alleles']:,} alleles in {natural.path}, {counts[USABLE]:,} are mutants of the loci"]
    lines += [f"  {number:,} left out: {reason}: {({**variants.MEANINGS, **ELSEWHERE})[reason]}"
              for reason, number in counts.items() if reason not in ("alleles", USABLE)]
    return "\n".join(lines)


@contextlib.contextmanager
def ensemble_of_run(arguments):
    """The ensemble of a run's folder, loaded as run.json tells, for `--predict_indels`; None without.

    Raises
    ------
    InputError
        run.json does not tell how the models were given, or they cannot be loaded.
    """
    if not arguments.predict_indels:
        yield None
        return
    run = FinishedRun(arguments.folder)
    given = run.told.get("arguments")
    if not given:
        raise InputError(f"{arguments.folder}: run.json does not tell how its models were given: the run was not "
                         "started from the command line, so --predict_indels cannot load them")
    loader = given.get("dataloader_args") and parse_dataloader_args(given["dataloader_args"])
    with _in_folder(run.told["directory"]):
        ensemble = load_ensemble(given, loader)
    with ensemble:
        yield ensemble


@contextlib.contextmanager
def _in_folder(path):
    before = os.getcwd()
    try:
        os.chdir(path)
    except OSError as error:
        raise InputError(f"{path}: the folder that the run was started in is not there any more "
                         f"({error.strerror})") from error
    try:
        yield
    finally:
        os.chdir(before)


def natural_variants_of(options, effects_path=None, loci=None):
    """The variants of `--instruments variants --input_vcf FILE` on loci, or on those of a store; None without."""
    if not options.input_vcf:
        return None
    index = index_of(open_effects(effects_path)) if loci is None else variants.LocusIndex.of_loci(loci)
    return natural_variants(options.input_vcf, index)
