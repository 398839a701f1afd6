"""`simulate`: from arguments to rounds of the simulation and their analysis."""

import os

from ..simulation.binding import EXPOSURE
from ..simulation.experiment import analyse, make_rounds, places
from ..simulation.rounds import Design
from ..simulation.scenarios import Strengths

SHOWN = ("scenario", "method", "rounds", "true_effect", "estimate", "r2", "in_2tau", "coverage", "width", "significant")


def simulate(arguments, command):
    """Make the rounds that are not there yet, then estimate and score all of them."""
    wanted = places(arguments.scenarios, arguments.rounds)
    strengths = Strengths(arguments.eta, arguments.nu, arguments.tau, arguments.gamma)
    say = (lambda text: None) if arguments.quiet else (lambda text: print(text, flush=True))
    if not arguments.stored:
        design = Design(arguments.seed, strengths, arguments.members, arguments.n_training)
        make_rounds(arguments.output, design, wanted, say)
    options = {name: getattr(arguments, name)
               for name in ("method", "instruments", "instrument_z", "se_shrinkage", "uncertainty")}
    options["method_args"] = dict(arguments.method_args or ())
    _, table = analyse(arguments.output, arguments.analysis, wanted, options, arguments.tau2_method)
    forward = table[table["exposure"] == EXPOSURE]
    say(forward[list(SHOWN)].to_string(index=False, float_format="{:.3g}".format, na_rep="NA"))
    say(f"written to {os.path.join(arguments.output, 'analyses', arguments.analysis)}: rounds.tsv, table1.tsv, figures")
