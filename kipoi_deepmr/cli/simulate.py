"""`simulate`: from arguments to rounds of the simulation and their analysis."""

import os

from ..simulation.binding import EXPOSURE
from ..simulation.experiment import analyse, make_rounds, places
from ..simulation.levers import Levers
from ..simulation.rounds import Design
from ..simulation.scenarios import Strengths
from ..simulation.sweep import confounded, make_sweep, strength_folder, write_sweep
from .estimators import estimator_options

SHOWN = ("scenario", "method", "rounds", "true_effect", "estimate", "r2", "in_2tau", "coverage", "width", "significant")


def simulate(arguments, command):
    """Make the rounds that are not there yet, then estimate and score all of them."""
    wanted = places(arguments.scenarios, arguments.rounds)
    strengths = Strengths(arguments.eta, arguments.nu, arguments.tau, arguments.gamma)
    design = Design(arguments.seed, strengths, arguments.members, arguments.n_training,
                    confounder_mark=arguments.confounder_mark, dropout=arguments.dropout)
    say = (lambda text: None) if arguments.quiet else (lambda text: print(text, flush=True))
    if arguments.sweep:
        _sweep(arguments, design, wanted, say)
        return
    if not arguments.stored:
        make_rounds(arguments.output, design, wanted, say)
    table = _analysed(arguments, arguments.output, wanted)
    _show(table, SHOWN, say)
    say(f"written to {os.path.join(arguments.output, 'analyses', arguments.analysis)}: rounds.tsv, table1.tsv, figures")


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
    _show(table, ("strength", *SHOWN), say)
    say(f"written to {arguments.output}: {name}.tsv, {name}.png, and a folder for each strength")


def _analysed(arguments, root, wanted):
    """The table over the rounds in a folder."""
    options = estimator_options(arguments)
    levers = Levers(**{name: getattr(arguments, name) for name in Levers._fields})
    return analyse(root, arguments.analysis, wanted, options, arguments.tau2_method, levers)[1]


def _show(table, columns, say):
    forward = table[table["exposure"] == EXPOSURE]
    say(forward[list(columns)].to_string(index=False, float_format="{:.3g}".format, na_rep="NA"))
