"""Figures for papers: in a column of 89 mm all text can be read, lies in the figure and overlaps no other."""

import itertools
import re
import zlib

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from kipoi_deepmr.errors import InputError
from kipoi_deepmr.plots import (
    STYLES,
    forest_figure,
    global_effects_figure,
    heatmap_figure,
    network_figure,
    plot_local_scatter,
    save,
    simulation_figure,
    strata_figure,
    styled,
    tracks_figure,
)
from kipoi_deepmr.plots.letters import letters_that_fonts_have
from kipoi_deepmr.plots.styles import MM, SMALLEST

CASES = [(2, 4), (20, 6), (164, 8), (4, 80), (20, 80)]  # marks, letters of a name
VERDICTS = ("direct effect", "no effect beyond the minimum", "indirect effect (through {x})",
            "cannot be told: {x} and {y} are near copies")


def names_of(n, length):
    return [f"M{i}_$^".ljust(length, "xyz-"[i % 4])[:max(length, 4)] for i in range(n)]


def pairs_of(n, length, rng):
    rows = [(x, y, rng.normal(), 0.001 if (i + j) % 5 == 0 else 0.8)
            for (i, x), (j, y) in itertools.permutations(enumerate(names_of(n, length)), 2)]
    return pd.DataFrame(rows, columns=["exposure", "outcome", "direct_std", "qvalue_min_effect"])


def global_of(n, length, rng, methods=("egger", "ivw", "median_weighted")):
    table = pairs_of(n, length, rng)
    table = table.assign(estimate=table["direct_std"], se=0.2, standardised=table["direct_std"], verdict=[
        VERDICTS[k % 4].format(x=row.exposure, y=row.outcome) for k, row in enumerate(table.itertuples())])
    for end, step in (("low", -0.3), ("high", 0.4)):
        table[f"ci_{end}"], table[f"pi_{end}"] = table["estimate"] + step, table["estimate"] + 2 * step
    return pd.concat([table.assign(method=method) for method in methods], ignore_index=True)


def forest_of(n_loci, length, rng):
    estimate = rng.normal(1, 0.3, n_loci)
    estimate[::9] = np.nan
    local = pd.DataFrame({"locus": names_of(n_loci, length), "estimate": estimate, "ci_low": estimate - 0.5,
                          "ci_high": estimate + 0.5})
    return local, pd.Series({"estimate": 1.0, "ci_low": 0.9, "ci_high": 1.1, "pi_low": 0.4, "pi_high": 1.6})


def scatter(n, length, rng, width):
    bx, by = rng.normal(size=(2, 10))
    fits = pd.DataFrame({"method": ["egger", "ivw"], "estimate": [0.5, 0.7], "intercept": [0.1, np.nan]})
    ax = Figure(figsize=(width, 0.9 * width), layout="constrained").add_subplot()
    return plot_local_scatter(bx, np.full(10, 0.1), by, np.full(10, 0.1), fits, ax).figure


def strata_of(n, length, rng):
    rows = [("distance", f"{30 * k}-{30 * k + 30}", row.exposure, row.outcome, "egger", 0.123 * k, 0.1)
            for row in pairs_of(min(n, 5), length, rng).itertuples() for k in range(5)]
    return pd.DataFrame(rows, columns=["covariate", "stratum", "exposure", "outcome", "method", "estimate", "se"])


def rounds(rng):
    return pd.DataFrame({"scenario": np.repeat(["none", "sequence", "independent", "both"], 10),
                         "true_effect": rng.uniform(1, 10, 40), "estimate": rng.uniform(1, 10, 40), "se": 0.3,
                         "tau": 0.5, "coverage": rng.uniform(0.7, 1, 40)})


DRAW = {
    "global": lambda n, length, rng, width: global_effects_figure(global_of(min(n, 20), length, rng), width),
    "network": lambda n, length, rng, width: network_figure(pairs_of(n, length, rng), width),
    "heatmap": lambda n, length, rng, width: heatmap_figure(pairs_of(n, length, rng), width=width),
    "forest": lambda n, length, rng, width: forest_figure(*forest_of(n, length, rng), width),
    "local": scatter,
    "tracks": lambda n, length, rng, width: tracks_figure(
        "".join(rng.choice(list("ACGT"), 10 * n)), {name: rng.normal(size=10 * n) for name in names_of(2, length)},
        [3, 4], 0, width),
    "spacing": lambda n, length, rng, width: strata_figure(strata_of(n, length, rng), width),
    "simulation": lambda n, length, rng, width: simulation_figure(rounds(rng), width),
}


