"""Local causal effects from a store of effects (steps 5 and 6)."""

import contextlib
import logging
import os
import shutil
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from .. import effects_store, mr
from ..calibration import calibrated_by
from ..calibration import copy as copy_calibration
from ..errors import InputError
from ..files import file_checksum, is_stream
from ..instruments import InstrumentRule, rule_for, with_se_shrinkage
from ..loci import Genome
from ..loci.mutants import PAIRS
from ..options import EstimateOptions
from ..output import tables
from ..output.brief_vcf import write_brief_vcf
from ..output.natural_variants import natural_of_store
from ..output.vcf import CausalEffects, write_vcf
from ..runs.outputs import ARRAY_BY_RULE, BY_RULE, CALIBRATION, DIAGNOSTICS, LOCAL_ARRAY, VCF, writing
from .announcement import expected
from .chosen import with_names
from .progress import progress
from .sizes import is_wide, shape_of

KEPT = "the effects are kept; free some space and start again"
PRESSO_DRAWS = 1000
ALPHA = 0.05
ALONE = {"diagnostics": ("none",), "vcf": ("none",), "fasta_file": (), "tables": ("all",)}  # what a stream can do

log = logging.getLogger(__name__)


def estimate(effects_path, local_path, options=None, *, variants=None, each=None, cluster=None, judged=None,
             quiet=True, **changes):
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
    judged : Judged, optional
        The network of these effects, if it is known, which says on which mark each mutant acts; otherwise it is
        inferred where the table needs it.
    quiet : bool
        No progress bar.
    **changes
        Options by name, in place of those of `options`.

    Returns
    -------
    pandas.DataFrame
        The table written; None with `each`, which gets nothing if there is an array.

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
    options, _ = cautious(with_names(options, marks), *members_of(effects))
    options.check(marks, *members_of(effects))
    mr.check_pairs(marks, options)
    map_blocks = partial(cluster.map_blocks, effects_path) if cluster else effects_store.each_block
    if options.calibration:
        effects = calibrated_by(effects, options.calibration)
    if options.input_vcf and variants is None:
        variants = natural_of_store(options.input_vcf, effects)
    if is_stream(local_path):
        options = _alone(options)
    wide = is_wide(options, effects.sizes) and not is_stream(local_path)
    if wide:
        if judged is None:  # `run`, which knows the network, has announced all stages
            said = expected(options, marks, effects.sizes, local_path, effects=effects, stages=("estimate",),
                            like=os.fspath(local_path), quiet=quiet)
            if not quiet:
                log.warning("%s", said.text)
    inputs = [effects_path, options.calibration, options.input_vcf, options.fasta_file, effects.attrs.get("fasta_file")]
    with writing("estimate", local_path, inputs, KEPT) as files, contextlib.ExitStack() as opened:
        genome = genome_of(effects.attrs, options)
        if genome:
            opened.enter_context(genome)
            _tell_of_pairs(effects_path)
        if wide and judged is None and (options.tables != "none" or genome):
            judged = _judged(effects, map_blocks, quiet)
        network = judged and judged.network
        viewed = with_se_shrinkage(effects, options.se_shrinkage, map_blocks)
        assignment = network and network.instruments
        rule = _rule_of(viewed, options, map_blocks, assignment, variants and variants.mutants)
        how = _How(viewed, options, rule, map_blocks, genome, quiet)
        if wide:
            table = _estimate_array(files, how, _identity(effects_path, options), judged)
        else:
            table = _estimate_table(files, how, each)
        if not files.alone:
            _write_by_other_rule(how, assignment, files, _identity(effects_path, options) if wide else None)
        if options.calibration and not files.alone:
            copy_calibration(options.calibration, files.beside(CALIBRATION))
    return None if each else table


class _How(NamedTuple):
    """What estimates are made from, and how; see `estimate`."""

    effects: object  # an xarray.Dataset
    options: EstimateOptions
    rule: InstrumentRule
    map_blocks: Callable
    genome: Genome | None
    quiet: bool


