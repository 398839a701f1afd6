"""The first picture of the documentation: a run's causal network, and the letters of one locus that carry it.

    python validation/overview.py OUT --locus NAME [--window START:END] -o docs/overview.png

OUT is the folder of a run, such as that of docs/tal_gata.md.
"""

import argparse

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kipoi_deepmr import effects_store
from kipoi_deepmr.plots import heights_of, plot_network, plot_track


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", metavar="OUT")
    parser.add_argument("--locus", required=True)
    parser.add_argument("--window", default=":")
    parser.add_argument("-o", "--output", required=True)
    arguments = parser.parse_args(argv)
    window = slice(*(int(each) if each else None for each in arguments.window.split(":")))
    draw(arguments.out, arguments.locus, window).savefig(arguments.output, dpi=120)


def draw(out, locus, window):
    """The network on the left, a track for each mark on the right."""
    effects = effects_store.open_effects(f"{out}/effects.zarr")
    here = effects.isel(locus=effects["name"].values.tolist().index(locus))
    letters = np.asarray(here["ref_base"].values).astype(str)[::3][window]
    table = pd.read_csv(f"{out}/network.tsv", sep="\t")
    causes = set(table["exposure"][table["direct"].notna()])
    figure = Figure(figsize=(9.6, 3.4))
    graph = figure.add_axes((0.02, 0.02, 0.3, 0.9))
    plot_network(table, ax=graph).get_legend().remove()
    graph.set_title("what the networks believe", fontsize=10)
    graph.margins(0.3)
    panels = figure.add_gridspec(effects.sizes["mark"], 1, left=0.4, right=0.99, top=0.97, bottom=0.15).subplots(
        sharex=True, sharey=True)
    marks = sorted(effects["mark"].values.tolist(), key=lambda mark: mark not in causes)
    for ax, mark in zip(panels, marks, strict=True):
        heights = heights_of(here["effect"].sel(mark=mark).values)[window]
        plot_track("".join(letters), heights, start=window.start or 0, ax=ax)
        ax.set_ylabel(mark)
        ax.set_xlabel(f"position in {locus}; tall letters are bases that the mark needs")
        ax.spines[["top", "right"]].set_visible(False)
    low, high = zip(*(ax.dataLim.intervaly for ax in panels), strict=True)
    panels[0].set_ylim(min(low) - 0.3, max(high) + 0.3)
    for ax in panels[:-1]:
        ax.set_xlabel("")
    return figure


if __name__ == "__main__":
    main()
