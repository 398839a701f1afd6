"""predict, estimate and aggregate in a row."""

import os
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from typing import NamedTuple

import pandas as pd
from tqdm import tqdm

from .. import calibration, effects_store, mr
from ..errors import InputError, Stopped
from ..files import disk_full_told, file_checksum
from ..instruments.regions import read_regions
from ..mutagenesis import engines
from ..network import Network
from ..options import AggregateOptions, EstimateOptions, NetworkOptions, PredictOptions
from ..output.natural_variants import NaturalVariants, natural_of_loci, natural_of_store
from ..output.tables import TSV, ending_of
from ..report import write_report
from ..runs import manifest
from ..runs.folder import copy_store, run_folder
from ..runs.outputs import STORE
from .aggregation import aggregate
from .announcement import expected
from .chosen import with_names
from .disk import check_disk
from .estimation import cautious, estimate, genome_of, members_of
from .network import effects_of, judge
from .prediction import GO_ON, of_models, predict_locked, predict_settings
from .progress import working
from .sizes import STAGES

# the same from a copy elsewhere is the same run
FILES = ("fasta_file", "input_vcf", "instrument_regions", "calibration")

# What the store says of itself that run.json repeats, and of the command that made it
OF_EFFECTS = ("recipe", "engines", "approximation", "intervals_sha256", "fasta_file", "dropped", "mark_columns")
OF_COMMAND = ("command", "directory", "arguments")


class RunResult(NamedTuple):
    """Tables of a run, as written to local.tsv and global.tsv, the names of dropped loci by reason, and the network.

    `agreement` is that of approximated effects with exact ones, None without; see `mutagenesis.agreement.measure`.
    """

    local: pd.DataFrame
    global_: pd.DataFrame
    dropped: dict
    agreement: dict | None = None
    network: Network | None = None


def run(ensemble, selection, out, *, predict_options=None, estimate_options=None, aggregate_options=None,
        network_options=None, variants=None, details=None, overwrite=False, quiet=False, cluster=None, each=None,
        report=True, table_format=None):
    """predict, estimate and aggregate in a row, into one folder, with run.json and report.html.

    Parameters
    ----------
    ensemble : Ensemble
    selection : Selection
    out : str
        Folder; made if need be. One that holds effects of the same settings keeps them, and everything after them is
        made again.
    predict_options, estimate_options, aggregate_options, network_options : objects of options, optional
        `PredictOptions`, `EstimateOptions`, `AggregateOptions` and `NetworkOptions`, or dicts of their keywords.
    variants : NaturalVariants, optional
        As for `estimate`.
    details : dict, optional
        Further contents of run.json and attributes of the store.
    overwrite : bool
        Replace what another run wrote there, and what a finished run of the same settings did.
    quiet : bool
    cluster : Cluster, optional
        As for `predict`.
    each : callable, optional
        As for `estimate`.
    report : bool
        Whether report.html is written.
    table_format : str, optional
        Of all tables: one of `kipoi_deepmr.options.FORMATS`, by default TSV.

    Returns
    -------
    RunResult

    Raises
    ------
    InputError
        Something given is wrong; then nothing is left behind, and what was there stays.
    Stopped
        A model, the disk or the cluster failed; what was finished is kept.
    """
    ending = ending_of(table_format)
    predict_options = PredictOptions.of(predict_options)
    later = _Later.of(estimate_options, aggregate_options, network_options, ensemble.marks, len(ensemble.names),
                      predict_options.keep)
    details = {"fasta_file": selection.fasta_file, **(details or {})}
    _check_before_predicting(ensemble, selection.loci, details, predict_options, later.estimate)
    if later.estimate.input_vcf and variants is None:
        variants = natural_of_loci(later.estimate.input_vcf, selection.loci)
    chosen = engines.choose(ensemble, predict_options.engine, selection.loci, quiet)
    details = {**details, **of_models(chosen)}
    predicted = predict_settings(chosen, selection.loci, predict_options)
    later = later._replace(variants=variants, cluster=cluster, each=each, report=report, quiet=quiet, ending=ending)
    check_disk(ensemble, selection.loci, os.path.join(out, STORE), predict_options.keep)
    sizes = {"locus": len(selection.loci), "mark": len(ensemble.marks), "member": len(ensemble.names),
             "variant": selection.loci.n_variants}
    said = _expected(later, ensemble.marks, sizes, out, keep=predict_options.keep)

    def predict(folder):
        return predict_locked(chosen, selection, folder.file(STORE), predicted, details, overwrite, quiet, cluster)

    with run_folder(out, later.settings(predicted), predicted, overwrite, inputs=later.inputs) as folder:
        _announce(later, said)
        return _fill(folder, {**details, "dropped": selection.dropped}, predict, later, chosen.agreement)


