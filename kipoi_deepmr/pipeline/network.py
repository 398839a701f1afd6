"""The causal network of a store of effects, and the verdicts on pairs that follow from it."""

import os
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from .. import effects_store
from .. import network as networks
from ..calibration import calibrated_by
from ..errors import InputError
from ..instruments.moments import moments
from ..network.pairs import ROWS
from ..network.significance import qvalues
from ..options import LEAST_TO_CROSS_FIT, NetworkOptions
from ..output.network_files import write_network, write_pairs
from ..plots import network_figure, save
from ..runs.outputs import CALIBRATION, NETWORK, RUN_JSON, STORE, writing
from .announcement import announce_network
from .estimation import members_of
from .progress import working
from .sizes import check_network

VERDICT_COLUMNS = ("standardised", "qvalue", "verdict", "reason")
PAIR = ["exposure", "outcome"]


class Judged(NamedTuple):
    """What effects say of pairs beyond their estimates.

    Attributes
    ----------
    sd : dict of str to float
        By mark, the standard deviation of effects over all mutants of all loci; empty if the effects are not known.
    network : Network or None
    reason : str
        Why there is no network; empty if there is one.
    """

    sd: dict
    network: networks.Network | None
    reason: str

    def of_table(self, table, qvalue=None):
        """A table of global effects, or a part of one whose q-values are known, with `VERDICT_COLUMNS`.

        standardised is the effect in standard deviations of the outcome per standard deviation of the exposure; qvalue
        Benjamini and Hochberg's over the pairs of a method; verdict and reason as `network.verdicts` gives them, both
        NaN and why not without a network.
        """
        exposure, outcome = (table[name].map(self.sd).astype(np.float64) for name in PAIR)
        unit = exposure / outcome.where(outcome != 0)
        judged = table.assign(standardised=table["estimate"] * unit,
                              qvalue=_qvalues(table) if qvalue is None else qvalue)
        if self.network is None:
            return judged.assign(verdict=np.nan, reason=self.reason)
        return judged.reset_index(drop=True).assign(**self._verdicts(table))

    def _verdicts(self, table):
        """Columns verdict and reason of the pairs of a table; NaN for pairs of other marks."""
        number = {mark: k for k, mark in enumerate(self.network.pairs.marks)}
        exposure, outcome = (table[name].map(number).to_numpy(np.float64) for name in PAIR)
        known = np.flatnonzero(np.isfinite(exposure) & np.isfinite(outcome))
        texts = np.full((2, len(table)), np.nan, object)
        for some in np.split(known, range(ROWS, len(known), ROWS)):
            pair = self.network.pairs.rows_of(exposure[some].astype(int), outcome[some].astype(int))
            texts[:, some] = self.network.judgement.texts(pair)
        return dict(zip(("verdict", "reason"), texts, strict=True))


UNKNOWN = Judged({}, None, "the effects are not known: give --effects")


def judge_known(effects, options=None, quiet=True):
    """`judge` the effects that a table was estimated from, None if they are not known.

    Raises
    ------
    InputError
        A network was asked for by name, and the effects are not known or give none.
    """
    options = NetworkOptions.of(options)
    if effects is not None:
        return judge(effects, options, quiet=quiet)
    if options.asks_for_network:
        raise InputError(f"--network {options.network} needs the effects: --effects EFFECTS.zarr")
    return UNKNOWN


def judge(effects, options=None, map_blocks=None, *, quiet=True, **changes):
    """Infer the network of effects, if they have what it takes.

    Parameters
    ----------
    effects : xarray.Dataset
    options : NetworkOptions, optional
    map_blocks : callable, optional
        As `kipoi_deepmr.effects_store.each_block`, which is the default.
    quiet : bool
        Do not show that it works.
    **changes
        Options by name, in place of those.

    Returns
    -------
    Judged

    Raises
    ------
    InputError
        A network was asked for by name and these effects give none.
    """
    wanted, marks = NetworkOptions.of(options, **changes), [str(mark) for mark in effects["mark"].values]
    options = wanted.for_members(*members_of(effects))
    if options.network != "none":
        try:
            check_network(effects.sizes)
            with working("network", quiet) as doing:
                found = networks.fit(effects, options.network, options.network_min_effect,
                                     map_blocks=doing.counted(map_blocks or effects_store.each_block))
            return Judged(dict(zip(marks, found.instruments.sd.tolist(), strict=True)), found, "")
        except InputError as error:
            if options.asks_for_network:
                raise
            reason = f"no network: {error}"
    else:
        option = "--network none" if "network" in wanted.given else f"--preset {wanted.preset}"
        reason = f"no network was inferred ({option})" if wanted.network == "none" else (
            f"no network: it takes every member's effects, of {LEAST_TO_CROSS_FIT} members or more")
    return Judged(dict(zip(marks, moments(effects, map_blocks)[1].tolist(), strict=True)), None, reason)


