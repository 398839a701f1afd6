"""Local causal effects from a store of effects (steps 5 and 6)."""

import contextlib
import logging
import os
from functools import partial

import pandas as pd

from .. import effects_store, mr
from ..calibration import calibrated_by
from ..calibration import copy as copy_calibration
from ..errors import InputError
from ..files import is_stream
from ..instruments import rule_for, with_se_shrinkage
from ..loci import Genome
from ..options import EstimateOptions
from ..output import tables
from ..output.natural_variants import natural_variants
from ..output.stored_loci import index_of
from ..output.vcf import CausalEffects, write_vcf
from ..runs.outputs import BY_RULE, CALIBRATION, DIAGNOSTICS, VCF, writing

KEPT = "the effects are kept; free some space and start again"
PRESSO_DRAWS = 1000

log = logging.getLogger(__name__)


def estimate(effects_path, local_path, options=None, *, variants=None, each=None, cluster=None, assignment=None,
             **changes):
    """Local causal effects from a store of effects (steps 5 and 6).

    Writes the table, and beside it, under its name, `.diagnostics.tsv`, `.diagnostics_by_pair.tsv`, and `.vcf.gz` with
    its index; with a calibration, `.calibration.json`, a copy of it; with regions and three members or more,
    `.regions.tsv` or `.direct.tsv`, local effects by the one of these two rules that the table is not made by. In the
    folder of a run they have the names that `run` gives them. What an earlier command left of them and this one does
    not make is removed.

    Parameters
    ----------
    effects_path : str
    local_path : str
        Where the table goes. `-`, a pipe or a device gets the table alone.
    options : EstimateOptions, optional
    variants : NaturalVariants, optional
        Those of `input_vcf`, if they are read already.
    each : callable, optional
        Gets the table piece by piece, whole loci each; then it is not kept as a whole, which takes memory.
    cluster : Cluster, optional
        Where loci are fitted; by default in this process.
    assignment : kipoi_deepmr.instruments.Assignment, optional
        That of these effects, if it is known already: on which mark each mutant acts.
    **changes
        Options by name, in place of those of `options`.

    Returns
    -------
    pandas.DataFrame
        The table written; None with `each`.

    Raises
    ------
    InputError
        An option is wrong, the store is damaged, or a file must not be replaced.
    DiskFull, ClusterFailed
        No table is left behind.
    """
    options = EstimateOptions.of(options, **changes)
    effects = effects_store.open_effects(os.path.abspath(effects_path) if cluster else effects_path)
    effects_store.check_chunks(effects_path)
    marks = effects["mark"].values.tolist()
    options, _ = cautious(options, *members_of(effects))
    options.check(marks, *members_of(effects))
    mr.check_pairs(marks, options)
    map_blocks = partial(cluster.map_blocks, effects_path) if cluster else effects_store.each_block
    if options.calibration:
        effects = calibrated_by(effects, options.calibration)
    if options.input_vcf and variants is None:
        variants = natural_variants(options.input_vcf, index_of(effects))
    if is_stream(local_path):
        options = options.replace(diagnostics=_none_beside("diagnostics", options.diagnostics),
                                  vcf=_none_beside("vcf", options.vcf))
    pieces, inputs = [], [effects_path, options.calibration, options.input_vcf, options.fasta_file,
                          effects.attrs.get("fasta_file")]
    with writing("estimate", local_path, inputs, KEPT) as files, contextlib.ExitStack() as opened:
        genome = genome_of(effects.attrs, options)
        if genome:
            opened.enter_context(genome)
        effects = with_se_shrinkage(effects, options.se_shrinkage, map_blocks)
        rule = _rule_of(effects, options, map_blocks, assignment, variants and variants.mutants)
        fitted = mr.iter_pairs(effects, options, rule, map_blocks=map_blocks)
        causal = CausalEffects(files.folder) if genome else None
        viewers = [each or pieces.append, *([causal.add] if causal else [])]
        tables.write_tsv(files.path, _shown(fitted, *viewers))
        if not files.alone:
            _write_by_other_rule(effects, options, map_blocks, assignment, files)
        if options.diagnostics != "none":
            by_locus, by_pair = map(files.beside, DIAGNOSTICS)
            counts, draws = [], PRESSO_DRAWS if options.diagnostics == "all" else 0
            diagnosed = mr.iter_diagnostics(effects, options, rule, draws, map_blocks=map_blocks)
            tables.write_tsv(by_locus, _shown(diagnosed, partial(_count_red, counts)))
            tables.write_tsv(by_pair, [mr.share_of_red(counts)])
        if options.calibration and not files.alone:
            copy_calibration(options.calibration, files.beside(CALIBRATION))
        if genome:
            write_vcf(files.beside(VCF), effects, genome, causal, rule, options.exposures or marks,
                      options.outcomes or marks, which=options.vcf, index=files.beside(VCF + ".tbi"))
    return None if each else pd.concat(pieces, ignore_index=True)


def _rule_of(effects, options, map_blocks, assignment, variants=None):
    """The instrument rule that options name."""
    regions = options.instrument_regions if options.instruments == "regions" else None
    return rule_for(effects, options.instruments, options.instrument_z, variants, options.steiger, map_blocks, regions,
                    assignment)


def _write_by_other_rule(effects, options, map_blocks, assignment, files):
    """Write local effects by the rule that the rule of the options is compared with, if there is one."""
    other = options.other_rule(*members_of(effects))
    if other is None:
        return
    options = options.replace(instruments=other)
    try:
        rule = _rule_of(effects, options, map_blocks, assignment)
    except InputError as error:
        if other == "regions":
            raise
        log.warning("instruments by regions are not compared with direct ones: %s", error)  # which nobody asked for
        return
    tables.write_tsv(files.beside(BY_RULE[other]), mr.iter_pairs(effects, options, rule, map_blocks=map_blocks))


def members_of(effects):
    """How many members made a Dataset of effects, and what it holds of them, as `keep` names it."""
    return effects.sizes["member"], "members" if "member_effect" in effects else "summary"


def cautious(options, n_members, keep):
    """What `EstimatorOptions.for_members` gives, with its caution on screen."""
    options, caution = options.for_members(n_members, keep)
    if caution:
        log.warning("%s", caution)
    return options, caution


def _none_beside(name, value):
    """No further files are written where the table goes to a stream; one that was asked for is refused."""
    if value == "all":
        raise InputError(f"--{name} all is a file beside the table, and a stream has no place for it; give -o a name")
    return "none"


def _shown(pieces, *viewers):
    """Pieces of a table as they are, after each viewer has seen them."""
    for piece in pieces:
        for view in viewers:
            view(piece)
        yield piece


def _count_red(counts, table):
    """Make one of the counts so far and those of another piece of the diagnostics."""
    both = pd.concat([*counts, mr.count_red(table)])
    counts[:] = [both.groupby(["exposure", "outcome"], sort=False).sum().reset_index()]


def genome_of(attributes, options):
    """The genome of the VCF, or None if none is to be written."""
    if options.vcf == "none":
        return None
    path = options.fasta_file or attributes.get("fasta_file")
    if not path:
        raise InputError("the VCF needs a FASTA, and the effects name none: give --fasta_file, or --vcf none")
    return Genome(path)
