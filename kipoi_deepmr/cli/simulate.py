"""`simulate`: from arguments to rounds of the simulation and their analysis."""

import os

from .. import options as o
from ..errors import printable
from ..loci import parse_mutants
from ..loci.mutants import SINGLE
from ..simulation.experiment import analyse, check_stored, make_rounds, places, shown
from ..simulation.graph_rounds import GraphDesign
from ..simulation.rounds import Design
from ..simulation.scenarios import N_TRAINING, Strengths
from ..simulation.sweep import confounded, make_sweep, strength_folder, write_sweep
from .parser import defaults_of


def simulate(arguments, command):
    """Make the rounds that are not there yet, then estimate and score all of them."""
    options = o.RoundOptions.among(arguments)
    parse_mutants(arguments.mutants or SINGLE)  # before hours of training
    design = _graph_design(options) if options.graph else _paper_design(options)
    wanted = places(options.scenarios or list(design.scenarios), options.rounds, design.scenarios)
    say = (lambda text: None) if arguments.quiet else (lambda text: print(printable(text), flush=True))
    if options.sweep:
        _sweep(arguments, options, design, wanted, say)
        return
    if options.stored:
        check_stored(arguments.output, design)
    else:
        make_rounds(arguments.output, design, wanted, say)
    table = _analysed(arguments, options.analysis, arguments.output, wanted)
    _show(shown(design, table), say)
    say(f"written to {os.path.join(arguments.output, 'analyses', options.analysis)}: rounds.tsv, table1.tsv, figures")


def _paper_design(options):
    strengths = Strengths(options.eta, options.nu, options.tau, options.gamma)
    return Design(options.seed, strengths, options.members, options.n_training or N_TRAINING,
                  confounder_mark=options.confounder_mark, dropout=options.dropout)


def _graph_design(options):
    return GraphDesign(options.graph, options.marks, options.hidden, seed=options.seed, n_members=options.members,
                       n_training=options.n_training)


def _sweep(arguments, options, design, wanted, say):
    """The same at each strength of the confounders, and all of it in one table."""
    confounded_ones = confounded(wanted)
    if len(confounded_ones) < len(wanted):
        say("scenario none, which has no confounder, is left out of the sweep")
    if options.stored:
        for factor in options.sweep:
            check_stored(strength_folder(arguments.output, factor),
                         design._replace(strengths=design.strengths.times(factor)))
    else:
        make_sweep(arguments.output, design, options.sweep, confounded_ones, say)
    tables = {factor: _analysed(arguments, options.analysis, strength_folder(arguments.output, factor), confounded_ones)
              for factor in options.sweep}
    table, name = write_sweep(arguments.output, options.analysis, tables)
    _show(shown(design, table, ["strength"]), say)
    say(f"written to {arguments.output}: {name}.tsv, {name}.png, and a folder for each strength")


def _analysed(arguments, analysis, root, wanted):
    """The table over the rounds in a folder."""
    return analyse(root, analysis, wanted, o.EstimatorOptions.among(arguments, **defaults_of(arguments)),
                   o.AggregateOptions.among(arguments), o.LeverOptions.among(arguments))[1]


def _show(table, say):
    say(table.to_string(index=False, float_format="{:.3g}".format, na_rep="NA"))
