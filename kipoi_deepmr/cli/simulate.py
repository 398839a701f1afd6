"""`simulate`: from arguments to rounds of the simulation and their analysis."""

import os

from ..errors import InputError
from ..simulation.experiment import analyse, make_rounds, places, shown
from ..simulation.graph_rounds import GraphDesign
from ..simulation.levers import Levers
from ..simulation.rounds import Design
from ..simulation.scenarios import N_TRAINING, Strengths
from ..simulation.sweep import confounded, make_sweep, strength_folder, write_sweep
from .estimators import estimator_options

STRENGTHS = ("eta", "nu", "tau", "gamma")
OF_PAPER, OF_GRAPHS = (*STRENGTHS, "sweep", "confounder_mark", "dropout"), ("marks", "hidden")


def simulate(arguments, command):
    """Make the rounds that are not there yet, then estimate and score all of them."""
    design = _graph_design(arguments) if arguments.graph else _paper_design(arguments)
    wanted = places(arguments.scenarios or list(design.scenarios), arguments.rounds, design.scenarios)
    say = (lambda text: None) if arguments.quiet else (lambda text: print(text, flush=True))
    if arguments.sweep:
        _sweep(arguments, design, wanted, say)
        return
    if not arguments.stored:
        make_rounds(arguments.output, design, wanted, say)
    table = _analysed(arguments, arguments.output, wanted)
    _show(shown(design, table), say)
    say(f"written to {os.path.join(arguments.output, 'analyses', arguments.analysis)}: rounds.tsv, table1.tsv, figures")


def _paper_design(arguments):
    _refuse(arguments, OF_GRAPHS, "goes with --graph")
    strengths = {name: getattr(arguments, name) for name in STRENGTHS if getattr(arguments, name) is not None}
    return Design(arguments.seed, Strengths(**strengths), arguments.members, arguments.n_training or N_TRAINING,
                  confounder_mark=arguments.confounder_mark, dropout=arguments.dropout)


def _graph_design(arguments):
    _refuse(arguments, OF_PAPER, "is for the paper's simulation, not for --graph")
    sizes = {f"n_{name}": getattr(arguments, name) for name in OF_GRAPHS if getattr(arguments, name) is not None}
    return GraphDesign(arguments.graph, **sizes, seed=arguments.seed, n_members=arguments.members,
                       n_training=arguments.n_training)


def _refuse(arguments, names, why):
    for name in names:
        if getattr(arguments, name) not in (None, False, 0.0):
            raise InputError(f"--{name} {why}")


def _sweep(arguments, design, wanted, say):
    """The same at each strength of the confounders, and all of it in one table."""
    confounded_ones = confounded(wanted)
    if len(confounded_ones) < len(wanted):
        say("scenario none, which has no confounder, is left out of the sweep")
    if not arguments.stored:
        make_sweep(arguments.output, design, arguments.sweep, confounded_ones, say)
    tables = {factor: _analysed(arguments, strength_folder(arguments.output, factor), confounded_ones)
              for factor in arguments.sweep}
    table, name = write_sweep(arguments.output, arguments.analysis, tables)
    _show(shown(design, table, ["strength"]), say)
    say(f"written to {arguments.output}: {name}.tsv, {name}.png, and a folder for each strength")


def _analysed(arguments, root, wanted):
    """The table over the rounds in a folder."""
    options = estimator_options(arguments)
    levers = Levers(**{name: getattr(arguments, name) for name in Levers._fields})
    return analyse(root, arguments.analysis, wanted, options, arguments.tau2_method, levers)[1]


def _show(table, say):
    say(table.to_string(index=False, float_format="{:.3g}".format, na_rep="NA"))
