"""`annotate`, and what is told of the variants of a VCF."""

import contextlib

from .. import variants
from ..effects_store import open_effects
from ..errors import InputError
from ..models import Ensemble, Recipe
from ..models.environments import interpreters
from ..models.patterns import matching_models, source_of
from ..options import AnnotateOptions
from ..output.annotated_vcf import PREDICTED
from ..output.natural_variants import natural_of_loci, natural_of_store
from ..runs.finished import FinishedRun
from .tables import Part

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
    lines += [f"  {number:,} not predicted: {reason}: {result.meanings[reason]}"
              for reason, number in alleles.most_common() if reason != PREDICTED]
    return "\n".join(lines + result.notes)


def of_natural_variants(natural):
    """What became of the variants that `--instruments variants` was given."""
    if natural is None:
        return None
    counts = natural.counts
    line = f"variants: {counts['alleles']:,} alleles in {natural.path}, {counts[USABLE]:,} are mutants of the loci"
    rows = [f"  {number:,} left out: {reason}: {({**variants.MEANINGS, **ELSEWHERE})[reason]}"
            for reason, number in counts.items() if reason not in ("alleles", USABLE)]
    return Part((line,), tuple(rows))


@contextlib.contextmanager
def ensemble_of_run(arguments):
    """The ensemble of a run for `--predict_indels`, of models that the user names; None without.

    How they are read and put together is what the recipe in run.json says. Which models, and in which Python, it does
    not decide, since it may be another's: the folder that somebody gave you would run their code.

    Raises
    ------
    InputError
        run.json holds no recipe, no models are named or others than the run had, or they cannot be loaded.
    """
    if not arguments.predict_indels:
        yield None
        return
    options = AnnotateOptions.among(arguments)
    recipe = FinishedRun(arguments.folder).told.get("recipe")
    if not recipe:
        raise InputError(f"{arguments.folder}: run.json holds no recipe of its models, which were objects of a Python "
                         "session: --predict_indels cannot load them; kipoi_deepmr.pipeline.annotate takes them")
    with Ensemble.from_recipe(_with_own_models(Recipe.from_json(recipe), options, arguments.folder)) as ensemble:
        yield ensemble


def _with_own_models(recipe, options, folder):
    """A recipe with the models and the Python that the user named."""
    if not options.models:
        raise InputError("--predict_indels runs the models' code, and a run's folder is no reason to run it: name the "
                         f"models with --models; {folder}/run.json calls them {' '.join(map(str, recipe.names))} "
                         f"(--source {recipe.source})")
    source = source_of(options.models, options.source)
    models = matching_models(options.models, source)
    if len(models) != len(recipe.models) or source != recipe.source:
        raise InputError(f"--models names {len(models)} models of the source {source}; the run in {folder} had "
                         f"{len(recipe.models)} of the source {recipe.source}")
    pythons = interpreters(models, options.python, options.env)
    if any(recipe.pythons or ()) and not any(pythons):
        raise InputError(f"the models of {folder} ran in a Python of their own; say --python or --env")
    if recipe.module and not options.module:
        raise InputError(f"the networks of {folder} were of a class in a Python file; name it with --module")
    return recipe.of_models(models, pythons, options.module)


def natural_variants_of(options, effects_path=None, loci=None):
    """The variants of `--instruments variants --input_vcf FILE` on loci, or on those of a store; None without."""
    if not options.input_vcf:
        return None
    if loci is None:
        return natural_of_store(options.input_vcf, open_effects(effects_path))
    return natural_of_loci(options.input_vcf, loci)
