"""predict, estimate and aggregate in a row."""

import os
from datetime import datetime, timezone
from typing import NamedTuple

import pandas as pd

from .. import calibration, mr
from ..errors import InputError, Stopped
from ..inference import check_choice
from ..instruments import SE_SHRINKAGES, InstrumentRule
from ..report import write_report
from ..runs import manifest
from .aggregation import aggregate
from .disk import check_disk, disk_full_told
from .estimation import estimate, genome_of
from .prediction import choose_engine, predict_locked, predict_settings


class RunResult(NamedTuple):
    """Tables of a run, as written to local.tsv and global.tsv, and the names of dropped loci by reason."""

    local: pd.DataFrame
    global_: pd.DataFrame
    dropped: dict


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
    predict_options, estimate_options = dict(predict_options or {}), estimate_options or {}
    aggregate_options = aggregate_options or {}
    _check_before_predicting(ensemble, details or {}, predict_options.get("keep", "members"), **estimate_options)
    engine = predict_options.pop("engine", "auto")
    details = {**(details or {}), **choose_engine(ensemble, engine, selection.loci, quiet)}
    predicted = predict_settings(ensemble, selection.loci, **predict_options)
    settings = {**predicted, **estimate_options, **aggregate_options}
    if settings.get("calibration"):
        settings["calibration"] = _checked_calibration(settings["calibration"], predicted)
    natural = settings.pop("variants", None)
    if natural:
        settings["input_vcf_sha256"] = natural.sha256
        details.update(input_vcf=natural.path, natural_variants=natural.counts)
    settings.pop("fasta_file", None)  # the same loci from a copy elsewhere are the same run
    check_disk(ensemble, selection.loci, os.path.join(out, manifest.STORE), settings["keep"])
    with manifest.output_folder(out, settings, overwrite) as folder:
        store, local_path = folder.file(manifest.STORE), folder.file("local.tsv")
        told = {**details, "dropped": selection.dropped, "versions": manifest.versions(), "started": _now()}
        with disk_full_told(lambda: "nothing is kept"):
            folder.write_manifest({**told, "finished": None})
        try:
            told["dropped"] = predict_locked(ensemble, selection, store, predicted, details, overwrite, quiet, cluster)
        except Stopped:
            raise
        except InputError:
            folder.discard()
            raise
        local = estimate(store, local_path, **estimate_options, each=each,
                         cluster=cluster if cluster and cluster.sees(store) else None)
        global_ = aggregate(local_path, folder.file("global.tsv"), **aggregate_options)
        with disk_full_told(lambda: "the tables are kept"):
            folder.write_manifest({**told, "finished": _now()})
            if report:
                write_report(out)
    return RunResult(local, global_, told["dropped"])


def _check_before_predicting(ensemble, details, keep, exposures=None, outcomes=None, method=("egger",),
                             vcf="instruments", fasta_file=None, uncertainty="instrument", se_shrinkage="none",
                             spread_shrinkage="moderated", diagnostics="quick", method_args=None, adjust=None, **rule):
    """Raise `InputError` for what `estimate` would refuse after hours of predictions."""
    _, estimators = mr.check_pairs(ensemble.marks, exposures, outcomes, method, adjust, **(method_args or {}))
    check_choice("se_shrinkage", se_shrinkage, SE_SHRINKAGES)
    check_choice("spread_shrinkage", spread_shrinkage, SE_SHRINKAGES)
    check_choice("diagnostics", diagnostics, ("quick", "all", "none"))
    by_method = dict(zip(method, estimators, strict=True))
    wanting = mr.wants_members(by_method, uncertainty, (method_args or {}).get("psi", 0.0))
    if wanting and keep != "members":
        raise InputError(f"{wanting} needs every member's effects: leave out --keep {keep}")
    mr.check_number(len(ensemble.names), uncertainty)
    if rule:
        natural = rule.get("variants")
        InstrumentRule(rule.get("instruments", "pooled"), rule.get("instrument_z", 3.0),
                       variants=natural and natural.mutants)
    genome = genome_of(details, fasta_file, vcf)
    if genome:
        genome.close()


def _checked_calibration(path, settings):
    """Identity of a calibration; `InputError` if it cannot be applied to effects of these settings."""
    if settings["keep"] != "members":
        raise InputError(f"{calibration.NEEDED}, not {settings['keep']}")
    calibration.check(calibration.read(path), settings, path)
    return calibration.identity(path)


def _now():
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
