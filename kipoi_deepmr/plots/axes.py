"""What figures have in common: Axes of their own where none are given, and files that only depend on what they show."""

import contextlib
import io
import os
import warnings

import matplotlib
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from ..errors import InputError
from .letters import letters_that_fonts_have

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "0.7"
# what lowers the outcome is orange, what raises it blue: in heat maps, in the network, on the page of the report
OF_EFFECTS = LinearSegmentedColormap.from_list("effects", [ORANGE, "0.97", BLUE])
SPREAD = "#e69f00"
# Okabe and Ito's colours, which colour-blind readers tell apart
CYCLE = (BLUE, ORANGE, "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "0.35")
# metadata without the time of writing; PNG names us, so that we know our own files
FORMATS = {".png": {"Software": "kipoi_deepmr"}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}


def axes_of(ax, width, height):
    """`ax`, or the Axes of a new figure of so many inches."""
    return Figure(figsize=(width, height), layout="constrained").add_subplot() if ax is None else ax


def check_path(path):
    """The extension of a figure's file.

    Raises
    ------
    InputError
        It is none of .png, .pdf and .svg.
    """
    extension = os.path.splitext(path)[1].lower()
    if extension not in FORMATS:
        raise InputError(f"-o {path}: a figure's name ends in {', '.join(FORMATS)}")
    return extension


def save(figure, path, extension=None, dpi=300):
    """Write a figure as PNG, PDF or SVG; the same figure gives the same bytes.

    In PNG and PDF, letters that the font lacks are written as escapes; SVG holds the text itself.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : str
    extension : str, optional
        What the format is chosen by; that of `path` by default.
    dpi : int
        Dots an inch of PNG.
    """
    extension = extension or check_path(path)
    # fonts as text that journals can edit; ids in SVG that are the same each time
    settings = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "kipoi_deepmr"}
    as_drawn = contextlib.nullcontext() if extension == ".svg" else letters_that_fonts_have(figure)
    with matplotlib.rc_context(settings), as_drawn, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # whose size SVG measures as a box
        image = io.BytesIO()  # in memory first: of a full disk, matplotlib's PDF writer gives another reason
        figure.draw_without_rendering()  # ticks depend on the room that the layout leaves, and it on the ticks
        figure.savefig(image, format=extension[1:], dpi=dpi, metadata=FORMATS[extension])
    with open(path, "wb") as file:
        file.write(image.getbuffer())
