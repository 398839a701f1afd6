"""predict, estimate, aggregate, and run: the three in a row."""

import contextlib
import hashlib
import os
from datetime import datetime, timezone
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from . import effects_store, meta, mr, mutagenesis
from .errors import InputError, ModelFailed
from .inference import check_choice
from .loci import BedSource, Genome, read_bed, select
from .output import manifest, tables
from .output.vcf import write_vcf
from .plots import global_effects_figure

DIAGNOSTICS = ("diagnostics.tsv", "diagnostics_by_pair.tsv")
PRESSO_DRAWS = 1000


class RunResult(NamedTuple):
    """Tables of a run, as written to local.tsv and global.tsv."""

    local: pd.DataFrame
    global_: pd.DataFrame


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


def predict(ensemble, selection, path, *, ddof=1, keep="members", details=None, overwrite=False, quiet=False):
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
        No progress bar.

    Raises
    ------
    InputError
        The store holds other effects, cannot be written, or a prediction is not finite; then nothing is left behind.
    ModelFailed
        A model's process failed again and again; what was finished is kept.
    """
    settings = predict_settings(ensemble, selection.loci, ddof, keep)
    if os.path.exists(path) and not overwrite and _is_same_store(path, settings):
        return
    attributes = {"settings": settings, "dropped": selection.dropped, "versions": manifest.versions(),
                  **(details or {})}
    try:
        writer = effects_store.Writer(path, selection.loci, ensemble.marks, ensemble.names, attributes,
                                      keep_members=keep == "members", afresh=overwrite)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from error
    total, done = len(selection.loci), writer.n_done
    with tqdm(total=total, initial=done, unit="locus", desc="predict", disable=quiet) as progress:
        try:
            for block in writer.blocks():
                effects = mutagenesis.iter_effects(ensemble, selection.loci[block], ddof)
                writer.write(block, _stacked(effects, keep, progress))
        except (ModelFailed, KeyboardInterrupt) as error:
            kept = f"{writer.n_done} of {total} loci are kept: the same command goes on from there"
            raise type(error)(f"{error}\n{kept}" if str(error) else kept) from error
        except InputError:
            writer.discard()
            raise
    writer.close()


def _stacked(effects, keep, progress):
    """The variables of a block of loci."""
    each = []
    for one in effects:
        each.append(one)
        progress.update()
    names = [name for name in each[0] if keep == "members" or name not in effects_store.OPTIONAL]
    return {name: np.stack([one[name] for one in each]) for name in names}


def _is_same_store(path, settings):
    old = effects_store.open_effects(path).attrs.get("settings", {})
    differing = effects_store.differences(old, settings)
    if differing:
        raise InputError(f"{path}: it holds other effects ({'; '.join(differing[:3])}); "
                         "choose another name, or --overwrite")
    return True


def estimate(effects_path, local_path, *, exposures=None, outcomes=None, method=("egger",), instruments="pooled",
             instrument_z=3.0, se_shrinkage="none", uncertainty="instrument", method_args=None, diagnostics="quick",
             vcf="instruments", fasta_file=None):
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

    Returns
    -------
    pandas.DataFrame
        The table written.
    """
    effects = effects_store.open_effects(effects_path)
    genome = _genome(effects.attrs, fasta_file, vcf)
    rule = mr.rule_for(effects, instruments, instrument_z, se_shrinkage)
    folder, pieces = os.path.dirname(local_path), []
    with contextlib.ExitStack() as complete:
        temporary = complete.enter_context(tables.replacing(local_path))
        tables.write_tsv(temporary, _collected(mr.iter_pairs(effects, exposures, outcomes, method, rule, uncertainty,
                                                             **(method_args or {})),
                                               pieces))
        local = pd.concat(pieces, ignore_index=True)
        if diagnostics != "none":
            each, by_pair = (complete.enter_context(tables.replacing(os.path.join(folder, name)))
                             for name in DIAGNOSTICS)
            counts, draws = [], PRESSO_DRAWS if diagnostics == "all" else 0
            tables.write_tsv(each, _collected(mr.iter_diagnostics(effects, exposures, outcomes, rule, draws), counts,
                                              mr.count_red))
            tables.write_tsv(by_pair, [mr.share_of_red(counts)])
        if genome:
            complete.enter_context(genome)
            write_vcf(os.path.join(folder, "instruments.vcf.gz"), effects, genome, local, rule,
                      exposures or effects["mark"].values, outcomes or effects["mark"].values, which=vcf)
    return local


def _collected(pieces, kept, of_piece=lambda piece: piece):
    for piece in pieces:
        kept.append(of_piece(piece))
        yield piece


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
    table = meta.aggregate(tables.read_local(local_path), tau2_method=tau2_method)
    tables.write_tsv(global_path, [table])
    with tables.replacing(os.path.splitext(global_path)[0] + ".png") as temporary:
        global_effects_figure(table).savefig(temporary, format="png", dpi=150)
    return table


def run(ensemble, selection, out, *, predict_options=None, estimate_options=None, aggregate_options=None, details=None,
        overwrite=False, quiet=False):
    """predict, estimate and aggregate in a row, into one folder, with run.json.

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

    Returns
    -------
    RunResult
    """
    predict_options, estimate_options = predict_options or {}, estimate_options or {}
    aggregate_options = aggregate_options or {}
    _check_before_predicting(ensemble, details or {}, predict_options.get("keep", "members"), **estimate_options)
    settings = {**predict_settings(ensemble, selection.loci, **predict_options), **estimate_options,
                **aggregate_options}
    settings.pop("fasta_file", None)  # the same loci from a copy elsewhere are the same run
    folder = manifest.OutputFolder(out, settings, overwrite)
    told = {**(details or {}), "dropped": selection.dropped, "versions": manifest.versions(), "started": _now()}
    folder.write_manifest({**told, "finished": None})
    try:
        predict(ensemble, selection, folder.file("effects.zarr"), **predict_options, details=details,
                overwrite=overwrite, quiet=quiet)
    except ModelFailed:
        raise
    except InputError:
        folder.discard()
        raise
    local = estimate(folder.file("effects.zarr"), folder.file("local.tsv"), **estimate_options)
    global_ = aggregate(folder.file("local.tsv"), folder.file("global.tsv"), **aggregate_options)
    folder.write_manifest({**told, "finished": _now()})
    return RunResult(local, global_)


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
