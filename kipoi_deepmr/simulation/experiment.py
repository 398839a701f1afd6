"""The experiment: rounds of all scenarios, made once, and analyses of them with any options of estimation."""

import contextlib
import json
import os
from typing import NamedTuple

import filelock
import pandas as pd

from .. import mr, pipeline
from ..effects_store import differences
from ..errors import InputError, nearest
from ..files import locked, replacing
from ..options import AggregateOptions, EstimateOptions, EstimatorOptions, LeverOptions
from ..output.tables import EXACT, write_tsv
from . import graph_analysis, paper_analysis
from .child import make_round_in_child
from .designs import read_design
from .graph_rounds import GraphDesign
from .levers import check, moved_by
from .round_folder import read_record
from .scenarios import SCENARIOS

DESIGN, ANALYSIS, LOCK = "simulation.json", "analysis.json", "analyses.lock"


class Place(NamedTuple):
    """A round: its scenario and its number from 1."""

    scenario: str
    number: int

    def folder(self, root):
        """Where it lies below a folder."""
        return os.path.join(root, self.scenario, f"round-{self.number:02d}")


def places(scenarios, n_rounds, known=tuple(SCENARIOS)):
    """Rounds in the order in which they are made: the first of every scenario, then the second of every one."""
    for scenario in scenarios:
        if scenario not in known:
            raise InputError(f"unknown scenario {scenario!r}{nearest(scenario, known)}")
    return [Place(scenario, number) for number in range(1, n_rounds + 1) for scenario in scenarios]


def make_rounds(root, design, wanted, say=lambda text: None):
    """Make those of the wanted rounds that the folder lacks.

    Each is made in a process of its own. Several may do this at once in one folder: each leaves a round that another is
    making to it.

    Parameters
    ----------
    root : str
    design : Design or GraphDesign
    wanted : list of Place
    say : callable
        Gets one line of text for each round made.

    Raises
    ------
    InputError
        The folder holds rounds of another design, or the design is not for one of the scenarios.
    """
    design.check([place.scenario for place in wanted])
    os.makedirs(root, exist_ok=True)
    _settle(os.path.join(root, DESIGN), design.as_json())
    for place in wanted:
        folder = place.folder(root)
        if os.path.exists(folder):
            continue
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(folder))
            except InputError:
                continue
            if not os.path.exists(folder):
                say(_line(design, make_round_in_child(folder, design, *place)))


def _line(design, record):
    fitted = pd.DataFrame([member["validation_r2"] for member in record["members"]]).mean()
    r2 = ", ".join(f"{mark} {value:.3f}" for mark, value in fitted.items())
    return f"{record['scenario']} round {record['round']}: {design.summary(record)}; mean validation R^2 {r2}"


def analyse(root, name, wanted, estimate_options=None, aggregate_options=None, levers=None):
    """Estimate, aggregate and score stored rounds; what an earlier call of the same name and options did is kept.

    Writes below ``root/analyses/name`` each round's ``local.tsv``, ``global.tsv`` and ``scores.tsv``; and over all
    rounds ``rounds.tsv``, ``table1.tsv`` and a figure for each method. ``root/analyses/levers.tsv`` and ``levers.png``
    hold what all analyses say of GATA's effect on TAL1.

    Parameters
    ----------
    root, name : str
    wanted : list of Place
        Those that are not stored are left out.
    estimate_options : EstimatorOptions, optional
    aggregate_options : AggregateOptions, optional
    levers : LeverOptions, optional
        What is done to the rounds' effects before; each round's folder of the analysis keeps what that makes.

    Returns
    -------
    rounds, table : pandas.DataFrame
        As written to rounds.tsv and table1.tsv.

    Raises
    ------
    InputError
        No round is stored, an analysis of this name had other options, there is no such method, or the rounds'
        networks cannot be used as levers say.
    """
    estimate_options, levers = EstimatorOptions.of(estimate_options), LeverOptions.of(levers)
    aggregate_options = AggregateOptions.of(aggregate_options)
    if not _stored(root, wanted):
        raise InputError(f"{root}: none of the rounds is stored there; leave out --stored to make them")
    with open(os.path.join(root, DESIGN), encoding="utf-8") as file:
        design = read_design(json.load(file))
    estimate_options.check(design.marks, design.n_members)
    mr.check_pairs(design.marks, estimate_options)
    folder = os.path.join(root, "analyses", name)
    if not os.path.exists(os.path.join(folder, ANALYSIS)):
        check(levers, _stored(root, wanted)[0].folder(root), design)
    os.makedirs(folder, exist_ok=True)
    kind = _kind(design)
    # whoever made the other rounds may be analysing them just now
    with filelock.FileLock(os.path.join(folder, LOCK)):
        chosen = (estimate_options, aggregate_options, levers)
        _settle(os.path.join(folder, ANALYSIS), _merged(each.to_json() for each in chosen),
                _merged(type(each)().to_json() for each in chosen))
        scored = [_scored(root, folder, place, *chosen, design, kind) for place in _stored(root, wanted)]
        rounds = pd.concat([_first(table, len(kind.ABOUT)) for table in scored], ignore_index=True)
        with filelock.FileLock(os.path.join(root, "analyses", LOCK)):
            table = kind.write_summary(folder, rounds, [place.folder(folder) for place in _stored(root, wanted)])
            kind.compare(os.path.join(root, "analyses"))
    return rounds, table


