"""Figures: what they draw, on real Axes."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kipoi_deepmr.plots import (
    heights_of,
    plot_coverage,
    plot_global_effects,
    plot_local_scatter,
    plot_strata,
    plot_track,
    plot_true_effects,
    simulation_figure,
)


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


def test_every_plot_takes_and_returns_axes():
    rounds = pd.DataFrame({"true_effect": [1.0, 2.0], "estimate": [1.1, 1.8], "se": 0.1, "tau": 0.2})
    fits = pd.DataFrame({"method": ["ivw"], "estimate": [2.0], "intercept": [np.nan]})
    drawn = {plot_local_scatter: ([1.0], [0.1], [2.0], [0.1], fits), plot_true_effects: (rounds,),
             plot_coverage: ([0.9, 1.0],), plot_track: ("ACGT", np.arange(4.0)), plot_strata: (strata(),)}
    for plot, given in drawn.items():
        ax = Figure().add_subplot()
        assert plot(*given, ax=ax) is ax and ax.has_data(), plot
        assert plot(*given).has_data(), plot


def test_scatter_turns_instruments_and_draws_each_line():
    fits = pd.DataFrame({"method": ["ivw", "egger", "raps"], "estimate": [2.0, 3.0, np.nan],
                         "intercept": [np.nan, -1.0, np.nan]})
    ax = plot_local_scatter([1.0, -4.0], [0.5, 1.0], [2.0, -7.0], [0.1, 0.2], fits)
    points = ax.containers[0].lines[0].get_xydata()
    assert points.tolist() == [[1, 2], [4, 7]]
    lines = {line.get_label(): line.get_xydata().tolist() for line in ax.lines[-2:]}
    assert lines == {"ivw": [[0, 0], [5, 10]], "egger": [[0, -1], [5, 14]]}


def test_letters_are_as_tall_as_effects():
    effect = np.zeros((6, 3))
    effect[1], effect[4] = [-3, -6, 0], [1, 1, 1]
    heights = heights_of(effect.ravel())
    assert heights.tolist() == [0, 3, 0, 0, -1, 0]
    ax = plot_track("ACGTAC", heights, [1], start=100)
    c, a = (ax.collections["ACGT".index(letter)].get_paths() for letter in "CA")
    assert len(c) == len(a) == 1
    assert np.allclose(c[0].get_extents().extents, [100.54, 0, 101.46, 3], atol=0.02)
    assert np.allclose(a[0].get_extents().extents, [103.54, -1, 104.46, 0], atol=0.02)
    assert ax.lines[-1].get_xdata().tolist() == [101]


def strata():
    return pd.DataFrame({"exposure": ["A", "A", "B"], "outcome": ["B", "B", "A"], "stratum": ["near", "far", "far"],
                         "estimate": [2.0, -1.0, np.nan], "se": 0.1})


def test_heat_map_of_strata():
    ax = plot_strata(strata())
    assert [t.get_text() for t in ax.get_yticklabels()] == ["A → B", "B → A"]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["near", "far"]
    assert np.array_equal(ax.images[0].get_array().filled(np.nan), [[2, -1], [np.nan, np.nan]], equal_nan=True)
    assert ax.images[0].get_clim() == (-2, 2) and [t.get_text() for t in ax.texts] == ["2", "-1"]


def test_simulation_has_a_column_a_scenario():
    rounds = pd.DataFrame({"scenario": ["none", "both"] * 3, "true_effect": 1.0, "estimate": np.arange(6.0), "se": 0.1,
                           "tau": 0.2, "coverage": [0.9, np.nan, 0.8, 1.0, 1.0, 1.0]})
    figure = simulation_figure(rounds)
    assert [ax.get_title() for ax in figure.axes[:2]] == ["none", "both"]
    assert "mean 0.90" in figure.axes[2].get_legend().get_texts()[0].get_text()
