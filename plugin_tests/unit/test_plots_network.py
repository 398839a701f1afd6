"""Figures of the causal network: every mark and edge is there, and names can be read."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyArrowPatch

from kipoi_deepmr.errors import InputError
from kipoi_deepmr.plots import heatmap, heatmap_figure, network_figure, plot_heatmap, plot_network
from kipoi_deepmr.plots.heatmap import clustered, matrix_of


def pairs_of(n, length=3, seed=0):
    """A table of pairs of `n` marks with names of `length` letters; every third pair has an effect."""
    rng = np.random.default_rng(seed)
    names = [f"M{i}_".ljust(length, "xyz_"[i % 4])[:max(length, 4)] for i in range(n)]
    rows = [(x, y, rng.normal(), 0.001 if (i + j) % 3 == 0 else 0.8)
            for (i, x), (j, y) in itertools.permutations(enumerate(names), 2)]
    return names, pd.DataFrame(rows, columns=["exposure", "outcome", "direct_std", "qvalue_min_effect"])


def drawn(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def texts(ax):
    """The names on Axes, without line ends."""
    return [text.get_text().replace("\n", "") for text in ax.texts]


@pytest.mark.parametrize("n, length", list(itertools.product([2, 4, 12, 40], [3, 80])))
def test_a_graph_has_every_mark_and_edge_and_all_names_lie_in_the_figure(n, length):
    names, table = pairs_of(n, length)
    ax = plot_network(table)
    assert set(names) <= set(texts(ax))
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    assert len(arrows) == (table["qvalue_min_effect"] < 0.05).sum()
    renderer, box = drawn(ax.figure), ax.figure.bbox
    for text in ax.texts:
        extent = text.get_window_extent(renderer)
        assert extent.x0 >= box.x0 - 1 and extent.x1 <= box.x1 + 1
        assert extent.y0 >= box.y0 - 1 and extent.y1 <= box.y1 + 1


@pytest.mark.parametrize("n", [2, 4, 12])
def test_level_names_do_not_overlap(n):
    names, table = pairs_of(n, 80)
    ax = plot_network(table)
    renderer = drawn(ax.figure)
    boxes = [text.get_window_extent(renderer) for text in ax.texts if text.get_text().replace("\n", "") in names]
    assert len(boxes) == n and not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_names_around_a_full_circle_have_room():
    """The arc between two neighbours is longer than a name of 80 letters is high."""
    _, table = pairs_of(40, 80)
    ax = plot_network(table)
    renderer = drawn(ax.figure)
    circle = [line.get_xydata()[0] for line in ax.lines if line.get_marker() == "o" and len(line.get_xydata()) == 1]
    places = ax.transData.transform(circle)
    nearest = min(np.hypot(*(a - b)) for a, b in itertools.combinations(places, 2))
    heights = []
    for text in ax.texts:
        text.set_rotation(0)
        heights.append(text.get_window_extent(renderer).height)
    assert nearest > 0.95 * max(heights)


def test_a_graph_without_edges_and_marks_that_are_no_causes():
    names, table = pairs_of(3)
    table = table.assign(qvalue_min_effect=0.9)
    table.loc[table["exposure"] == names[0], "direct_std"] = np.nan
    ax = plot_network(table)
    assert not [p for p in ax.patches if isinstance(p, FancyArrowPatch)] and "0 of 6 pairs" in ax.get_title()
    colours = [line.get_markerfacecolor() for line in ax.lines if line.get_marker() == "o"]
    assert colours.count("white") == 1


def test_more_than_forty_marks_are_a_heat_map():
    assert network_figure(pairs_of(40)[1]).axes[0].texts and network_figure(pairs_of(41)[1]).axes[0].images


@pytest.mark.parametrize("n, length", list(itertools.product([2, 4, 40, 60], [3, 80])))
def test_a_heat_map_has_every_mark_and_all_names_lie_in_the_figure(n, length):
    names, table = pairs_of(n, length)
    ax = plot_heatmap(table)
    renderer, box = drawn(ax.figure), ax.figure.bbox
    for axis in (ax.xaxis, ax.yaxis):
        labels = axis.get_ticklabels()
        assert sorted(label.get_text() for label in labels) == sorted(names)
        for label in [*labels, axis.label]:
            extent = label.get_window_extent(renderer)
            assert extent.x0 >= box.x0 - 1 and extent.x1 <= box.x1 + 1 and extent.y0 >= box.y0 - 1
            assert label.get_fontsize() >= 5


def test_a_heat_map_shows_the_numbers_of_its_table():
    names, table = pairs_of(5)
    ax = plot_heatmap(table)
    order = [label.get_text() for label in ax.get_yticklabels()]
    shown = ax.images[0].get_array()
    for row in table.itertuples():
        assert shown[order.index(row.exposure), order.index(row.outcome)] == pytest.approx(row.direct_std)
    assert np.ma.getmaskarray(shown)[np.eye(5, dtype=bool)].all() or np.isnan(np.diag(shown)).all()
    assert "-0.00" not in [text.get_text() for text in ax.texts]


def test_marks_that_behave_alike_are_neighbours():
    """Two groups whose members have the same effects, in mixed order."""
    names = list("abcdef")
    group = {"a": 0, "c": 0, "e": 0, "b": 1, "d": 1, "f": 1}
    rows = [(x, y, 1.0 if group[x] == group[y] else -1.0, 0.01) for x, y in itertools.permutations(names, 2)]
    table = pd.DataFrame(rows, columns=["exposure", "outcome", "direct_std", "qvalue_min_effect"])
    order = [group[label.get_text()] for label in plot_heatmap(table).get_yticklabels()]
    assert order in ([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0])


@pytest.mark.parametrize("n", [2, 40, 201])
def test_groups_colour_every_mark(n):
    names, table = pairs_of(n)
    table = table.assign(qvalue_min_effect=0.9)  # without dots, which take most of the time
    groups = {name: f"${k % 3}$" for k, name in enumerate(names)}
    ax = plot_heatmap(table, groups=groups)
    renderer, box = drawn(ax.figure), ax.figure.bbox
    order = [names[i] for i in clustered(matrix_of(table, names, table["direct_std"]))]
    legend = {text.get_text().strip(): patch.get_facecolor() for text, patch in
              zip(ax.get_legend().get_texts(), ax.get_legend().get_patches(), strict=True)}
    assert len(set(legend.values())) == len(set(groups.values()))
    for strip, axis in zip(ax.collections, (1, 0), strict=True):
        assert [tuple(colour) for colour in strip.get_colors()] == [legend[groups[name]] for name in order]
        assert [segment[:, axis].mean() for segment in strip.get_segments()] == list(range(n))
    cells, width = ax.get_window_extent(renderer), 0.09 * ax.figure.dpi
    assert all(label.get_window_extent(renderer).x1 <= cells.x0 - width
               for label in (*ax.get_yticklabels(), ax.yaxis.label))
    assert all(label.get_window_extent(renderer).y1 <= cells.y0 - width
               for label in (*ax.get_xticklabels(), ax.xaxis.label))
    extent = ax.get_legend().get_window_extent(renderer)
    assert extent.y0 >= cells.y1 - 1 and extent.y1 <= box.y1 + 1


def test_more_groups_than_colours():
    names, table = pairs_of(21)
    with pytest.raises(InputError, match="the marks have 21 groups, and only 20 colours"):
        plot_heatmap(table, groups={name: name for name in names})


def test_nothing_known_is_a_grey_heat_map():
    table = pairs_of(4)[1].assign(direct_std=np.nan, qvalue_min_effect=np.nan)
    drawn(heatmap_figure(table))
    drawn(network_figure(table))


def test_of_more_marks_than_pixels_a_cell_shows_the_strongest_effect_of_neighbours(monkeypatch):
    names, table = pairs_of(11)
    whole = plot_heatmap(table)
    monkeypatch.setattr(heatmap, "MOST_CELLS", 4)
    ax = plot_heatmap(table)
    effects = matrix_of(table, names, table["direct_std"])
    order = [names.index(label.get_text()) for label in ax.get_yticklabels()]
    effects, shown = effects[np.ix_(order, order)], np.asarray(ax.images[0].get_array())
    assert shown.shape == (4, 4)
    for i in range(4):
        for j in range(4):
            cell = effects[3 * i:3 * i + 3, 3 * j:3 * j + 3].ravel()
            assert shown[i, j] == cell[np.nanargmax(np.abs(cell))]
    assert (ax.get_xlim(), ax.get_ylim()) == (whole.get_xlim(), whole.get_ylim()) == ((-0.5, 10.5), (10.5, -0.5))
    assert tuple(ax.images[0].get_extent()) == (-0.5, 11.5, 11.5, -0.5)
