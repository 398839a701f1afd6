"""Figures: what they draw, on real Axes."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kipoi_deepmr.plots import plot_global_effects


def table(n_pairs):
    return pd.DataFrame({"exposure": [f"x$_{i}" for i in range(n_pairs)], "outcome": "y", "method": "ivw",
                         "estimate": np.linspace(-1, 2, n_pairs), "se": 0.1, "tau": 0.3})


def test_draws_on_the_axes_given():
    ax = Figure().add_subplot()
    assert plot_global_effects(table(4), ax) is ax
    assert [label.get_text() for label in ax.get_yticklabels()][0] == "x$_0 → y"
    tau_bars, _, se_bars = [c.get_segments() for c in ax.collections][:1][0], None, ax.collections[1].get_segments()
    assert np.allclose([b[:, 0] for b in tau_bars], [[e - 0.6, e + 0.6] for e in np.linspace(-1, 2, 4)])
    assert np.allclose([b[:, 0] for b in se_bars], [[e - 0.2, e + 0.2] for e in np.linspace(-1, 2, 4)])


def test_many_pairs_show_the_strongest_and_say_so():
    ax = plot_global_effects(table(500))
    assert len(ax.get_yticklabels()) == 60 and "440 of 500 pairs not shown" in ax.get_title()


def test_pairs_without_estimate_are_left_out(tmp_path):
    empty = table(3).assign(estimate=np.nan)
    ax = plot_global_effects(empty)
    ax.figure.savefig(tmp_path / "empty.png")
    assert len(ax.get_yticklabels()) == 0 and "3 of 3 pairs not shown" in ax.get_title()
