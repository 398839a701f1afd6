"""Which engine predicts a model's mutants: `--engine`; chosen for each model, and why."""

from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..models import batches
from ..models.host.saturation import BASES
from ..options import ENGINES
from . import approximate, exact_engine
from .unusable import Unusable

NAIVE = "naive"
# By name what makes an engine: (member, probes, quiet) to a function like `Member.mutants`, and why it may be used, in
# a few words. It raises Unusable where it cannot be trusted. probes: see `_probes`.
MAKERS = {"exact": exact_engine.make, **approximate.MAKERS}
AUTO = ("exact",)  # what `auto` tries, in this order, before naive
assert {"auto", *MAKERS, NAIVE} == set(ENGINES)
AS_ASKED = "as asked"
SEED = 2


class Choice(NamedTuple):
    """What predicts the mutants of a model.

    Attributes
    ----------
    model, engine : str
        Their names.
    why : str
        Why this engine.
    batch_size : int or None
        Of the naive engine: as given, or as `models.batches` measures it.
    """

    model: str
    engine: str
    why: str
    batch_size: int | None = None


def choose(ensemble, engine="auto", loci=None, quiet=True):
    """Choose the engine of each model of an ensemble, which then predicts its mutants.

    Parameters
    ----------
    ensemble : Ensemble
        Gets `engines`, a `Choice` for each model (those of a stack one by one).
    engine : str
        One of `options.ENGINES`; auto takes the exact one where it can be trusted.
    loci : Loci, optional
        The first one is among the sequences that engines are tried on.
    quiet : bool
        Do not tell that machine code is compiled.

    Raises
    ------
    InputError
        The engine asked for by name cannot be used for a model.
    """
    probes = _probes(ensemble, loci)
    _use(ensemble, lambda part, number: _sized(part, _chosen(part, engine, probes, quiet), ensemble.batch_size,
                                               batches.batch_size))


def use(ensemble, chosen):
    """Use the engines that were chosen elsewhere for the same models.

    Parameters
    ----------
    ensemble : Ensemble
    chosen : list of (str, int or None)
        Engine and batch size of each model, as `choose` left them in `ensemble.engines`; none: all naive.

    Raises
    ------
    InputError
        One of them cannot be used here.
    """
    probes = _probes(ensemble, None)
    chosen = chosen or [(NAIVE, None)] * sum(len(_parts(member)) for member in ensemble.members)
    _use(ensemble, lambda part, number: _sized(part, _chosen(part, chosen[number][0], probes, True),
                                               ensemble.batch_size, lambda _: chosen[number][1]))


def setting(ensemble):
    """The engines as a setting of a run: one name, or one for each model where they differ."""
    names = [choice.engine for choice in ensemble.engines] or [NAIVE]
    return names[0] if len(set(names)) == 1 else names


def described(ensemble, asked):
    """What run.json and a store tell of engines: the one asked for, and for each model the one used, and why."""
    return {"asked": asked, "used": [choice._asdict() for choice in ensemble.engines]}


def notes(ensemble):
    """What to tell of models that are predicted naively though nobody asked for it: one line, or none."""
    refused = [choice for choice in ensemble.engines if choice.engine == NAIVE and choice.why != AS_ASKED]
    if not refused:
        return []
    more = f" and {len(refused) - 1} more" if len(refused) > 1 else ""
    return [f"engine naive for {refused[0].model}{more}: {refused[0].why}"]


def _use(ensemble, chosen):
    engines, choices = [], []
    for member in ensemble.members:
        made = []
        for part in _parts(member):
            mutants, choice = chosen(part, len(choices))
            made.append(mutants)
            choices.append(choice)
        is_naive = all(choice.engine == NAIVE for choice in choices[-len(made):])
        engines.append(member.mutants if is_naive else _side_by_side(made) if len(made) > 1 else made[0])
    ensemble.use_engines(engines, choices)


def _parts(member):
    """The models that make a member."""
    return list(getattr(member, "parts", ())) or [member]


def _sized(part, chosen, given, found):
    """What `_chosen` gives, with the batch size of a naive one: as given, else as `found` for it."""
    mutants, choice = chosen
    if choice.engine != NAIVE or not hasattr(part, "use_batch_size"):
        return chosen
    batch_size = given or found(part)
    if batch_size and not given:
        part.use_batch_size(batch_size)
    return mutants, choice._replace(batch_size=batch_size)


def _chosen(part, engine, probes, quiet):
    """What predicts the mutants of a member or of a part of a stack, and the choice of it."""
    name = part.describe().name
    refused = AS_ASKED
    for candidate in AUTO if engine == "auto" else [engine] * (engine != NAIVE):
        try:
            mutants, why = MAKERS[candidate](part, probes, quiet)
            return mutants, Choice(name, candidate, why)
        except Unusable as error:
            refused = str(error)
            if engine != "auto":
                raise InputError(f"--engine {engine}: model {name}: {refused}") from error
    return part.mutants, Choice(name, NAIVE, refused)


def _side_by_side(functions):
    """The mutants of a stack from those of its parts."""
    return lambda sequence, item=None: np.concatenate([f(sequence, item) for f in functions], axis=-1)


def _probes(ensemble, loci):
    """Sequences to try engines on, each with the number of its dataloader's item: a random one, and the first locus."""
    tried = []
    if ensemble.length and not ensemble.needs_item:
        tried.append((BASES[np.random.default_rng(SEED).integers(0, 4, ensemble.length)], None))
    if loci is not None:
        tried.append((loci.sequences[0], loci.item_of(0)))
    return tried