def _estimate_table(files, how, each):
    """Write all local effects as a table, and what stands beside it."""
    effects, options, rule, map_blocks, genome, quiet = how
    if not files.alone:
        shutil.rmtree(files.unfinished(LOCAL_ARRAY), ignore_errors=True)
    pieces = []
    fitted = progress("estimate", len(effects_store.locus_blocks(effects)), quiet)(
        mr.iter_pairs(effects, options, rule, map_blocks=map_blocks))
    causal = CausalEffects(files.folder) if genome else None
    viewers = [each or pieces.append, *([causal.add] if causal else [])]
    tables.write_table(files.path, _shown(fitted, *viewers))
    if options.diagnostics != "none":
        _write_diagnostics(files, how)
    if genome:
        marks = effects["mark"].values.tolist()
        write_vcf(files.beside(VCF), effects, genome, causal, rule, options.exposures or marks,
                  options.outcomes or marks, which=options.vcf, index=files.beside(VCF + ".tbi"),
                  shown=progress("VCF", None, quiet))
    return None if each else pd.concat(pieces, ignore_index=True)


def _tell_of_pairs(effects_path):
    """Say which mutants no VCF can hold, if there are any."""
    mutants = effects_store.StoredMutants(effects_store.open_effects(effects_path, pairs=True))
    if PAIRS in mutants.kinds:
        log.warning("VCF: no record can hold a change of two regions at once, so the mutants of --mutants pairs are "
                    "left out; they are in the store of effects")


def _rule_of(effects, options, map_blocks, assignment, variants=None):
    """The instrument rule that options name; it remembers what it says of these effects, which are read many times."""
    regions = options.instrument_regions if options.instruments == "regions" else None
    rule = rule_for(effects, options.instruments, options.instrument_z, variants, options.steiger, map_blocks, regions,
                    assignment)
    return rule.remembering(effects.sizes)


def _write_by_other_rule(how, assignment, files, identity):
    """Write local effects by the rule that the rule of the options is compared with, if there is one.

    As an array with an identity, as a table without.
    """
    effects, options, _, map_blocks, _, quiet = how
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
    if identity is not None:
        _write_array(files, ARRAY_BY_RULE[other], how._replace(options=options, rule=rule),
                     {**identity, "instruments": other}, f"estimate: instruments by {other}")
        os.replace(files.unfinished(ARRAY_BY_RULE[other]), files.beside(ARRAY_BY_RULE[other]))
        return
    fitted = progress(f"estimate: instruments by {other}", len(effects_store.locus_blocks(effects)), quiet)(
        mr.iter_pairs(effects, options, rule, map_blocks=map_blocks))
    tables.write_table(files.beside(BY_RULE[other]), fitted)


def _write_diagnostics(files, how, pairs=None):
    effects, options, rule, map_blocks, _, quiet = how
    by_locus, by_pair = map(files.beside, DIAGNOSTICS)
    counts, draws = [], PRESSO_DRAWS if options.diagnostics == "all" else 0
    diagnosed = mr.iter_diagnostics(effects, options, rule, draws, map_blocks=map_blocks, pairs=pairs)
    diagnosed = progress("diagnostics", len(effects_store.locus_blocks(effects)), quiet)(diagnosed)
    tables.write_table(by_locus, _shown(diagnosed, partial(_count_red, counts)))
    tables.write_table(by_pair, [mr.share_of_red(counts)])


def _estimate_array(files, how, identity, judged):
    """Write local effects as an array, and the table and the VCF of the pairs that matter."""
    effects, options, rule, _, genome, quiet = how
    marks = [str(mark) for mark in effects["mark"].values]
    local, fits = _write_array(files, LOCAL_ARRAY, how, identity, "estimate")
    every = options.pairs(marks)
    beyond, direct = _chosen(judged and judged.network, every, marks)
    pairs = {"all": every, "none": {}}.get(options.tables, beyond)
    log.warning("%s", _told(files.path, pairs, every, options, judged))
    if any(pairs.values()):
        fits = fits.of_pairs(pairs)  # and what all pairs take of memory goes
    table = _write_some(files, how, fits, pairs)
    if genome:
        write_brief_vcf(files.beside(VCF), effects, genome, local, rule, direct, which=options.vcf,
                        index=files.beside(VCF + ".tbi"), shown=progress("VCF", None, quiet))
    os.replace(local.path, files.beside(LOCAL_ARRAY))
    return table