def drawn(name, n, length, style="paper"):
    """A figure and its texts with their boxes."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    with styled(style) as width:
        figure = DRAW[name](n, length, rng, width)
        for _ in range(2):  # as `save` does
            figure.draw_without_rendering()
        assert figure.get_figwidth() == pytest.approx(width)
        return figure, shown(figure)


def shown(figure):
    """Texts that are drawn, with their boxes: ticks beyond an axis' limits are not."""
    hidden = {id(label) for ax in figure.findobj(lambda a: hasattr(a, "xaxis")) for axis in (ax.xaxis, ax.yaxis)
              for label in [*axis.get_ticklabels(), *axis.get_ticklabels(minor=True)]
              if not ax.axison or not _between(label.get_position()[axis is ax.yaxis], axis.get_view_interval())}
    return [(text, text.get_window_extent()) for text in figure.findobj(Text)
            if text.get_visible() and text.get_text().strip() and id(text) not in hidden]


def _between(value, interval):
    low, high = sorted(interval)
    return low - 1e-9 <= value <= high + 1e-9


@pytest.mark.parametrize("n, length", CASES)
@pytest.mark.parametrize("name", DRAW)
def test_text_can_be_read_in_a_column(name, n, length):
    figure, texts = drawn(name, n, length)
    assert texts and figure.get_figheight() <= 247 * MM  # of a page
    assert min(text.get_fontsize() for text, _ in texts) >= SMALLEST - 1e-9
    check_room(figure, texts)


def check_room(figure, texts):
    box = figure.bbox
    for text, extent in texts:
        assert extent.x0 >= box.x0 - 2 and extent.x1 <= box.x1 + 2, (text, extent, box)
        assert extent.y0 >= box.y0 - 2 and extent.y1 <= box.y1 + 2, (text, extent, box)
    level = [(text, extent) for text, extent in texts if text.get_rotation() in (0, 90)]
    for (text, one), (other, two) in itertools.combinations(level, 2):
        apart = min(one.x1, two.x1) - max(one.x0, two.x0) < 2 or min(one.y1, two.y1) - max(one.y0, two.y0) < 2
        assert apart, (text, other)


@pytest.mark.parametrize("style, name", [*itertools.product(["talk"], DRAW), *itertools.product(
    [*STYLES, "dark_background"], ["global"])])
def test_styles_set_width_and_text(style, name):
    figure, texts = drawn(name, 4, 8, style)
    assert min(text.get_fontsize() for text, _ in texts) >= {"talk": 11, "notebook": 6}.get(style, 5)
    check_room(figure, texts)


def test_a_file_of_settings_is_a_style(tmp_path):
    (tmp_path / "mine.mplstyle").write_text("font.size: 13\nfigure.figsize: 4, 3\n")
    with styled(str(tmp_path / "mine.mplstyle")) as width:
        assert width == 4 and Figure().add_subplot().set_title("x").get_fontsize() == pytest.approx(13 * 1.2)
    with styled(str(tmp_path / "mine.mplstyle"), 183) as width:
        assert width == pytest.approx(183 / 25.4)


@pytest.mark.parametrize("style, said", [
    ("papper", 'did you mean "paper"'), ("https://x.org/a.mplstyle", "no such file"),
    ("bad.mplstyle", "not a matplotlib style file")])
def test_bad_styles(tmp_path, monkeypatch, style, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.mplstyle").write_bytes(b"\xff\xfe\x00 font")
    with pytest.raises(InputError, match=re.escape(said)), styled(style):
        pass


def test_text_is_text(tmp_path):
    """In SVG and PDF, so that it can be searched and edited."""
    figure, _ = drawn("network", 4, 6)
    save(figure, str(tmp_path / "x.svg"))
    save(figure, str(tmp_path / "x.pdf"))
    text = (tmp_path / "x.svg").read_text()
    assert all(f">{name}<" in text for name in names_of(4, 6))
    assert b"/Type3" not in (tmp_path / "x.pdf").read_bytes() and b"/FontFile2" in (tmp_path / "x.pdf").read_bytes()


def test_letters_that_the_font_lacks(tmp_path, recwarn):
    """PNG and PDF have their escapes, SVG the letters, the figure keeps its text, and nobody is warned."""
    name = "K562 \U0001f4a5\u4e2dΔ"
    table = pairs_of(2, 4, np.random.default_rng(0)).replace("M1_$", name)
    figure = heatmap_figure(table)
    figure.axes[0].set_title(name)
    figure.draw_without_rendering()
    recwarn.clear()  # of what matplotlib itself says here
    before = [text.get_text() for text in figure.findobj(Text)]
    for ending in ("png", "pdf", "svg"):
        save(figure, str(tmp_path / f"x.{ending}"))
    assert [text.get_text() for text in figure.findobj(Text)] == before and not list(recwarn)
    assert name in (tmp_path / "x.svg").read_text()
    with letters_that_fonts_have(figure):
        figure.draw_without_rendering()
        texts = [text.get_text() for text in figure.findobj(Text)]
    assert set(texts) & {"K562 \\U0001f4a5\\u4e2dΔ"} and name not in texts
