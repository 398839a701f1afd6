"""predict, estimate, aggregate, and run: the three in a row."""

import contextlib
import errno
import hashlib
import os
import shutil
import sys
from datetime import datetime, timezone
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from . import effects_store, meta, mr, mutagenesis, strata
from .errors import DiskFull, InputError, Stopped
from .inference import check_choice
from .loci import BedSource, Genome, read_bed, select
from .output import manifest, tables
from .output.vcf import CausalEffects, write_vcf
from .plots import global_effects_figure, strata_figure
from .report import write_report

DIAGNOSTICS = ("diagnostics.tsv", "diagnostics_by_pair.tsv")
PRESSO_DRAWS = 1000
GO_ON = "the same command goes on from there"


class RunResult(NamedTuple):
    """Tables of a run, as written to local.tsv and global.tsv, and the names of dropped loci by reason."""

    local: pd.DataFrame
    global_: pd.DataFrame
    dropped: dict


class StrataResult(NamedTuple):
    """Tables as written to strata.tsv (None if no covariate makes strata) and strata_tests.tsv, and what to know."""

    strata: pd.DataFrame | None
    tests: pd.DataFrame
    notes: list


def select_loci(ensemble, dataloader_args=None, intervals_file=None, fasta_file=None, n_loci=None, seed=42):
    """Loci from the model's own dataloader, or from BED and FASTA.

    Parameters
    ----------
    ensemble : Ensemble
    dataloader_args : dict, optional
        Arguments of the model's own dataloader.
    intervals_file, fasta_file : str, optional
        BED and FASTA, instead of a dataloader; `fasta_file` may also go with `dataloader_args` that name none.
    n_loci, seed
        As for `kipoi_deepmr.loci.select`.

    Returns
    -------
    Selection

    Raises
    ------
    InputError
    """
    if bool(dataloader_args) == bool(intervals_file):
        raise InputError("loci come either from --dataloader_args or from --intervals_file and --fasta_file: give one")
    if dataloader_args:
        with_genome = Genome(fasta_file) if fasta_file else None
        return select(ensemble.dataloader(dataloader_args, with_genome), n_loci, seed)
    if not fasta_file:
        raise InputError("--intervals_file needs --fasta_file")
    if ensemble.needs_item:
        return select(ensemble.bed(intervals_file, fasta_file), n_loci, seed)
    with Genome(fasta_file) as genome:
        return select(BedSource(read_bed(intervals_file), genome, ensemble.length, intervals_file), n_loci, seed)


def predict_settings(ensemble, loci, ddof=1, keep="members"):
    """What decides the contents of effects.zarr; two stores with equal settings are equal."""
    digest = hashlib.sha256()
    for column in (loci.chrom, loci.start, loci.end, loci.strand, loci.name):
        digest.update("\n".join(map(str, column)).encode())
    digest.update(np.ascontiguousarray(loci.sequences).tobytes())
    return {**ensemble.settings, "models": list(ensemble.checksums), "members": list(ensemble.names),
            "marks": list(ensemble.marks), "loci": len(loci), "loci_sha256": digest.hexdigest(), "ddof": ddof,
            "keep": keep}


def _check_disk(ensemble, loci, path, keep):
    """What the effects will take at most, and what there is, as a text; raises `DiskFull` if they cannot be held."""
    total = effects_store.bytes_on_disk(len(loci), ensemble.length, len(ensemble.names), len(ensemble.marks),
                                        keep == "members")
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    needed = max(0, total - effects_store.bytes_left_by_an_earlier_run(path))
    free = shutil.disk_usage(folder).free
    if needed > free:
        leaner = "" if keep == "summary" else ", --keep summary to store no member's effects"
        raise DiskFull(f"{path}: the effects take up to {_size(needed)}, and the disk has {_size(free)} free; "
                       f"take fewer loci (--n_loci){leaner}, or another disk")
    return f"disk: at most {_size(needed)} for {path}, {_size(free)} free"


def _size(n_bytes):
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.1f} MB"


