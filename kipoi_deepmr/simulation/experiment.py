"""The experiment: rounds of all scenarios, made once, and analyses of them with any options of estimation."""

import contextlib
import json
import os
from typing import NamedTuple

import filelock
import pandas as pd

from .. import mr, pipeline
from ..effects_store import differences, locked
from ..errors import InputError, nearest
from ..files import replacing
from ..output.tables import EXACT, write_tsv
from ..plots import levers_figure, save, simulation_figure
from .binding import EXPOSURE, MARKS
from .child import make_round_in_child
from .levers import Levers, check, moved_by
from .rounds import Design, marks_of
from .scenarios import SCENARIOS
from .scores import score_round, summarise

DESIGN, ANALYSIS, LOCK = "simulation.json", "analysis.json", "analyses.lock"


class Place(NamedTuple):
    """A round: its scenario and its number from 1."""

    scenario: str
    number: int

    def folder(self, root):
        """Where it lies below a folder."""
        return os.path.join(root, self.scenario, f"round-{self.number:02d}")


def places(scenarios, n_rounds):
    """Rounds in the order in which they are made: the first of every scenario, then the second of every one."""
    for scenario in scenarios:
        if scenario not in SCENARIOS:
            raise InputError(f"unknown scenario {scenario!r}{nearest(scenario, SCENARIOS)}")
    return [Place(scenario, number) for number in range(1, n_rounds + 1) for scenario in scenarios]


def make_rounds(root, design, wanted, say=lambda text: None):
    """Make those of the wanted rounds that the folder lacks.

    Each is made in a process of its own. Several may do this at once in one folder: each leaves a round that another is
    making to it.

    Parameters
    ----------
    root : str
    design : Design
    wanted : list of Place
    say : callable
        Gets one line of text for each round made.

    Raises
    ------
    InputError
        The folder holds rounds of another design, or a scenario lacks the confounder that is to be a mark.
    """
    _check_confounder(design, wanted)
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
                say(_told(make_round_in_child(folder, design, *place)))


def _check_confounder(design, wanted):
    lacking = [place.scenario for place in wanted if not SCENARIOS[place.scenario].shown]
    if design.confounder_mark and lacking:
        having = ",".join(name for name, scenario in SCENARIOS.items() if scenario.shown)
        raise InputError(f"--confounder_mark: the sequences of scenario {lacking[0]} show no confounder; "
                         f"--scenarios {having}")


def _told(record):
    fitted = pd.DataFrame([member["validation_r2"] for member in record["members"]]).mean()
    r2 = ", ".join(f"{mark} {value:.3f}" for mark, value in fitted.items())
    return (f"{record['scenario']} round {record['round']}: gamma {record['parameters']['gamma']:.2f}, true effect "
            f"{record['true_global_effect']['mean']:.3f}, {record['test_loci']['kept']} loci, "
            f"{record['test_loci']['removed']} removed; mean validation R^2 {r2}")


