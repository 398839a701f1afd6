"""Kinds of mutants in the paper's simulation: rounds that `simulate` left in a folder, analysed by each kind.

    python validation/mutants.py simulation_output --rounds 2 single single,windows:8 windows:8

`simulate --stored --mutants KINDS` predicts all loci with both motifs, also those that it leaves out since no single
mutant moves GATA there. Here it does so for each choice, with the default options of `estimate`, and puts the rows of
all rounds into one table.
"""

import argparse
from pathlib import Path

import pandas as pd

from kipoi_deepmr.options import EstimatorOptions, LeverOptions
from kipoi_deepmr.simulation.binding import EXPOSURE
from kipoi_deepmr.simulation.experiment import analyse, places
from kipoi_deepmr.simulation.paper_analysis import shown
from kipoi_deepmr.simulation.scenarios import SCENARIOS


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("simulation", type=Path, help="folder that `simulate` wrote; gets analyses/mutants.tsv")
    parser.add_argument("mutants", nargs="+", help="values of --mutants")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="an option of `estimate`")
    arguments = parser.parse_args()
    kinds = {each.name: each.option.kind for each in EstimatorOptions.declared()}
    chosen = dict(each.split("=", 1) for each in arguments.set)
    options = EstimatorOptions(**{name: kinds[name].of_text(text) for name, text in chosen.items()})
    wanted, rounds = places(arguments.scenarios.split(","), arguments.rounds), []
    for mutants in arguments.mutants:
        name = "_".join(["mutants", mutants, *arguments.set]).replace(",", "+").replace(":", "-")
        found, table = analyse(str(arguments.simulation), name, wanted, options, levers=LeverOptions(mutants=mutants))
        print(mutants, shown(table, []).round(3).to_string(index=False), sep="\n", flush=True)
        rounds.append(found.assign(mutants=mutants))
    table = pd.concat(rounds, ignore_index=True)
    table.to_csv(arguments.simulation / "analyses" / "mutants.tsv", sep="\t", index=False, float_format="%.4g")
    print(table[table["exposure"] == EXPOSURE].groupby("mutants", sort=False).mean(numeric_only=True).T.to_string())


if __name__ == "__main__":
    main()