def run_again(effects_path, out, *, estimate_options=None, aggregate_options=None, network_options=None,
              variants=None, details=None, overwrite=False, quiet=True, cluster=None, each=None, report=True,
              table_format=None):
    """estimate and aggregate in a row from effects that are there, into one folder as `run` makes it.

    Parameters
    ----------
    effects_path : str
        Store of effects. `out` gets it under its own name, too: as hard links where the file system allows that, as a
        copy where not.
    out, estimate_options, aggregate_options, network_options, variants, details, overwrite, quiet, cluster
        As for `run`.
    each, report, table_format
        As for `run`.

    Returns
    -------
    RunResult

    Raises
    ------
    InputError, Stopped
        As `run`.
    """
    ending = ending_of(table_format)
    effects_path = os.path.realpath(effects_path)
    effects = effects_store.open_effects(effects_path)
    effects_store.check_chunks(effects_path)
    later = _Later.of(estimate_options, aggregate_options, network_options, effects["mark"].values,
                      *members_of(effects))
    if later.estimate.input_vcf and variants is None:
        variants = natural_of_store(later.estimate.input_vcf, effects)
    later = later._replace(variants=variants, cluster=cluster, each=each, report=report, quiet=quiet, ending=ending)
    predicted = effects.attrs.get("settings", {})
    said = _expected(later, effects["mark"].values.tolist(), effects.sizes, out, effects)

    def copy(folder):
        if not folder.holds_effects:
            with disk_full_told(lambda: "nothing is kept", folder.file(STORE)):
                copy_store(effects_path, folder.file(STORE))
        return effects.attrs.get("dropped", {})

    with run_folder(out, later.settings(predicted), predicted, overwrite, effects_path, later.inputs) as folder:
        _announce(later, said)
        of_effects = {name: effects.attrs[name] for name in OF_EFFECTS if name in effects.attrs}
        predicted_by = {name: effects.attrs.get(name) for name in OF_COMMAND}
        return _fill(folder, {**of_effects, "predicted_by": predicted_by, **(details or {})}, copy, later,
                     effects.attrs.get("approximation"))


def _expected(later, marks, sizes, out, effects=None, keep="members"):
    """What follows the predictions takes; refused before they begin where there is no room for it."""
    stages = [name for name in STAGES if {"network": later.has_network, "report": later.report}.get(name, True)]
    return expected(later.estimate, marks, sizes, os.path.join(out, STORE), effects=effects, stages=stages,
                    like=later.ending, keeps_members=keep == "members", quiet=later.quiet)


def _announce(later, said):
    if not later.quiet:
        tqdm.write(said.text, file=sys.stderr)


