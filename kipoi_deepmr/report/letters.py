"""The four bases as SVG paths, for tracks whose letters are as tall as effects."""

from ..dna import ALPHABET
from ..plots.letters import outline

COMMANDS = {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}  # matplotlib.path.Path's codes as SVG has them


def outlines():
    """SVG paths by letter: x from 0 to 1, y from 0 (the foot) to -1 (the head), as SVG counts downwards."""
    return {letter: "".join(_commands(outline(letter))) for letter in ALPHABET}


def _commands(path):
    for points, code in path.iter_segments():
        points = points.reshape(-1, 2).round(3) * (1, -1) + 0.0
        yield COMMANDS[int(code)] + ("" if code == 79 else " ".join(f"{x:g},{y:g}" for x, y in points))
