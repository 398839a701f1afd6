"""predict, estimate and aggregate in a row."""

import os
from datetime import datetime, timezone
from typing import NamedTuple

import pandas as pd

from .. import calibration, mr
from ..errors import InputError, Stopped
from ..mutagenesis import engines
from ..options import AggregateOptions, EstimateOptions, PredictOptions
from ..output.natural_variants import natural_variants
from ..report import write_report
from ..runs import manifest
from ..variants import LocusIndex
from .aggregation import aggregate
from .disk import check_disk, disk_full_told
from .estimation import estimate, genome_of
from .prediction import predict_locked, predict_settings

FILES = ("fasta_file", "input_vcf", "calibration")  # the same from a copy elsewhere is the same run


class RunResult(NamedTuple):
    """Tables of a run, as written to local.tsv and global.tsv, and the names of dropped loci by reason.

    `agreement` is that of approximated effects with exact ones, None without; see `mutagenesis.agreement.measure`.
    """

    local: pd.DataFrame
    global_: pd.DataFrame
    dropped: dict
    agreement: dict | None = None


def run(ensemble, selection, out, *, predict_options=None, estimate_options=None, aggregate_options=None,
        variants=None, details=None, overwrite=False, quiet=False, cluster=None, each=None, report=True):
    """predict, estimate and aggregate in a row, into one folder, with run.json and report.html.

    Parameters
    ----------
    ensemble : Ensemble
    selection : Selection
    out : str
        Folder; made if need be. One that holds a run of the same settings keeps its predictions.
    predict_options, estimate_options, aggregate_options : PredictOptions, EstimateOptions, AggregateOptions, optional
        Or dicts of their keywords.
    variants : NaturalVariants, optional
        As for `estimate`.
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
    predict_options, estimate_options = PredictOptions.of(predict_options), EstimateOptions.of(estimate_options)
    aggregate_options = AggregateOptions.of(aggregate_options)
    details = {"fasta_file": selection.fasta_file, **(details or {})}
    _check_before_predicting(ensemble, details, predict_options, estimate_options)
    if estimate_options.input_vcf and variants is None:
        variants = natural_variants(estimate_options.input_vcf, LocusIndex.of_loci(selection.loci))
    chosen = engines.choose(ensemble, predict_options.engine, selection.loci, quiet)
    details = {**details, **chosen.to_json()}
    predicted = predict_settings(chosen, selection.loci, predict_options)
    settings = {**predicted, **estimate_options.to_json(without=FILES), **aggregate_options.to_json()}
    settings["calibration"] = _checked_calibration(estimate_options.calibration, predicted)
    settings["input_vcf_sha256"] = variants and variants.sha256
    if variants:
        details.update(input_vcf=variants.path, natural_variants=variants.counts)
    check_disk(ensemble, selection.loci, os.path.join(out, manifest.STORE), predict_options.keep)
    with manifest.output_folder(out, settings, overwrite) as folder:
        store, local_path = folder.file(manifest.STORE), folder.file("local.tsv")
        told = {**details, "recipe": ensemble.recipe and ensemble.recipe.to_json(), "dropped": selection.dropped,
                "versions": manifest.versions(), "started": _now()}
        with disk_full_told(lambda: "nothing is kept"):
            folder.write_manifest({**told, "finished": None})
        try:
            told["dropped"] = predict_locked(chosen, selection, store, predicted, details, overwrite, quiet, cluster)
        except Stopped:
            raise
        except InputError:
            folder.discard()
            raise
        local = estimate(store, local_path, estimate_options, variants=variants, each=each,
                         cluster=cluster if cluster and cluster.sees(store) else None)
        global_ = aggregate(local_path, folder.file("global.tsv"), aggregate_options)
        with disk_full_told(lambda: "the tables are kept"):
            folder.write_manifest({**told, "finished": _now()})
            if report:
                write_report(out)
    return RunResult(local, global_, told["dropped"], chosen.agreement)


def _check_before_predicting(ensemble, details, predict_options, options):
    """Raise `InputError` for what `estimate` would refuse after hours of predictions."""
    options.check(ensemble.marks, len(ensemble.names), predict_options.keep)
    mr.check_pairs(ensemble.marks, options)
    genome = genome_of(details, options)
    if genome:
        genome.close()


def _checked_calibration(path, settings):
    """Identity of a calibration, None without; `InputError` if it cannot be applied to effects of these settings."""
    if not path:
        return None
    if settings["keep"] != "members":
        raise InputError(f"{calibration.NEEDED}, not {settings['keep']}")
    calibration.check(calibration.read(path), settings, path)
    return calibration.identity(path)


def _now():
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