def shown(design, table, columns=()):
    """The columns that say most of a table that `analyse` gave, after some others."""
    return _kind(design).shown(table, list(columns))


def _kind(design):
    return graph_analysis if isinstance(design, GraphDesign) else paper_analysis


def _stored(root, wanted):
    return [place for place in wanted if os.path.exists(place.folder(root))]


def _scored(root, folder, place, estimate_options, aggregate_options, levers, design, kind):
    """Scores of one round, and in the last columns which round it is."""
    source, target = place.folder(root), place.folder(folder)
    os.makedirs(target, exist_ok=True)
    scores = os.path.join(target, "scores.tsv")
    if not os.path.exists(scores):
        local_path, global_path = (os.path.join(target, f) for f in ("local.tsv", "global.tsv"))
        effects_path, calibration, loci = moved_by(levers, source, target, design)
        marks = kind.estimated(design)
        options = EstimateOptions(**estimate_options.as_given(), exposures=marks, outcomes=marks, diagnostics="none",
                                  vcf="none", calibration=calibration)
        local = pipeline.estimate(effects_path, local_path, options)
        global_ = pipeline.aggregate(local_path, global_path, aggregate_options)
        about = kind.about(read_record(source))
        write_tsv(scores, [kind.score(local, global_, loci, target, effects_path).assign(**about)])
    return pd.read_csv(scores, sep="\t", **EXACT)


def _first(table, n):
    """The table with its last n columns first."""
    return table[[*table.columns[-n:], *table.columns[:-n]]]


def _merged(settings):
    return {name: value for each in settings for name, value in each.items()}


def check_stored(root, design):
    """Raise `InputError` where what a design has other than the default is not so of the rounds in a folder."""
    path = os.path.join(root, DESIGN)
    if not os.path.exists(path):
        return  # `analyse` says that there are no rounds
    usual = type(design)(**({"graph": design.graph} if isinstance(design, GraphDesign) else {}))
    ours, usual = _flat(design), _flat(usual)
    with open(path, encoding="utf-8") as file:
        theirs = _flat(read_design(json.load(file)))
    chosen = [name for name in ours if ours[name] != usual[name]]
    differing = differences({name: theirs.get(name) for name in chosen}, {name: ours[name] for name in chosen})
    if differing:
        raise InputError(f"{path}: made with other options ({'; '.join(differing[:3])}); leave these out with --stored")


def _flat(design):
    """The fields of a design, those of its strengths beside them, as JSON has them."""
    fields = design._asdict()
    strengths = fields.pop("strengths")._asdict() if "strengths" in fields else {}
    return json.loads(json.dumps({**fields, **strengths, "schedule": None}))


def _settle(path, settings, defaults=None):
    """Write the settings of a folder, or refuse if it has others; what it does not name has its default."""
    settings = json.loads(json.dumps(settings))
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            differing = differences({**(defaults or {}), **json.load(file)}, settings)
        if differing:
            raise InputError(f"{path}: made with other options ({'; '.join(differing[:3])}); choose another name")
        return
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump(settings, file, indent=2)