def analyse(root, name, wanted, estimate_options, tau2_method="REML", levers=Levers()):
    """Estimate, aggregate and score stored rounds; what an earlier call of the same name and options did is kept.

    Writes below ``root/analyses/name`` each round's ``local.tsv``, ``global.tsv`` and ``scores.tsv``; and over all
    rounds ``rounds.tsv``, ``table1.tsv`` and a figure for each method. ``root/analyses/levers.tsv`` and ``levers.png``
    hold what all analyses say of GATA's effect on TAL1.

    Parameters
    ----------
    root, name : str
    wanted : list of Place
        Those that are not stored are left out.
    estimate_options : dict
        Keyword arguments of `kipoi_deepmr.pipeline.estimate`.
    tau2_method : str
    levers : Levers
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
    if not _stored(root, wanted):
        raise InputError(f"{root}: none of the rounds is stored there; leave out --stored to make them")
    with open(os.path.join(root, DESIGN), encoding="utf-8") as file:
        design = Design.from_json(json.load(file))
    mr.check_pairs(marks_of(design), None, None, estimate_options["method"], estimate_options.get("adjust"),
                   **estimate_options.get("method_args", {}))
    folder = os.path.join(root, "analyses", name)
    if not os.path.exists(os.path.join(folder, ANALYSIS)):
        check(levers, _stored(root, wanted)[0].folder(root), design)
    os.makedirs(folder, exist_ok=True)
    # whoever made the other rounds may be analysing them just now
    with filelock.FileLock(os.path.join(folder, LOCK)):
        _settle(os.path.join(folder, ANALYSIS), {**estimate_options, "tau2_method": tau2_method, **levers.as_json()})
        rounds = pd.concat([_scored(root, folder, place, estimate_options, tau2_method, levers, design)
                            for place in _stored(root, wanted)], ignore_index=True)
        table = summarise(rounds)
        with filelock.FileLock(os.path.join(root, "analyses", LOCK)):
            _write_summary(folder, rounds, table)
            _compare(os.path.join(root, "analyses"))
    return rounds, table


def _stored(root, wanted):
    return [place for place in wanted if os.path.exists(place.folder(root))]


def _scored(root, folder, place, estimate_options, tau2_method, levers, design):
    """Scores of one round."""
    source, target = place.folder(root), place.folder(folder)
    os.makedirs(target, exist_ok=True)
    scores = os.path.join(target, "scores.tsv")
    if not os.path.exists(scores):
        local_path, global_path = (os.path.join(target, f) for f in ("local.tsv", "global.tsv"))
        moved = moved_by(levers, source, target, design)
        local = pipeline.estimate(local_path=local_path, exposures=MARKS, outcomes=MARKS, diagnostics="none",
                                  vcf="none", **moved, **estimate_options)
        global_ = pipeline.aggregate(local_path, global_path, tau2_method=tau2_method)
        truth = pd.read_csv(os.path.join(source, "truth.tsv"), sep="\t", **EXACT)
        with open(os.path.join(source, "round.json"), encoding="utf-8") as file:
            gamma = json.load(file)["parameters"]["gamma"]
        told = {"scenario": place.scenario, "round": place.number, "gamma": gamma}
        write_tsv(scores, [score_round(local, global_, truth).assign(**told)])
    table = pd.read_csv(scores, sep="\t", **EXACT)
    return table[[*list(table.columns[-3:]), *table.columns[:-3]]]


def _write_summary(folder, rounds, table):
    """rounds.tsv, table1.tsv, and a figure in the manner of the paper's Fig 2 for each method."""
    write_tsv(os.path.join(folder, "rounds.tsv"), [rounds])
    write_tsv(os.path.join(folder, "table1.tsv"), [table])
    forward = rounds[rounds["exposure"] == EXPOSURE]
    for method, of_method in forward.groupby("method", sort=False):
        with replacing(os.path.join(folder, f"{method}.png")) as temporary:
            save(simulation_figure(of_method), temporary, ".png")


def _compare(folder):
    """levers.tsv and levers.png: the tables of all analyses in a folder, one below the other."""
    tables = {name: os.path.join(folder, name, "table1.tsv") for name in sorted(os.listdir(folder))}
    table = pd.concat([pd.read_csv(path, sep="\t", **EXACT).assign(analysis=name) for name, path in tables.items()
                       if os.path.exists(path)], ignore_index=True)
    table = table.set_index("analysis").reset_index()
    write_tsv(os.path.join(folder, "levers.tsv"), [table])
    with replacing(os.path.join(folder, "levers.png")) as temporary:
        save(levers_figure(table[table["exposure"] == EXPOSURE]), temporary, ".png")


def _settle(path, settings):
    """Write the settings of a folder, or refuse if it has others."""
    settings = json.loads(json.dumps(settings))
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            differing = differences(json.load(file), settings)
        if differing:
            raise InputError(f"{path}: made with other options ({'; '.join(differing[:3])}); choose another name")
        return
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        json.dump(settings, file, indent=2)