def _write_array(files, name, how, identity, what):
    """Write the blocks that an array still lacks, under the name that it has until it is complete.

    Gives it (LocalEffects), and the estimation that wrote them.
    """
    effects, options, rule, map_blocks, _, quiet = how
    shape = shape_of(options, [str(mark) for mark in effects["mark"].values], effects.sizes)
    alpha = options.method_args.get("alpha", ALPHA)
    writer = effects_store.LocalWriter(files.unfinished(name), shape, effects, identity, {"alpha": alpha},
                                       files.finished(name))
    fits = mr.Estimation(effects, options, rule, shape, map_blocks, files.folder)
    if writer.blocks:
        fits.moderate(progress(f"{what}: members' spread", -(-effects.sizes["locus"] // shape.block), quiet))
        fits.write(writer, progress(what, len(writer.blocks), quiet))
    writer.finish()
    return effects_store.LocalEffects(files.unfinished(name)), fits


def _write_some(files, how, fits, pairs):
    """Write the table and the diagnostics of some pairs, from their estimation; only a header if there are none."""
    sizes = fits.shape.sizes
    if not any(pairs.values()):
        header = mr.empty_table(sizes["member"])
        tables.write_table(files.path, [header])
        return header
    n_blocks = -(-sizes["locus"] // fits.shape.block)
    fits.moderate(progress(f"{os.path.basename(files.path)}: members' spread", n_blocks, how.quiet))
    kept = []
    pieces = progress(os.path.basename(files.path), None, how.quiet)(fits.tables())
    tables.write_table(files.path, _shown(pieces, kept.append))
    if how.options.diagnostics != "none":
        _write_diagnostics(files, how, pairs)
    return pd.concat(kept, ignore_index=True)


def _chosen(network, every, marks):
    """Pairs beyond the minimum effect (dict of int to list), and names of those with a direct effect, if any."""
    if network is None:
        return {}, []
    beyond, direct = (_among(every, zip(*network.pairs.names(np.flatnonzero(chosen)).values(), strict=True), marks)
                      for chosen in (network.is_edge, network.judgement.is_direct))
    return beyond, [(marks[x], marks[y]) for x, outcomes in direct.items() for y in outcomes]


def _among(every, named, marks):
    """Those of all pairs, in their order, that are among some pairs of names."""
    number, wanted = {mark: i for i, mark in enumerate(marks)}, {}
    for x, y in named:
        wanted.setdefault(number[x], set()).add(number[y])
    chosen = {x: [y for y in outcomes if y in wanted[x]] for x, outcomes in every.items() if x in wanted}
    return {x: outcomes for x, outcomes in chosen.items() if outcomes}


def _told(path, pairs, every, options, judged):
    """What the table holds, in one line."""
    n, n_pairs = (sum(map(len, some.values())) for some in (pairs, every))
    where = os.path.basename(path)
    which = {"all": "all pairs", "none": "no pairs (--tables none)"}.get(
        options.tables, f"the {n:,} of {n_pairs:,} pairs beyond the minimum effect" if judged and judged.network else
        f"no pairs, since nothing says which ones matter: {judged and judged.reason}")
    return (f"{where} holds {which}; the array of local effects beside it holds all. "
            "To print any part of it: kipoi deepmr table")


def _judged(effects, map_blocks, quiet):
    from .network import judge  # which imports this module

    return judge(effects, map_blocks=map_blocks, quiet=quiet)


def _identity(effects_path, options):
    """What decides the numbers of an array of local effects: the effects, and the options with the files they name."""
    record = os.path.join(effects_path, effects_store.RECORD)
    files = {name: path and file_checksum(path) for name, path in (
        ("calibration", options.calibration), ("input_vcf", options.input_vcf),
        ("instrument_regions", options.instrument_regions))}
    settings = options.to_json(without=("diagnostics", "vcf", "fasta_file", "tables", *files))
    return {"effects": file_checksum(record) if os.path.isfile(record) else effects_path, **settings, **files}


def members_of(effects):
    """How many members made a Dataset of effects, and what it holds of them, as `keep` names it."""
    return effects.sizes["member"], "members" if "member_effect" in effects else "summary"


def cautious(options, n_members, keep):
    """What `EstimatorOptions.for_members` gives, with its caution on screen."""
    options, caution = options.for_members(n_members, keep)
    if caution:
        log.warning("%s", caution)
    return options, caution


def _alone(options):
    """Options of a table that goes to a stream: without further files; one that was asked for is refused."""
    for name in ALONE.keys() & options.chosen:
        if getattr(options, name) not in ALONE[name]:
            raise InputError(f"--{name} {getattr(options, name)} is about files beside the table, and a stream has no "
                             "place for them; give -o a name")
    return EstimateOptions(**{**options.as_given(), "diagnostics": "none", "vcf": "none"})


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