@contextlib.contextmanager
def _disk_full_told(kept):
    """Tell in one line that the disk is full, and what is `kept` (a function that says so)."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFull(f"{error.filename or 'output'}: {os.strerror(error.errno)}; {kept()}") from error


def predict(ensemble, selection, path, *, ddof=1, keep="members", details=None, overwrite=False, quiet=False,
            cluster=None):
    """Effects of all mutants of the selected loci, written to a store (steps 1 to 4).

    A run of the same settings that was killed is gone on with: the blocks of loci that it finished are kept.

    Parameters
    ----------
    ensemble : Ensemble
    selection : Selection
    path : str
        The store to write. If it holds the effects of the same settings, they are kept as they are.
    ddof : int
    keep : {"members", "summary"}
        Whether `member_effect` is stored.
    details : dict, optional
        Further attributes of the store (JSON values).
    overwrite : bool
        Replace a store of other settings.
    quiet : bool
        No progress bar, and no estimate of the disk that the effects take.
    cluster : Cluster, optional
        Where the effects are computed; by default in this process.

    Returns
    -------
    dict of str to list of str
        For each reason the names of loci dropped: those of the selection, and those for which a model predicts what is
        no finite number. These keep their place in the store, with effects that are NaN.

    Raises
    ------
    InputError
        The store holds other effects, cannot be written, is being written by another run, or no locus has finite
        predictions; then nothing is left behind.
    Stopped
        A model, the disk or the cluster failed; what was finished is kept.
    """
    settings = predict_settings(ensemble, selection.loci, ddof, keep)
    if os.path.exists(path) and not overwrite and _is_same_store(path, settings):
        return effects_store.open_effects(path).attrs["dropped"]
    with effects_store.locked(path):
        return _predict(ensemble, selection, path, settings, details, overwrite, quiet, cluster)


def _predict(ensemble, selection, path, settings, details, overwrite, quiet, cluster):
    """`predict` for one who holds the lock."""
    ddof, keep = settings["ddof"], settings["keep"]
    if os.path.exists(path) and not overwrite and _is_same_store(path, settings):
        return effects_store.open_effects(path).attrs["dropped"]
    disk = _check_disk(ensemble, selection.loci, path, keep)
    attributes = {"settings": settings, "dropped": selection.dropped, "versions": manifest.versions(),
                  **(details or {})}
    with _disk_full_told(lambda: "nothing is kept"):
        writer = effects_store.Writer(path, selection.loci, ensemble.marks, ensemble.names, attributes,
                                      keep_members=keep == "members", afresh=overwrite)
    if not quiet:
        tqdm.write(disk, file=sys.stderr)
    total = len(selection.loci)

    def kept():
        return f"{writer.n_done} of {total} loci are kept: {GO_ON}"

    compute = cluster.effects if cluster else _effects_here
    with tqdm(total=total, initial=writer.n_done, unit="locus", desc="predict", disable=quiet) as progress:
        try:
            with _disk_full_told(kept):
                for block, data, dropped in compute(ensemble, selection.loci, writer.blocks(), ddof, keep,
                                                    progress.update):
                    writer.write(block, data, dropped)
                return _finished(writer, selection)
        except DiskFull:
            raise
        except (Stopped, KeyboardInterrupt) as error:
            raise type(error)(f"{error}\n{kept()}" if str(error) else kept()) from error
        except InputError as error:
            if writer.n_done and len(writer.dropped) < total:
                raise Stopped(f"{error}\n{kept()}") from error
            writer.discard()
            raise


def _effects_here(ensemble, loci, blocks, ddof, keep, each):
    """Block, effects and dropped loci of one block after the other."""
    for block in blocks:
        yield block, *mutagenesis.effects_of_block(ensemble, loci[block], ddof, keep, each)


def _finished(writer, selection):
    """Close a complete store; the names of all dropped loci by reason."""
    if len(writer.dropped) == len(selection.loci):
        raise InputError(f"no locus has predictions that are finite numbers; the first: {writer.dropped[0]}")
    dropped = dict(selection.dropped)
    if writer.dropped:
        dropped[mutagenesis.NOT_FINITE] = [str(selection.loci.name[i]) for i in writer.dropped]
    writer.close({"dropped": dropped} if writer.dropped else None)
    return dropped


def _is_same_store(path, settings):
    old = effects_store.open_effects(path).attrs.get("settings", {})
    differing = effects_store.differences(old, settings)
    if differing:
        raise InputError(f"{path}: it holds other effects ({'; '.join(differing[:3])}); "
                         "choose another name, or --overwrite")
    return True


def estimate(effects_path, local_path, *, exposures=None, outcomes=None, method=("egger",), instruments="pooled",
             instrument_z=3.0, se_shrinkage="none", uncertainty="instrument", method_args=None, diagnostics="quick",
             vcf="instruments", fasta_file=None, each=None):
    """Local causal effects from a store of effects (steps 5 and 6).

    Writes the table, and beside it `diagnostics.tsv`, `diagnostics_by_pair.tsv`, and `instruments.vcf.gz` with its
    index.

    Parameters
    ----------
    effects_path, local_path : str
    exposures, outcomes : sequence of str, optional
        Marks; all by default.
    method : sequence of str
        Names in `kipoi_deepmr.mr.METHODS`.
    instruments : {"pooled", "own"}
        Rule by which a mutant is an instrument; see `kipoi_deepmr.mr.rule_for`.
    instrument_z : float
    se_shrinkage : {"none", "moderated"}
        Of the mutants' standard errors; see `kipoi_deepmr.mr.rule_for`.
    uncertainty : {"instrument", "members", "combined"}
        Where intervals come from; see `kipoi_deepmr.mr.fit_pairs`.
    method_args : dict, optional
        Options of the methods, such as `{"model": "fixed"}`; see `kipoi_deepmr.mr.fit_pairs`.
    diagnostics : {"quick", "all", "none"}
        all: with MR-PRESSO's global test, which takes 1,000 draws a locus and pair.
    vcf : {"instruments", "all", "none"}
    fasta_file : str, optional
        By default the one that the store names.
    each : callable, optional
        Gets the table piece by piece, whole loci each; then it is not kept as a whole, which takes memory.

    Returns
    -------
    pandas.DataFrame
        The table written; None with `each`.

    Raises
    ------
    InputError
    DiskFull
        No table is left behind.
    """
    effects = effects_store.open_effects(effects_path)
    genome = _genome(effects.attrs, fasta_file, vcf)
    rule = mr.rule_for(effects, instruments, instrument_z, se_shrinkage)
    folder, pieces = os.path.dirname(local_path), []
    with contextlib.ExitStack() as complete:
        complete.enter_context(_disk_full_told(lambda: "the effects are kept; free some space and start again"))
        temporary = complete.enter_context(tables.replacing(local_path))
        fitted = mr.iter_pairs(effects, exposures, outcomes, method, rule, uncertainty, **(method_args or {}))
        causal = CausalEffects(folder) if genome else None
        viewers = [each or pieces.append, *([causal.add] if causal else [])]
        tables.write_tsv(temporary, _shown(fitted, *viewers))
        if diagnostics != "none":
            by_locus, by_pair = (complete.enter_context(tables.replacing(os.path.join(folder, name)))
                             for name in DIAGNOSTICS)
            counts, draws = [], PRESSO_DRAWS if diagnostics == "all" else 0
            tables.write_tsv(by_locus, _shown(mr.iter_diagnostics(effects, exposures, outcomes, rule, draws),
                                              partial(_count_red, counts)))
            tables.write_tsv(by_pair, [mr.share_of_red(counts)])
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


def _genome(attributes, fasta_file, vcf):
    """The genome of the VCF, or None if none is to be written."""
    if vcf == "none":
        return None
    path = fasta_file or attributes.get("fasta_file")
    if not path:
        raise InputError("the VCF needs a FASTA, and the effects name none: give --fasta_file, or --vcf none")
    return Genome(path)


def aggregate(local_path, global_path, *, tau2_method="REML"):
    """Global causal effects from a table of local ones (step 7).

    Writes the table, and beside it the figure, under the same name ending in .png.

    Parameters
    ----------
    local_path, global_path : str
    tau2_method : str
        Estimator of the variance between loci; see `kipoi_deepmr.meta.random_effects`.

    Returns
    -------
    pandas.DataFrame
        The table written.
    """
    table = meta.aggregate(tables.read_estimates(local_path), tau2_method=tau2_method)
    table = table.astype(dict.fromkeys(("exposure", "outcome", "method"), str))
    with _disk_full_told(lambda: f"{local_path} is kept; free some space and start again"):
        tables.write_tsv(global_path, [table])
        with tables.replacing(os.path.splitext(global_path)[0] + ".png") as temporary:
            global_effects_figure(table).savefig(temporary, format="png", dpi=150)
    return table


def stratify(local_path, global_path, *, covariates=None, motifs=None, annotations=(), bins=None, tau2_method="REML"):
    """Global causal effects within strata of loci, the tests between them, and meta-regressions.

    Writes strata.tsv, strata_tests.tsv and strata.png beside the global table.

    Parameters
    ----------
    local_path, global_path : str
    covariates : str, optional
        Table of loci's covariates; see `kipoi_deepmr.strata.from_table`.
    motifs : str, optional
        BED of motif instances; see `kipoi_deepmr.strata.from_motifs`.
    annotations : sequence of str
        BED files; see `kipoi_deepmr.strata.from_annotation`.
    bins : sequence of float, optional
        For numbers of `covariates`, and for distances in place of `kipoi_deepmr.strata.SPACING_BINS`.
    tau2_method : str

    Returns
    -------
    StrataResult
    """
    local = tables.read_local(local_path)
    found = [*(strata.from_table(covariates, local, bins) if covariates else []),
             *([strata.from_motifs(motifs, local, bins or strata.SPACING_BINS)] if motifs else []),
             *(strata.from_annotation(path, local) for path in annotations)]
    within, tests = [], []
    for one in found:
        table = None if one.stratum is None else meta.aggregate_strata(local, one.stratum, tau2_method)
        if table is not None:
            within.append(table.assign(covariate=one.name))
        tests.append(meta.compare_strata(local, table, one.value, tau2_method).assign(covariate=one.name))
    result = StrataResult(*(pd.concat(each, ignore_index=True).set_index("covariate").reset_index() if each else None
                            for each in (within, tests)), [f"{one.name}: {one.note}" for one in found if one.note])
    _write_strata(os.path.dirname(global_path), result)
    return result


def _write_strata(folder, result):
    tables.write_tsv(os.path.join(folder, "strata_tests.tsv"), [result.tests])
    if result.strata is not None:
        tables.write_tsv(os.path.join(folder, "strata.tsv"), [result.strata])
        with tables.replacing(os.path.join(folder, "strata.png")) as temporary:
            strata_figure(result.strata).savefig(temporary, format="png", dpi=150)


def run(ensemble, selection, out, *, predict_options=None, estimate_options=None, aggregate_options=None, details=None,
        overwrite=False, quiet=False, cluster=None, each=None, report=True):
    """predict, estimate and aggregate in a row, into one folder, with run.json and report.html.

    Parameters
    ----------
    ensemble : Ensemble
    selection : Selection
    out : str
        Folder; made if need be. One that holds a run of the same settings keeps its predictions.
    predict_options, estimate_options, aggregate_options : dict, optional
        Keyword arguments of the three functions.
    details : dict, optional
        Further contents of run.json and attributes of the store.
    overwrite, quiet : bool
    cluster : Cluster, optional
        As for `predict`.
    each : callable, optional
        As for `estimate`.
    report : bool
        Whether report.html is written.

    Returns
    -------
    RunResult

    Raises
    ------
    InputError
        Something given is wrong; then nothing is left behind.
    Stopped
        A model, the disk or the cluster failed; what was finished is kept.
    """
    predict_options, estimate_options = predict_options or {}, estimate_options or {}
    aggregate_options = aggregate_options or {}
    _check_before_predicting(ensemble, details or {}, predict_options.get("keep", "members"), **estimate_options)
    settings = {**predict_settings(ensemble, selection.loci, **predict_options), **estimate_options,
                **aggregate_options}
    settings.pop("fasta_file", None)  # the same loci from a copy elsewhere are the same run
    _check_disk(ensemble, selection.loci, os.path.join(out, manifest.STORE), settings["keep"])
    with manifest.output_folder(out, settings, overwrite) as folder:
        store, local_path = folder.file(manifest.STORE), folder.file("local.tsv")
        told = {**(details or {}), "dropped": selection.dropped, "versions": manifest.versions(), "started": _now()}
        with _disk_full_told(lambda: "nothing is kept"):
            folder.write_manifest({**told, "finished": None})
        try:
            told["dropped"] = _predict(ensemble, selection, store, predict_settings(ensemble, selection.loci,
                                       **predict_options), details, overwrite, quiet, cluster)
        except Stopped:
            raise
        except InputError:
            folder.discard()
            raise
        local = estimate(store, local_path, **estimate_options, each=each)
        global_ = aggregate(local_path, folder.file("global.tsv"), **aggregate_options)
        with _disk_full_told(lambda: "the tables are kept"):
            folder.write_manifest({**told, "finished": _now()})
            if report:
                write_report(out)
    return RunResult(local, global_, told["dropped"])


def _check_before_predicting(ensemble, details, keep, exposures=None, outcomes=None, method=("egger",),
                             vcf="instruments", fasta_file=None, uncertainty="instrument", se_shrinkage="none",
                             diagnostics="quick", method_args=None, **rule):
    """Raise `InputError` for what `estimate` would refuse after hours of predictions."""
    _, estimators = mr.check_pairs(ensemble.marks, exposures, outcomes, method, **(method_args or {}))
    check_choice("se_shrinkage", se_shrinkage, mr.SE_SHRINKAGES)
    check_choice("diagnostics", diagnostics, ("quick", "all", "none"))
    wanting = mr.wants_members(dict(zip(method, estimators)), uncertainty)
    if wanting and keep != "members":
        raise InputError(f"{wanting} needs every member's effects: leave out --keep {keep}")
    if rule:
        mr.InstrumentRule(rule.get("instruments", "pooled"), rule.get("instrument_z", 3.0))
    genome = _genome(details, fasta_file, vcf)
    if genome:
        genome.close()


def _now():
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
