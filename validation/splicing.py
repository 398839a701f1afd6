"""Exon definition in OpenSpliceAI: effects of each splice site on the other, against exon length (docs/splicing.md).

    python validation/splicing.py MODELS FASTA [--context 400] [--store FILE] [--sites BED]
        [--figure docs/splicing.png]

MODELS holds a folder for each context, with a Kipoi model directory for each seed (400/rs10 and so on), as
example_models/fetch.py makes it; FASTA is hg38. The loci are example_models/OpenSpliceAI/exons_800.bed, whose names end
in the exon's length; the sites are those of splice_sites.bed beside it, in regions named acceptor and donor.

Predicts every mutant (the slow part; skipped where the store exists), estimates with `--instruments direct` and with
`--instruments regions`, prints the numbers of the page and draws its figure.
"""

import argparse
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import spearmanr, t

from kipoi_deepmr import Ensemble, pipeline

EXAMPLE = Path(__file__).resolve().parent.parent / "example_models" / "OpenSpliceAI"
MARKS = ("acceptor", "donor")
RULES = {"direct": "o", "regions": "s"}
COLOURS = {"direct": "#0072b2", "regions": "#d55e00"}
WINDOWS = {80: 480, 400: 800}  # bases, by the context of the model
BINS = (59, 90, 120, 200, 400)  # exon lengths


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=Path)
    parser.add_argument("fasta")
    parser.add_argument("--context", type=int, choices=list(WINDOWS), default=400)
    parser.add_argument("--store", help="effects; made if it does not exist (default: splice400.zarr)")
    parser.add_argument("--sites", default=str(EXAMPLE / "splice_sites.bed"), help="BED of both sites")
    parser.add_argument("--figure", help="PNG")
    arguments = parser.parse_args(argv)
    store = arguments.store or f"splice{arguments.context}.zarr"
    if not Path(store).exists():
        predict(arguments, store)
    local = effects_of(store, arguments.sites)
    report(local)
    if arguments.figure:
        figure(local).savefig(arguments.figure, dpi=130)


def predict(arguments, store):
    models = sorted(str(path) for path in (arguments.models / str(arguments.context)).iterdir())
    ensemble = Ensemble.from_kipoi(models, source="dir", marks=list(MARKS),
                                   settings={"mark_summary": "max", "scale": "logit"})
    bed = EXAMPLE / f"exons_{WINDOWS[arguments.context]}.bed"
    selection = pipeline.select_loci(ensemble, intervals_file=str(bed), fasta_file=arguments.fasta)
    pipeline.predict(ensemble, selection, store)


def effects_of(store, sites):
    """Local effects by both rules, with the exon's length: the columns of local.tsv, rule and length."""
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        for rule in RULES:
            regions = {"instrument_regions": sites} if rule == "regions" else {}
            tables.append(pipeline.estimate(store, f"{folder}/{rule}.tsv", instruments=rule, vcf="none",
                                            diagnostics="none", **regions).assign(rule=rule))
    local = pd.concat(tables, ignore_index=True)
    return local.assign(length=local["locus"].str.rpartition(":")[2].astype(int))


def report(local):
    """Print medians by exon length, correlations with length, and how far the two rules agree."""
    for exposure, outcome in (MARKS, MARKS[::-1]):
        pair = local[(local["exposure"] == exposure) & (local["outcome"] == outcome)]
        wide = pair.pivot(index="locus", columns="rule", values="estimate")
        length = pair.drop_duplicates("locus").set_index("locus")["length"].loc[wide.index]
        print(f"\n{exposure} -> {outcome}: loci with an estimate {wide.notna().sum().to_dict()}, largest "
              f"{wide.abs().max().round(3).to_dict()}")
        print(wide.groupby(pd.cut(length, BINS), observed=True).median().round(3).to_string())
        median = pair.groupby("rule")["n_instruments"].median()
        for rule in RULES:
            rho, pvalue = spearmanr(length, wide[rule], nan_policy="omit")
            print(f"{rule}: Spearman with length {rho:.2f}, p {pvalue:.1g}; median instruments {median[rule]:.0f}")
        both = wide.dropna()
        rho = both["direct"].corr(both["regions"], method="spearman")
        difference = both["direct"] - both["regions"]
        half = t.ppf(0.975, len(both) - 1) * difference.std(ddof=1) / len(both) ** 0.5
        print(f"both rules: Spearman {rho:.2f} over {len(both)} loci, mean difference {difference.mean():.3f} +- "
              f"{half:.3f}")


def figure(local):
    """Effects with intervals against exon length, a panel a direction."""
    drawn, panels = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True, layout="constrained")
    for axes, (exposure, outcome) in zip(panels, (MARKS, MARKS[::-1]), strict=True):
        pair = local[(local["exposure"] == exposure) & (local["outcome"] == outcome)].dropna(subset=["estimate"])
        for shift, (rule, marker) in zip((-1.2, 1.2), RULES.items(), strict=True):
            part = pair[pair["rule"] == rule]
            ends = np.abs(part[["ci_low", "ci_high"]].sub(part["estimate"], axis=0)).to_numpy().T
            axes.errorbar(part["length"] + shift, part["estimate"], ends, fmt=marker, ms=3.5, lw=0.8, alpha=0.85,
                          color=COLOURS[rule], label=f"--instruments {rule}")
        axes.axhline(0, color="0.6", lw=0.8, zorder=0)
        axes.set(title=f"{exposure} → {outcome}", xlabel="exon length (bases)", ylim=(-0.6, 1.6))
    panels[0].set_ylabel("causal effect (logit per logit)")
    panels[1].legend(frameon=False, fontsize="small")
    return drawn


if __name__ == "__main__":
    main()
