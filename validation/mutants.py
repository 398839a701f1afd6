"""Kinds of mutants in the paper's simulation: rounds that `simulate` left in a folder, predicted by each kind.

    python validation/mutants.py simulation_output -o OUT --rounds 2 single single,windows:8 windows:8

`simulate` leaves out loci where no single mutant moves GATA. Here all loci with both motifs are predicted, by the
round's own networks. The true effect at a locus that was left out is the slope of TAL1 on GATA over random sequences in
place of the GATA motif. Beside the table of each round stands, for each kind: the share of loci without an estimate,
of all and of those left out; coverage, median relative width and bias at loci with a true effect; the reverse effect.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd

from kipoi_deepmr import pipeline
from kipoi_deepmr.models import Ensemble
from kipoi_deepmr.options import MutantOptions
from kipoi_deepmr.simulation.binding import BACKGROUND, EXPOSURE, OUTCOME, Parameters, affinities, anscombe
from kipoi_deepmr.simulation.rounds import Design, random_streams
from kipoi_deepmr.simulation.scenarios import SCENARIOS, pwms_of
from kipoi_deepmr.simulation.sequences import sample_sequences
from kipoi_deepmr.simulation.truth import (
    MIN_EXPOSURE_CHANGE,
    locus_names,
    true_local_effects,
    visible_local_effects,
    with_reverse,
    write_test_loci,
)

DRAWS = 50  # random sequences in place of a motif


def write_loci(source, folder, scenario, number):
    """All test loci of a round with both motifs, and their true effects: test_loci.fa, test_loci.bed, truth.tsv."""
    design = Design.from_json(json.loads((source.parent.parent / "simulation.json").read_text()))
    parameters = Parameters(**json.loads((source / "round.json").read_text())["parameters"])
    pwms, (_, test_rng, spacer_rng, _) = pwms_of(SCENARIOS[scenario]), random_streams(design, scenario, number)
    generated = sample_sequences(design.n_test, pwms, test_rng)
    both = (generated.starts[:, :2] >= 0).all(1)
    bases, starts = generated.bases[both], generated.starts[both]
    effect, change = true_local_effects(bases, starts[:, 0], pwms, parameters)
    large, large_change = ablated_effects(bases, starts[:, 0], pwms, parameters)
    kept = change >= MIN_EXPOSURE_CHANGE
    truth = pd.DataFrame({"locus": locus_names(len(bases)), "exposure": EXPOSURE, "outcome": OUTCOME,
                          "true_effect": np.where(kept, effect, large),
                          "ablated_effect": large, "largest_gata_change": change, "ablated_gata_change": large_change,
                          "visible_effect": visible_local_effects(bases, starts[:, 0], pwms, parameters),
                          "kept": kept, "movable": kept | (large_change >= MIN_EXPOSURE_CHANGE)})
    known = pd.read_csv(source / "truth.tsv", sep="\t").query("exposure == @EXPOSURE")["true_effect"]
    np.testing.assert_allclose(truth.loc[kept, "true_effect"], known, atol=1e-6)  # the same sequences as then
    write_test_loci(folder, bases, with_reverse(truth), spacer_rng)
    with open(folder / "regions.bed", "w", encoding="utf-8") as file:
        for line, places in zip((folder / "test_loci.bed").read_text().splitlines(), starts, strict=True):
            chrom, start = line.split("\t")[0], int(line.split("\t")[1])
            for mark, place in zip((EXPOSURE, OUTCOME), places, strict=False):
                file.write(f"{chrom}\t{start + place}\t{start + place + len(pwms[mark])}\t{mark}\n")


def ablated_effects(bases, starts, pwms, parameters):
    """Slope of TAL1 on GATA over random sequences in place of the GATA motif, and GATA's mean change: (n,) each."""
    unconfounded, width = parameters._replace(eta=0.0, nu=0.0, tau=0.0), len(pwms[EXPOSURE])
    made = np.repeat(bases[:, None], DRAWS, axis=1)
    rows, draws = np.ogrid[:len(bases), :DRAWS]
    random = np.random.default_rng(1).choice(4, (len(bases), DRAWS, width), p=BACKGROUND)
    made[rows[..., None], draws[..., None], starts[:, None, None] + np.arange(width)] = random

    def labels(b):
        return anscombe(affinities(b, pwms, unconfounded))

    x, y = np.moveaxis(labels(made.reshape(-1, bases.shape[1])).reshape(*made.shape[:2], 2) - labels(bases)[:, None],
                       -1, 0)
    return (x * y).sum(1) / (x ** 2).sum(1), np.abs(x.mean(1))


