"""What stages take, said before they begin, and refused where disk or memory cannot hold it."""

import logging
import os

import numpy as np

from ..effects_store import LocalEffects, open_effects
from ..errors import InputError
from ..output.tables import TSV, is_parquet
from ..runs.outputs import LOCAL_ARRAY, STORE
from .sampled import Sampled, most, of_network, sample_of, sampled, simulated
from .sizes import MOST_ROWS, STAGES, Counts, check_network, check_sizes, sizes_after, sizes_of
from .timed import timed, timed_alone, timed_of_array

log = logging.getLogger(__name__)

SHORT_FITS, SHORT_NUMBERS, SHORT_PAIRS = 20_000, 20_000_000, 2_000  # what surely takes less than a minute


def expected(options, marks, sizes, path, *, effects=None, keeps_members=True, stages=STAGES, like=TSV, quiet=False):
    """What stages that follow the predictions take, as far as it can be known.

    Parameters
    ----------
    options, marks, sizes
        As for `sizes_of`.
    path : str
        Where results go.
    effects : xarray.Dataset, optional
        If there are no predictions yet, steps are timed on simulated ones.
    keeps_members : bool
        Whether there are, or will be, every member's effects.
    stages, like
        As for `sizes_of`.
    quiet : bool
        Do not ask for how long: nobody is told.

    Returns
    -------
    Sizes

    Raises
    ------
    InputError
        The disk of `path`, or this machine's memory, cannot hold it.
    """
    bound = sizes_of(options, marks, sizes, stages, like)
    if effects is None:
        check_sizes(bound, path)
    short = _is_short(options, sizes, bound)
    if (short or quiet) and (effects is None or not bound.counts.wide):
        return bound
    sample = simulated(sizes, marks, keeps_members) if effects is None else sample_of(effects)
    known = most(options, sizes) if effects is None else sampled(effects, options, sample)
    found = sizes_of(options, marks, sizes, stages, like, known)
    check_sizes(found, path)
    if short or quiet:
        return found
    rates = timed(sample, options, sizes, found.counts, known, is_parquet(like))
    return sizes_of(options, marks, sizes, stages, like, known, rates)


def _is_short(options, sizes, bound):
    numbers = sizes["locus"] * sizes["variant"] * sizes["mark"] * sizes["member"]
    return (options.diagnostics != "all" and bound.counts.fits <= SHORT_FITS and numbers <= SHORT_NUMBERS
            and bound.counts.pairs <= SHORT_PAIRS)


def announce_aggregate(local, effects, path, *, network=True, quiet=False):
    """Say what `aggregate` takes where an array of local effects makes it large; refuse what does not fit.

    Parameters
    ----------
    local : LocalEffects
    effects : xarray.Dataset or None
        That it was estimated from, if they are known.
    path : str
        Where the table goes.
    network : bool
        Whether a network is asked for. One that memory cannot hold is left out later, and that is said there.
    quiet : bool

    Raises
    ------
    InputError
        The disk of `path`, or this machine's memory, cannot hold it.
    """
    sizes = {"locus": local.n_loci, "member": local.n_members, "variant": 0,
             "mark": len(set(local.exposures) | set(local.outcomes)), **(effects.sizes if effects is not None else {})}
    pairs, of_marks = local.n_pairs, (1.0, 0.0)
    network = network and effects is not None and "member_effect" in effects and network_fits(sizes)
    if network:
        of_marks = of_network(effects)
    first = np.isfinite(local.read("estimate", exposures=local.groups()[0]))
    known = Sampled(float(first.mean()), float(first.any(1).mean()), *of_marks, 1.0, 1.0)
    counts = Counts(len(local.methods), pairs, pairs * local.n_loci * len(local.methods))
    stages = ["network", "aggregate"] if network else ["aggregate"]
    _announce(counts, sizes, known, stages, path, quiet,
              lambda: timed_of_array(local, known.of_pairs, is_parquet(path)))


def announce_network(effects, path, quiet=False):
    """Say what `network` takes where it is large; refuse what the disk of `path` or memory cannot hold."""
    sizes, n_pairs = effects.sizes, effects.sizes["mark"] * (effects.sizes["mark"] - 1)
    check_network(sizes)
    if sizes["locus"] * n_pairs > MOST_ROWS:
        known = Sampled(1.0, 1.0, *of_network(effects), 1.0, 1.0)
        _announce(Counts(1, n_pairs, 0), sizes, known, ["network"], path, quiet, timed_alone)


def announce_report(folder, quiet=False):
    """Say what `report` takes of a run whose local effects are an array; refuse what disk or memory cannot hold."""
    array, store = (os.path.join(folder, name) for name in (LOCAL_ARRAY, STORE))
    if not os.path.isdir(array) or not os.path.isdir(store):
        return
    local, effects = LocalEffects(array), open_effects(store)
    pairs = local.n_pairs
    counts = Counts(len(local.methods), pairs, pairs * local.n_loci * len(local.methods))
    known = Sampled(1.0, 1.0, 1.0, 0.0, 1.0, 1.0)
    _announce(counts, effects.sizes, known, ["report"], folder, quiet, timed_alone)


def _announce(counts, sizes, known, stages, path, quiet, rates):
    """Refuse, or say, what stages after estimation take; `rates` gives `Rates` where somebody is told."""
    check_sizes(sizes_after(counts, sizes, known, stages, path), path)
    if not quiet:
        log.warning("%s", sizes_after(counts, sizes, known, stages, path, rates()).text)


def network_fits(sizes):
    """Whether this machine's memory holds a network; `sizes` are those of the effects."""
    try:
        check_network(sizes)
    except InputError:
        return False
    return True
