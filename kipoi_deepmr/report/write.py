"""From a run's folder to its page: one HTML file that needs no network."""

import base64
import hashlib
import json
import os
import zlib
from functools import cache
from importlib.resources import files
from string import Template

from .. import __version__
from ..display import counted
from ..effects_store import each_block
from ..mutagenesis import agreement
from ..runs import manifest
from ..runs.finished import FinishedRun
from ..runs.outputs import STAGES, Target, writing
from . import contents, details, heat
from .interactions import interactions
from .letters import outlines
from .shapes import shapes

NAME = STAGES["report"].main
# in this order
SCRIPTS = ("basics", "charts", "table", "overview", "network", "heat", "pair", "shape", "interaction", "locus", "page")


def write_report(folder, path=None, assignment=None, map_blocks=None):
    """Write report.html of a finished run.

    Parameters
    ----------
    folder : str or Target
        Of the run; the target by one who holds the right to write there.
    path : str, optional
        Where the page goes; by default into the folder.
    assignment : kipoi_deepmr.instruments.Assignment, optional
        As for `FinishedRun`.
    map_blocks : callable, optional
        As `kipoi_deepmr.effects_store.each_block`, which is the default: where blocks of loci are read for shapes.

    Returns
    -------
    str
        Path of the page.

    Raises
    ------
    InputError
        The folder does not hold a finished run, another command writes there, or a file must not be replaced.
    DiskFull
    """
    target = folder if isinstance(folder, Target) else Target("report", os.path.join(folder, NAME), in_run=True)
    folder = os.path.dirname(target.path)
    manifest.read(folder)
    target = target if path is None else Target("report", path)
    with writing("report", target, kept="the tables are kept; free some space and start again") as files:
        text = _page_of(FinishedRun(folder, assignment), map_blocks)
        # paths need not be UTF-8
        with open(files.path, "w", encoding="utf-8", errors="backslashreplace") as out:
            out.write(text)
    return target.path


def _page_of(run, map_blocks=None):
    pairs = contents.chosen_pairs(run)
    local = run.local_of(pairs)
    loci = contents.loci_of(local)
    local = contents.numbered(local, loci)
    of_loci, reason = details.of_loci(run, pairs, local, loci,
                                      details.WIDE_BYTES if contents.is_wide(run) else details.MAX_BYTES)
    found, note = ({}, "") if reason else shapes(run, pairs, local, loci, map_blocks)
    overview = contents.overview(run, pairs)
    overview["shapes"] = {"pairs": list(found), "note": note, **{
        name: [each[name] for each in found.values()] for name in ("word", "slopes", "states")}}
    overview["interactions"], together = interactions(run, map_blocks or each_block)
    overview["interactions"]["figures"] = list(together)
    overview["loci"] = {name: loci[name].tolist() for name in loci.columns}
    overview["left_out"] = _left_out(run, pairs, loci, of_loci, reason)
    blocks = {"data": _json(overview)}
    blocks.update((f"pair-{i}", _json(each)) for i, each in enumerate(contents.of_pairs(run, pairs, local, loci)))
    blocks.update((f"shape-{i}", _json(each)) for i, each in found.items())
    blocks.update((f"interaction-{i}", _json(each)) for i, each in together.items())
    blocks.update((f"locus-{number}", text) for number, text in of_loci.items())
    return page(blocks)


def _left_out(run, pairs, loci, of_loci, reason):
    """Sentences on what the page does not hold, that its effects are approximated, or a preset could not be used."""
    approximation, caution = run.told.get("approximation"), run.told.get("caution")
    told = [f"{caution[0].upper()}{caution[1:]}."] if caution else []
    told += [agreement.sentence(approximation)] if approximation else []
    n_pairs, n_listed = len(run.of_first_method), len(contents.listed(run))
    if len(pairs) < n_pairs:
        which = "the strongest" if run.strongest["verdict"].isna().all() else \
            "the strongest direct and indirect effects and the strongest others"
        told.append(f"Local effects are shown for {counted(len(pairs), 'pair')} of {n_pairs:,}, by method "
                    f"{run.methods[0]} {which}: {run.local_name} has all.")
    if n_listed < n_pairs:
        which = "the strongest" if run.strongest["verdict"].isna().all() else "those with a direct effect first"
        told.append(f"Global effects are listed for {n_listed:,} pairs, {which}: {run.name_of('global.tsv')} has "
                    f"all, and the heat map shows those of up to {heat.MOST_MARKS:,} marks.")
    if reason:
        told.append(f"No instruments and no effects along the sequence are shown: {reason}.")
    elif len(of_loci) < len(loci):
        told.append(f"Instruments and effects along the sequence are shown for the {len(of_loci):,} loci that weigh "
                    f"most in the meta-analyses, of {len(loci):,}: effects.zarr has all.")
    return told


def _json(value):
    return json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def page(blocks):
    """The page around its data.

    Parameters
    ----------
    blocks : dict of str to str
        JSON texts by the id of the element that holds each: `data`, and `pair-0`, `locus-0` and so on, which the page
        reads when they are asked for.

    Returns
    -------
    str
        HTML. Its content security policy lets run only the two scripts inside it, and load nothing.
    """
    scripts = [_charts(), _script()]
    held = {"letters": _json(outlines()), "charts": _json(scripts[0]), **blocks}
    data = "\n".join(f'<script type="application/octet-stream" id="{name}">{_packed(text)}</script>'
                     for name, text in held.items())
    return Template(_source("page.html")).substitute(
        hashes=" ".join(f"'sha256-{_digest(script)}'" for script in scripts), version=__version__, script=scripts[1],
        style=_source("page.css"), data=data)


def _source(name):
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _script():
    """The page's own script: a function around all parts, which share their names."""
    parts = "\n".join(_source(f"{name}.js") for name in SCRIPTS)
    return f'(async () => {{\n"use strict";\n{parts}}})();'


@cache
def _charts():
    """Vega, Vega-Lite and Vega-Embed as one script that gives the page `vegaEmbed` and nothing else."""
    # Here, since it takes longer than the rest of the command line does to start.
    import vl_convert

    return f"(() => {{{vl_convert.javascript_bundle('window.vegaEmbed = vegaEmbed;')}}})();"


def _digest(script):
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _packed(text):
    """A text compressed, in letters that cannot end the element that holds them."""
    return base64.b64encode(zlib.compress(text.encode("utf-8", "backslashreplace"), 6)).decode()
