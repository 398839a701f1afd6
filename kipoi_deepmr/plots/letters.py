"""Letters: the four bases as outlines, as tall as effects; those of names that a font lacks, as escapes."""

import contextlib
from functools import cache, partial

import numpy as np
from matplotlib.axis import Axis
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.textpath import TextPath
from matplotlib.ticker import FuncFormatter

# Okabe and Ito's colours, which colour-blind readers tell apart
COLOURS = {"A": "#009e73", "C": "#0072b2", "G": "#e69f00", "T": "#d55e00"}


@cache
def outline(letter):
    """A letter as a matplotlib Path whose x and y run from 0 to 1."""
    path = TextPath((0, 0), letter, size=100, prop=FontProperties(family="DejaVu Sans", weight="bold"))
    box = path.get_extents()
    return Path(np.clip((path.vertices - (box.x0, box.y0)) / (box.width, box.height), 0, 1), path.codes)


@contextlib.contextmanager
def letters_that_fonts_have(figure):
    """A context in which letters that the font of a figure's text lacks are escapes, and not all the same box."""
    texts = [(text, text.get_text()) for text in figure.findobj(Text)]
    axes = [(axis, axis.get_major_formatter()) for axis in figure.findobj(Axis)]
    axes = [(axis, formatter) for axis, formatter in axes if isinstance(formatter, FuncFormatter)]
    for text, before in texts:
        text.set_text(with_escapes(before, text.get_fontproperties()))
    for axis, formatter in axes:  # which writes the ticks' text anew each time that it is drawn
        font = axis.get_ticklabels()[0].get_fontproperties() if axis.get_ticklabels() else FontProperties()
        axis.set_major_formatter(FuncFormatter(partial(_formatted, formatter, font)))
    try:
        yield
    finally:
        for text, before in texts:
            text.set_text(before)
        for axis, formatter in axes:
            axis.set_major_formatter(formatter)


def with_escapes(text, font):
    """A text in which letters that a font (FontProperties) lacks are written as Python escapes them."""
    if text.isascii():
        return text
    known = set()
    for family in font.get_family():
        one = font.copy()
        one.set_family(family)
        known |= _letters_in(findfont(one))
    return "".join(letter if ord(letter) in known or letter.isascii() else letter.encode("unicode_escape").decode()
                   for letter in text)


def _formatted(formatter, font, value, position):
    return with_escapes(formatter(value, position), font)


@cache
def _letters_in(path):
    return frozenset(get_font(path).get_charmap())
