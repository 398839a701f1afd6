"""The folder of a run of very many marks, made of its tables alone: what the page of a wide model is made from."""

import json

import numpy as np
import pandas as pd
from finished_runs import seal

from kipoi_deepmr.network.verdicts import DIRECT, HIDDEN, NONE
from kipoi_deepmr.output.tables import write_table
from kipoi_deepmr.runs.outputs import RUN_JSON

ASSAYS = ("ATAC", "H3K27ac", "CTCF", "DNase")


def long_names(n, length=80):
    """Names of `length` letters as ENCODE has them; they differ at their beginning, in the middle and at the end."""
    names = [f"ENCFF{i:03d}ABC_{ASSAYS[i % len(ASSAYS)]}_of_a_cell_line_treated_for_{i:03d}_hours" for i in range(n)]
    return [name.ljust(length - 8, "x") + f"_rep{i:04d}" for i, name in enumerate(names)]


def write_tables(folder, marks, n_edges, n_loci=3, seed=0):
    """Write global.tsv, network.tsv, local.tsv and run.json of a run with these marks and so many direct effects."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    names, n = np.array(marks, object), len(marks)
    x, y = np.nonzero(~np.eye(n, dtype=bool))
    effect = 0.02 * rng.normal(size=len(x))
    edges = np.sort(rng.choice(len(x), 2 * n_edges, replace=False))
    direct = rng.random(len(edges)) < 0.5
    effect[edges] = rng.choice([-1, 1], len(edges)) * rng.uniform(0.2, 0.9, len(edges))
    verdict = np.full(len(x), NONE, object)
    verdict[edges] = np.where(direct, DIRECT, HIDDEN)
    table = pd.DataFrame({"exposure": names[x], "outcome": names[y]})
    effect = effect.round(4)
    global_ = table.assign(method="ivw", n_loci=n_loci, estimate=effect, se=0.02, ci_low=(effect - 0.04).round(4),
                           ci_high=(effect + 0.04).round(4), standardised=effect,
                           qvalue=np.where(np.abs(effect) > 0.1, 1e-9, 0.5), verdict=verdict, reason="")
    write_table(str(folder / "global.tsv"), [global_])
    network = table.iloc[edges].assign(direct=effect[edges], direct_std=effect[edges], ci_low=effect[edges] - 0.04,
                                       ci_high=effect[edges] + 0.04, qvalue=1e-9, qvalue_min_effect=1e-9)
    write_table(str(folder / "network.tsv"), [network])
    strongest = global_.loc[global_["standardised"].abs().sort_values(ascending=False).index[:60]]
    local = pd.concat([strongest[["exposure", "outcome", "method", "estimate", "se", "ci_low", "ci_high"]]
                       .assign(chrom="chr1", start=1000 * k, end=1000 * k + 100, strand="+", locus=f"locus{k}",
                               pvalue=1e-9, n_instruments=9, note="NA", **dict.fromkeys(
                                   ("intercept", "intercept_se", "intercept_pvalue", "q", "q_pvalue"), np.nan))
                       for k in range(n_loci)])
    write_table(str(folder / "local.tsv"), [local])
    settings = {"marks": list(marks), "loci": n_loci, "members": ["1", "2", "3"], "preset": "default"}
    columns = {"assay": {name: ASSAYS[i % len(ASSAYS)] for i, name in enumerate(marks)}}
    (folder / RUN_JSON).write_text(json.dumps({"settings": settings, "effects": settings, "files": {},
                                               "finished": "2026-01-01T00:00:00+00:00", "mark_columns": columns}))
    seal(folder)
    return folder
