"""Styles of figures: how wide they are and how large their text is."""

import contextlib
import os

import matplotlib
from matplotlib import style as mpl_style

from ..errors import InputError, nearest

MM = 1 / 25.4  # inches
SMALLEST = 5.0  # points; smaller text cannot be read in print
_LINES = ("axes.linewidth", "xtick.major.width", "ytick.major.width")
# width in mm (a journal's column, a page, a slide), size of text and lines in points
_OURS = {"paper": (89, 7.0, 0.6), "notebook": (165, 9.0, 0.8), "talk": (254, 16.0, 1.2)}
STYLES = tuple(_OURS)


@contextlib.contextmanager
def styled(style, width=None):
    """A context in which figures have a style.

    Parameters
    ----------
    style : str
        One of `STYLES`, a style that matplotlib knows, or a file of such settings.
    width : float, optional
        Of the figure in mm; by default that of the style.

    Yields
    ------
    float
        The width in inches.

    Raises
    ------
    InputError
        There is no such style, or its file cannot be read.
    """
    with matplotlib.rc_context():
        if style in _OURS:
            mm, points, line = _OURS[style]
            matplotlib.rcParams.update({
                "figure.figsize": (mm * MM, 0.8 * mm * MM), "font.size": points, "xtick.labelsize": "small",
                "ytick.labelsize": "small", "legend.handlelength": 1.5, **dict.fromkeys(_LINES, line)})
        else:
            _use(style)
        yield width * MM if width else matplotlib.rcParams["figure.figsize"][0]


def _use(style):
    # by name or from a file alone: matplotlib would also fetch an address
    if style not in mpl_style.available and not os.path.isfile(style):
        raise InputError(f"--style {style}: no such file, and no style of that name"
                         f"{nearest(style, [*STYLES, *mpl_style.available])}")
    try:
        mpl_style.use(style)
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise InputError(f"--style {style}: not a matplotlib style file: {str(error).splitlines()[0]}") from None


def small():
    """Points of names and numbers, smaller than other text."""
    return max(6.0, 0.7 * matplotlib.rcParams["font.size"])


def ink():
    """The colour of text, which a dark style makes light."""
    return matplotlib.rcParams["text.color"]


def background():
    """The colour behind a figure."""
    return matplotlib.rcParams["figure.facecolor"]


def inches_of(letters, points):
    """The width of so many letters, or a little less."""
    return 0.6 * letters * points / 72
