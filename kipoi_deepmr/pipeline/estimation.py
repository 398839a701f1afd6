"""Local causal effects from a store of effects (steps 5 and 6)."""

import contextlib
import os
import shutil
from functools import partial

import pandas as pd

from .. import effects_store, mr
from ..calibration import calibrated_by
from ..errors import InputError
from ..files import replacing
from ..instruments import rule_for, with_se_shrinkage
from ..loci import Genome
from ..output import tables
from ..output.vcf import CausalEffects, write_vcf
from ..runs import manifest
from .disk import disk_full_told

DIAGNOSTICS = ("diagnostics.tsv", "diagnostics_by_pair.tsv")
PRESSO_DRAWS = 1000


def estimate(effects_path, local_path, *, exposures=None, outcomes=None, method=("egger",), instruments="pooled",
             instrument_z=3.0, steiger=False, se_shrinkage="none", uncertainty="instrument",
             spread_shrinkage="moderated", method_args=None, adjust=None, diagnostics="quick", vcf="instruments",
             fasta_file=None, calibration=None, variants=None, each=None, cluster=None):
    """Local causal effects from a store of effects (steps 5 and 6).

    Writes the table, and beside it `diagnostics.tsv`, `diagnostics_by_pair.tsv`, and `instruments.vcf.gz` with its
    index. With a calibration, a copy of it named as the table but ending in .calibration.json; without, one left there
    is removed.

    Parameters
    ----------
    effects_path, local_path : str
    exposures, outcomes : sequence of str, optional
        Marks; all by default.
    method : sequence of str
        Names in `kipoi_deepmr.mr.METHODS`.
    instruments : {"pooled", "own", "variants"}
        Rule by which a mutant is an instrument; see `kipoi_deepmr.instruments.rule_for`.
    instrument_z : float
    steiger : bool
        Steiger's filter of the instruments of each pair; see `kipoi_deepmr.instruments.rule_for`.
    se_shrinkage : {"none", "moderated"}
        Of the mutants' standard errors; see `kipoi_deepmr.instruments.moderated`.
    uncertainty : {"instrument", "members", "combined", "cross_fitted"}
        Where intervals come from; see `kipoi_deepmr.mr.fit_pairs`.
    spread_shrinkage : {"moderated", "none"}
        Of the members' spread at a locus; see `kipoi_deepmr.mr.fit_pairs`.
    method_args : dict, optional
        Options of the methods, such as `{"model": "fixed"}`; see `kipoi_deepmr.mr.fit_pairs`.
    adjust : sequence of str, optional
        Marks that multivariable methods hold fixed; see `kipoi_deepmr.mr.fit_pairs`.
    diagnostics : {"quick", "all", "none"}
        all: with MR-PRESSO's global test, which takes 1,000 draws a locus and pair.
    vcf : {"instruments", "all", "none"}
    fasta_file : str, optional
        By default the one that the store names.
    calibration : str, optional
        File by which the effects are calibrated before anything else; see `kipoi_deepmr.calibration.calibrated`.
    variants : NaturalVariants, optional
        With `instruments="variants"`; `kipoi_deepmr.output.natural_variants.natural_variants` reads them.
    each : callable, optional
        Gets the table piece by piece, whole loci each; then it is not kept as a whole, which takes memory.
    cluster : Cluster, optional
        Where loci are fitted; by default in this process.

    Returns
    -------
    pandas.DataFrame
        The table written; None with `each`.

    Raises
    ------
    InputError
        An option is wrong, or the store is damaged.
    DiskFull, ClusterFailed
        No table is left behind.
    """
    effects = effects_store.open_effects(os.path.abspath(effects_path) if cluster else effects_path)
    effects_store.check_chunks(effects_path)
    mr.check_pairs(effects["mark"].values, exposures, outcomes, method, adjust, **(method_args or {}))
    map_blocks = partial(cluster.map_blocks, effects_path) if cluster else effects_store.each_block
    if calibration:
        effects = calibrated_by(effects, calibration)
    genome = genome_of(effects.attrs, fasta_file, vcf)
    effects = with_se_shrinkage(effects, se_shrinkage)
    rule = rule_for(effects, instruments, instrument_z, variants and variants.mutants, steiger, map_blocks)
    folder, pieces = os.path.dirname(local_path), []
    calibration_used = os.path.splitext(local_path)[0] + manifest.CALIBRATION_SUFFIX
    with contextlib.ExitStack() as complete:
        complete.enter_context(disk_full_told(lambda: "the effects are kept; free some space and start again"))
        temporary = complete.enter_context(replacing(local_path))
        fitted = mr.iter_pairs(effects, exposures, outcomes, method, rule, uncertainty,
                               spread_shrinkage, adjust=adjust, map_blocks=map_blocks, **(method_args or {}))
        causal = CausalEffects(folder) if genome else None
        viewers = [each or pieces.append, *([causal.add] if causal else [])]
        tables.write_tsv(temporary, _shown(fitted, *viewers))
        if diagnostics != "none":
            by_locus, by_pair = (complete.enter_context(replacing(os.path.join(folder, name)))
                             for name in DIAGNOSTICS)
            counts, draws = [], PRESSO_DRAWS if diagnostics == "all" else 0
            diagnosed = mr.iter_diagnostics(effects, exposures, outcomes, rule, draws, map_blocks=map_blocks)
            tables.write_tsv(by_locus, _shown(diagnosed, partial(_count_red, counts)))
            tables.write_tsv(by_pair, [mr.share_of_red(counts)])
        if calibration:
            shutil.copyfile(calibration, complete.enter_context(replacing(calibration_used)))
        elif os.path.exists(calibration_used):
            os.remove(calibration_used)
        if genome:
            complete.enter_context(genome)
            write_vcf(os.path.join(folder, "instruments.vcf.gz"), effects, genome, causal, rule,
                      exposures or effects["mark"].values, outcomes or effects["mark"].values, which=vcf)
    return None if each else pd.concat(pieces, ignore_index=True)


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


def genome_of(attributes, fasta_file, vcf):
    """The genome of the VCF, or None if none is to be written."""
    if vcf == "none":
        return None
    path = fasta_file or attributes.get("fasta_file")
    if not path:
        raise InputError("the VCF needs a FASTA, and the effects name none: give --fasta_file, or --vcf none")
    return Genome(path)
