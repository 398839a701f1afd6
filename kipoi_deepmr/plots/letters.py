"""The four bases as outlines in a box of 1 by 1, for letters that are as tall as effects."""

from functools import cache

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath

# Okabe and Ito's colours, which colour-blind readers tell apart
COLOURS = {"A": "#009e73", "C": "#0072b2", "G": "#e69f00", "T": "#d55e00"}


@cache
def outline(letter):
    """A letter as a matplotlib Path whose x and y run from 0 to 1."""
    path = TextPath((0, 0), letter, size=100, prop=FontProperties(family="DejaVu Sans", weight="bold"))
    box = path.get_extents()
    return Path(np.clip((path.vertices - (box.x0, box.y0)) / (box.width, box.height), 0, 1), path.codes)
