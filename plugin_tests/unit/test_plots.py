"""Figures: what they draw, on real Axes."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from kipoi_deepmr.plots import (
    Spans,
    global_effects_figure,
    heights_of,
    plot_coverage,
    plot_global_effects,
    plot_local_scatter,
    plot_spans,
    plot_strata,
    plot_track,
    plot_true_effects,
    save,
    simulation_figure,
    tracks_figure,
)


def table(n_pairs, methods=("ivw",), letters=0):
    """Effects that grow with the pair's number; intervals that are those of no standard error."""
    estimate = np.linspace(-1, 2, n_pairs)
    names = [f"x$_{i}".ljust(letters, "z") for i in range(n_pairs)]
    return pd.concat([pd.DataFrame({
        "exposure": names, "outcome": "y", "method": method, "estimate": estimate + number, "se": 0.1, "tau": 0.3,
        "ci_low": estimate + number - 0.5, "ci_high": estimate + number + 0.7, "pi_low": estimate + number - 0.9,
        "pi_high": estimate + number + 1.1}) for number, method in enumerate(methods)], ignore_index=True)


def drawn(ax):
    """The (row, low, high) of each interval, by its name in the legend."""
    return {bars.get_label(): sorted((float(bar[0, 1]), *bar[:, 0]) for bar in bars.get_segments())
            for bars in ax.collections}


def test_intervals_are_those_of_the_table():
    ax = Figure().add_subplot()
    assert plot_global_effects(table(4), ax) is ax
    assert [label.get_text() for label in ax.get_yticklabels()] == [f"x$_{i} → y" for i in (3, 2, 1, 0)]
    assert ax.get_yticks().tolist() == [3, 2, 1, 0] and sorted(ax.lines[-1].get_xydata().tolist()) == [
        [-1, 0], [0, 1], [1, 2], [2, 3]]
    bars = drawn(ax)
    assert np.allclose(bars["confidence interval"], [(i, i - 1.5, i - 0.3) for i in range(4)])
    assert np.allclose(bars["95 % prediction interval of a new locus"], [(i, i - 1.9, i + 0.1) for i in range(4)])


def test_letters_that_no_font_has_make_no_warning(tmp_path, recwarn):
    figure = Figure()
    figure.subplots().set_title("\U0001f4a5")
    save(figure, str(tmp_path / "x.png"))
    assert not list(recwarn)


def test_methods_stand_side_by_side_with_the_same_pairs():
    effects = table(5, ("ivw", "egger"))
    effects.loc[effects.index[7], ["estimate", "se", "ci_low", "ci_high"]] = np.nan  # egger of the third pair
    effects = effects.sample(frac=1, random_state=1).sort_values("method", ascending=False, kind="stable")
    ivw, egger = global_effects_figure(effects).axes
    assert [ax.get_title() for ax in (ivw, egger)] == ["ivw", "egger"]
    assert [label.get_text() for label in ivw.get_yticklabels()] == [f"x$_{i} → y" for i in (4, 3, 2, 1, 0)]
    assert [row for row, *_ in drawn(egger)["confidence interval"]] == [0, 1, 3, 4]
    assert len(drawn(ivw)["confidence interval"]) == 5


def test_many_pairs_show_the_strongest_and_say_so():
    figure = global_effects_figure(table(500))
    assert len(figure.axes[0].get_yticklabels()) == 60 and figure.get_suptitle() == "440 of 500 pairs not shown"


def test_pairs_without_estimate_are_left_out(tmp_path):
    figure = global_effects_figure(table(3).assign(estimate=np.nan))
    figure.savefig(tmp_path / "empty.png")
    assert len(figure.axes[0].get_yticklabels()) == 0 and figure.get_suptitle() == "3 of 3 pairs not shown"


@pytest.mark.parametrize("n_pairs", [2, 60])
@pytest.mark.parametrize("letters", [0, 80, 200])
def test_labels_neither_overlap_nor_leave_the_figure(n_pairs, letters):
    """And the panels keep their width, however long the names are."""
    figure = global_effects_figure(table(n_pairs, ("ivw", "egger"), letters))
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert all(box.x0 >= 0 for box in boxes)
    assert all(above.y0 >= below.y1 for above, below in pairwise(boxes))
    assert all(ax.get_window_extent().width > 2 * figure.dpi for ax in figure.axes)


def test_long_names_still_differ():
    effects = table(2, letters=100).assign(exposure=["a" * 50 + name + "z" * 50 for name in "BC"])
    labels = [label.get_text() for label in plot_global_effects(effects).get_yticklabels()]
    assert labels == [f"{'a' * 50}{name}{'z' * 50}\n→ y" for name in "CB"]


def test_one_wide_interval_does_not_hide_the_others():
    effects = table(10)
    effects.loc[3, ["ci_low", "ci_high"]] = -1e6, 1e6
    low, high = plot_global_effects(effects).get_xlim()
    assert -10 < low < -1 and 2 < high < 10


def test_every_plot_takes_and_returns_axes():
    rounds = pd.DataFrame({"true_effect": [1.0, 2.0], "estimate": [1.1, 1.8], "se": 0.1, "tau": 0.2})
    fits = pd.DataFrame({"method": ["ivw"], "estimate": [2.0], "intercept": [np.nan]})
    drawn = {plot_local_scatter: ([1.0], [0.1], [2.0], [0.1], fits), plot_true_effects: (rounds,),
             plot_coverage: ([0.9, 1.0],), plot_track: ("ACGT", np.arange(4.0)), plot_strata: (strata(),),
             plot_spans: (Spans([0, 2], [2, 2], {"A": [1, -2]}, [True, False]), "A", 0, 4)}
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


def test_bars_are_as_wide_as_what_changes():
    heights = {"A": [1.0, -2.0], "B": [0.0, np.nan]}
    spans = {"windows": Spans(np.array([2, 4]), np.array([2, 3]), heights, [True, False])}
    figure = tracks_figure("ACGTACGT", {}, start=0, spans=spans)
    assert [ax.get_ylabel() for ax in figure.axes] == ["A\nwindows", "B\nwindows"]
    of_a, of_b = ([bar.get_bbox().extents.tolist() for bar in ax.patches] for ax in figure.axes)
    assert of_a == [[1.5, 0, 3.5, 1], [3.5, 0, 6.5, -2]] and of_b == [[1.5, 0, 3.5, 0], [3.5, 0, 6.5, 0]]
    assert [bar.get_alpha() or bar.get_facecolor()[3] for bar in figure.axes[0].patches] == [0.9, 0.2]
    letters = {name: np.arange(8.0) for name in "AB"}
    figure = tracks_figure("ACGTACGT", letters, start=0, spans=spans)
    assert [ax.get_ylabel() for ax in figure.axes] == ["A", "A\nwindows", "B", "B\nwindows"]


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
