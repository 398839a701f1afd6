"""`annotate`, and what is told of the variants of a VCF."""

import contextlib

from .. import variants
from ..effects_store import open_effects
from ..errors import InputError
from ..models import Ensemble, Recipe
from ..output.annotated_vcf import PREDICTED
from ..output.natural_variants import natural_variants
from ..output.stored_loci import index_of
from ..runs.finished import FinishedRun

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
    """The ensemble of a run's folder, by the recipe in its run.json, for `--predict_indels`; None without.

    Raises
    ------
    InputError
        run.json holds no recipe, or the models cannot be loaded.
    """
    if not arguments.predict_indels:
        yield None
        return
    recipe = FinishedRun(arguments.folder).told.get("recipe")
    if not recipe:
        raise InputError(f"{arguments.folder}: run.json holds no recipe of its models, which were objects of a Python "
                         "session: --predict_indels cannot load them; kipoi_deepmr.pipeline.annotate takes them")
    with Ensemble.from_recipe(Recipe.from_json(recipe)) as ensemble:
        yield ensemble


def natural_variants_of(options, effects_path=None, loci=None):
    """The variants of `--instruments variants --input_vcf FILE` on loci, or on those of a store; None without."""
    if not options.input_vcf:
        return None
    index = index_of(open_effects(effects_path)) if loci is None else variants.LocusIndex.of_loci(loci)
    return natural_variants(options.input_vcf, index)