def estimated(source, folder, mutants, options):
    """Local and global effects of a round by one choice of mutants, predicted unless they are there."""
    store = str(folder / f"{mutants.replace(',', '+').replace(':', '-')}.zarr")
    if not os.path.exists(store):
        models = sorted(str(path) for path in source.iterdir() if path.name.isdigit())
        with Ensemble.from_kipoi(models, source="dir") as ensemble:
            regions = str(folder / "regions.bed") if "regions" in mutants else None
            selection = pipeline.select_loci(ensemble, intervals_file=str(folder / "test_loci.bed"),
                                             fasta_file=str(folder / "test_loci.fa"),
                                             mutants=MutantOptions(mutants=mutants, instrument_regions=regions))
            pipeline.predict(ensemble, selection, store, quiet=True)
    table = store.replace(".zarr", ".tsv")
    local = pipeline.estimate(store, table, vcf="none", diagnostics="none", **options)
    return local, pipeline.aggregate(table, table.replace(".tsv", ".global.tsv"), effects_path=store)


def scores(local, global_, truth):
    """One row of what an analysis of a round gives."""
    merged = truth.merge(local, on=["locus", "exposure", "outcome"])
    forward, reverse = (merged[merged["exposure"] == x] for x in (EXPOSURE, OUTCOME))
    without = ~np.isfinite(forward["ci_low"])
    row = {"loci": len(forward), "left_out": (~forward["kept"]).sum(), "without": without.mean(),
           "without_of_kept": without[forward["kept"]].mean(), "without_of_left_out": without[~forward["kept"]].mean(),
           "movable": forward["movable"].mean(), "without_of_movable": without[forward["movable"]].mean()}
    for name, some in (("kept", forward[forward["kept"] & ~without]),
                       ("left_out", forward[~forward["kept"] & ~without & forward["true_effect"].notna()])):
        low, high, true = some["ci_low"], some["ci_high"], some["true_effect"]
        row |= {f"coverage_{name}": some["true_effect"].between(low, high).mean(),
                f"visible_{name}": some["visible_effect"].between(low, high).mean(),
                f"ablated_{name}": some["ablated_effect"].between(low, high).mean(),
                f"width_{name}": ((high - low) / true).median(), f"n_{name}": len(some),
                f"bias_{name}": some["estimate"].mean() / true.mean() - 1}
    of_pair = global_.set_index(["exposure", "outcome"])
    true = forward.loc[forward["kept"], "true_effect"].mean()
    ahead, back = of_pair.loc[(EXPOSURE, OUTCOME)], of_pair.loc[(OUTCOME, EXPOSURE)]
    return row | {"instruments": forward["n_instruments"].mean(), "global_bias": ahead["estimate"] / true - 1,
                  "global_estimate": ahead["estimate"],
                  "global_covers": float(ahead["ci_low"] <= true <= ahead["ci_high"]),
                  "global_width": (ahead["ci_high"] - ahead["ci_low"]) / true,
                  "significant": (forward["pvalue"] < 0.05).sum() / forward["pvalue"].notna().sum(),
                  "global_p": ahead["pvalue"],
                  "reverse_significant": (reverse["pvalue"] < 0.05).sum() / reverse["pvalue"].notna().sum(),
                  "reverse": back["estimate"], "reverse_p": back["pvalue"], "bend": (
                      forward["ablated_effect"] / forward["true_effect"])[forward["kept"]].mean() - 1}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("simulation", type=Path, help="folder that `simulate` wrote")
    parser.add_argument("mutants", nargs="+", help="values of --mutants")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--name", default="mutants", help="of the table")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="an option of `estimate`")
    arguments = parser.parse_args()
    options, rows = dict(each.split("=") for each in arguments.set), []
    for number in range(1, arguments.rounds + 1):
        for scenario in arguments.scenarios.split(","):
            source = arguments.simulation / scenario / f"round-{number:02d}"
            folder = arguments.output / source.relative_to(arguments.simulation)
            if not (folder / "truth.tsv").exists():
                folder.mkdir(parents=True, exist_ok=True)
                write_loci(source, folder, scenario, number)
            truth = pd.read_csv(folder / "truth.tsv", sep="\t")
            for mutants in arguments.mutants:
                found = scores(*estimated(source, folder, mutants, options), truth)
                rows.append({"scenario": scenario, "round": number, "mutants": mutants, **found})
                table = pd.DataFrame(rows)
                table.to_csv(arguments.output / f"{arguments.name}.tsv", sep="\t", index=False, float_format="%.4g")
    print(table.round(3).to_string(index=False))
    print(table.drop(columns=["round"]).groupby(["mutants", "scenario"], sort=False).mean().round(3).T.to_string())


if __name__ == "__main__":
    main()