class _Later(NamedTuple):
    """What follows the predictions; see `run`."""

    estimate: EstimateOptions
    aggregate: AggregateOptions
    network: NetworkOptions
    has_network: bool = True
    caution: str = ""
    variants: NaturalVariants | None = None
    cluster: object = None
    each: Callable | None = None
    report: bool = True
    quiet: bool = True
    ending: str = TSV  # of tables

    @classmethod
    def of(cls, estimate_options, aggregate_options, network_options, marks, n_members, keep):
        """From objects of options or dicts, for effects on some marks of so many members; tells what preset cannot be
        used."""
        asked = with_names(EstimateOptions.of(estimate_options), marks)
        estimate_options, caution = cautious(asked, n_members, keep)
        aggregate_options = AggregateOptions.of(aggregate_options)
        if caution or "preset" not in aggregate_options.given:
            aggregate_options = aggregate_options.replace(preset=estimate_options.preset)
        network_options = NetworkOptions.of(network_options)
        if "preset" not in network_options.given:
            network_options = network_options.replace(preset=asked.preset)
        # refuses before anything expensive what was asked for by name
        has_network = network_options.for_members(n_members, keep).network != "none"
        return cls(estimate_options, aggregate_options, network_options, has_network, caution)

    def settings(self, predicted):
        """What decides the results of a run: the settings of the effects, and those of what follows."""
        settings = {**predicted, **self.aggregate.to_json(), **self.network.to_json(),
                    **self.estimate.to_json(without=FILES)}
        settings["calibration"] = _checked_calibration(self.estimate.calibration, predicted)
        settings["input_vcf_sha256"] = self.variants and self.variants.sha256
        regions = self.estimate.instrument_regions
        settings["instrument_regions_sha256"] = file_checksum(regions) if regions else None
        return settings

    @property
    def inputs(self):
        """Files that are read."""
        return [getattr(self.estimate, name) for name in FILES]

    @property
    def told(self):
        """What run.json says of natural variants and regions, and of a preset that cannot be used."""
        natural, regions = self.variants, self.estimate.instrument_regions
        return {**({"caution": self.caution} if self.caution else {}),
                **({"input_vcf": natural.path, "natural_variants": natural.counts} if natural else {}),
                **({"instrument_regions": os.path.abspath(regions)} if regions else {})}


def _fill(folder, told, effects, later, agreement=None):
    """Everything that a run writes; `effects(folder)` makes the store and gives the dropped loci by reason."""
    store, target = folder.file(STORE), folder.target("estimate", later.ending)
    told = {**told, **later.told, "versions": manifest.versions(), "started": _now()}
    with disk_full_told(lambda: "nothing is kept", folder.path):
        folder.begin(told)
    try:
        told["dropped"] = effects(folder)
    except Stopped:
        raise
    except InputError:
        folder.discard()
        raise
    try:
        cluster = later.cluster if later.cluster and later.cluster.sees(store) else None
        judged = judge(effects_of(os.path.abspath(store), later.estimate.calibration), later.network,
                       partial(cluster.map_blocks, store) if cluster else None, quiet=later.quiet)
        local = estimate(store, target, later.estimate, variants=later.variants, each=later.each,
                         cluster=cluster, judged=judged, quiet=later.quiet)
        global_ = aggregate(target.path, folder.target("aggregate", later.ending), later.aggregate, judged=judged,
                            quiet=later.quiet)
        with disk_full_told(lambda: "the tables are kept; free some space and start again", folder.path):
            folder.finish(told, _now())
        if later.report:
            with working("report", later.quiet) as doing:
                write_report(folder.target("report"), assignment=judged.network and judged.network.instruments,
                             map_blocks=doing.counted(effects_store.each_block))
    except Stopped:
        raise
    except InputError:
        folder.give_up()
        raise
    except KeyboardInterrupt as error:
        raise type(error)(f"the effects are kept: {GO_ON}") from error
    return RunResult(local, global_, told["dropped"], agreement, judged.network)


def _check_before_predicting(ensemble, loci, details, predict_options, options):
    """Raise `InputError` for what `estimate` would refuse after hours of predictions."""
    options.check(ensemble.marks, len(ensemble.names), predict_options.keep)
    mr.check_pairs(ensemble.marks, options)
    if options.instrument_regions:
        read_regions(options.instrument_regions, loci, ensemble.marks)
    genome = genome_of(details, options)
    if genome:
        genome.close()


def _checked_calibration(path, settings):
    """Identity of a calibration, None without; `InputError` if it cannot be applied to effects of these settings."""
    if not path:
        return None
    if settings.get("keep", "members") != "members":
        raise InputError(f"{calibration.NEEDED}, not {settings['keep']}")
    calibration.check(calibration.read(path), settings, path)
    return calibration.identity(path)


def _now():
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