def store_of(path):
    """The store of effects that a path names, a store or the folder of a run, and the calibration of that run."""
    if not os.path.isfile(os.path.join(path, ".zgroup")) and os.path.isdir(os.path.join(path, STORE)):
        return os.path.join(path, STORE), os.path.join(path, CALIBRATION)
    return path, None


def effects_of(path, calibration=None, pairs=False):
    """The effects of a store as tables are estimated from them, whole and calibrated; with pairs of regions or not."""
    effects = effects_store.open_effects(path, pairs)
    effects_store.check_chunks(path)
    return calibrated_by(effects, calibration) if calibration and os.path.exists(calibration) else effects


def effects_beside(local_path, effects_path=None):
    """The effects that a table was estimated from, if they are known; None if not.

    Parameters
    ----------
    local_path : str
    effects_path : str, optional
        By default effects.zarr beside the table.

    Raises
    ------
    InputError
        The store is named, or is that of a run, and cannot be read.
    """
    folder, name = os.path.split(local_path)
    path = effects_path or os.path.join(folder, STORE)
    if not effects_path and not os.path.exists(path):
        return None
    in_run = os.path.isfile(os.path.join(folder, RUN_JSON))
    copy = os.path.join(folder, CALIBRATION if in_run else os.path.splitext(name)[0] + ".calibration.json")
    return effects_of(path, copy)


def network(effects_path, output, options=None, *, cluster=None, quiet=True, **changes):
    """Infer the causal network of the marks of a store, and write its files.

    Writes the table of ordered pairs, and beside it, under its name, `.marks.tsv`, `.graphml`, `.json` and `.png`; in
    the folder of a run they have the names that `run` gives them.

    Parameters
    ----------
    effects_path : str
        A store of effects, or the folder of a run.
    output : str
        Where the table goes. `-`, a pipe or a device gets the table alone.
    options : NetworkOptions, optional
    cluster : Cluster, optional
        Where blocks of loci are read; by default in this process.
    quiet : bool
        Do not show that it works.
    **changes
        Options by name, in place of those.

    Returns
    -------
    kipoi_deepmr.network.Network

    Raises
    ------
    InputError
        The store gives no network, or a file must not be replaced.
    DiskFull
    """
    options = NetworkOptions.of(options, **changes)
    if options.network == "none":
        raise InputError("this command infers a network: give --network direct or inspre")
    effects_path, calibration = store_of(effects_path)
    with writing("network", output, [effects_path, calibration], "the effects are kept; free some space and start "
                                                                 "again") as files:
        effects = effects_of(effects_path, calibration)
        announce_network(effects, output, quiet)
        map_blocks = partial(cluster.map_blocks, effects_path) if cluster else None
        found = judge(effects, options.replace(network=options.network), map_blocks, quiet=quiet).network
        with working("network: files", quiet):
            if files.alone:
                write_pairs(found, files.path)
            else:
                write_files(found, lambda name: files.path if name == NETWORK[0] else files.beside(name))
    return found


def write_files(found, place):
    """Write all files of a network; `place(name)` gives the name to write each of `NETWORK` to."""
    write_network(found, place)
    save(network_figure(found.drawn), place(NETWORK[-1]), dpi=150)


def _qvalues(table):
    """Benjamini and Hochberg's q-values of the pairs of each method."""
    of_method = table.groupby("method", sort=False)["pvalue"].transform(lambda p: qvalues(p.to_numpy()))
    return pd.Series(of_method, table.index)
