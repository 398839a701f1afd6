"""Differences of mutants from the reference, carried through the rows of a graph: the compiled interpreter.

A program (see program.py) is a list of instructions. The result of one is the difference that one mutant makes to a
node's value, and lives in a slot of a buffer: only a window of its rows [first, last) changes at all. Rows just outside
the window are kept at zero, since blocks of rows overrun it.
"""

import numpy as np

from ..compiled import compiled_fast as compiled
from ..compiled import compiled_inline
from .convolutions import conv, conv_awake, lookup, narrow
from .instructions import Inputs, Kind, Mutant, Places, Results, Scratch
from .rows import activation, base_difference, clear, whole_rows
from .sinks import sink


@compiled
def windows(program: np.ndarray, start: int, stop: int, first: np.ndarray, last: np.ndarray) -> None:
    """Changed rows [first, last) of every instruction's result, for a mutant of bases [start, stop)."""
    for q in range(len(program)):
        r = program[q]
        kind = r.kind
        if kind == Kind.BASE or kind == Kind.LOOKUP:
            a, b = start, stop
        else:
            a, b = first[r.x], last[r.x]
        if (kind == Kind.LOOKUP or kind == Kind.CONV or kind == Kind.NARROW or kind == Kind.MAX_POOL
                or kind == Kind.AVERAGE_POOL):
            if a < b:
                a = -((-(a + r.before - (r.width - 1) * r.dilation)) // r.stride)
                b = (b - 1 + r.before) // r.stride + 1
        elif kind == Kind.CROP:
            a, b = a - r.before, b - r.before
        elif kind == Kind.REPEAT or kind == Kind.UNFOLD:
            a, b = a * r.times, b * r.times
        elif kind == Kind.FOLD:
            a, b = a // r.times, -(-b // r.times)
        elif kind == Kind.SPREAD:
            a, b = a * r.times, (b - 1) * r.times + 1
        elif kind == Kind.REVERSE and a < b:
            a, b = r.n_rows - b, r.n_rows - a
        if r.x2 >= 0:
            a2, b2 = first[r.x2], last[r.x2]
            if a2 < b2:
                a, b = (min(a, a2), max(b, b2)) if a < b else (a2, b2)
        a, b = max(a, r.low), min(b, r.high)
        if a >= b:
            a, b = 0, 0
        first[q], last[q] = a, b


@compiled
def hulls(program: np.ndarray, starts: np.ndarray, stops: np.ndarray, first: np.ndarray, last: np.ndarray) -> None:
    """Rows [first, last) of every instruction's result that some mutant of bases [start, stop) changes."""
    a, b = np.empty_like(first), np.empty_like(last)
    first[:], last[:] = 0, 0
    for p in range(len(starts)):
        windows(program, starts[p], stops[p], a, b)
        for q in range(len(program)):
            if a[q] < b[q]:
                first[q] = min(first[q], a[q]) if first[q] < last[q] else a[q]
                last[q] = max(last[q], b[q])


@compiled
def propagate(places: Places, inputs: Inputs, scratch: Scratch, results: Results) -> None:
    """Differences of all mutants of some places in all sinks, sequence by sequence.

    Parameters
    ----------
    places : Places
    inputs : Inputs
    scratch : Scratch
    results : Results
        Filled.
    """
    for i in range(len(inputs.bases)):
        _of_one(Places(places.starts, places.stops, places.letters[i]),
                Inputs(inputs.program, inputs.weights, inputs.z[i], inputs.bases[i], inputs.letters), scratch,
                Results(results.sums[i], results.rows[i]))


@compiled
def _of_one(places, inputs, scratch, results):
    """Differences of all mutants of some places of one sequence in all sinks."""
    program, firsts, lasts = inputs.program, scratch.firsts, scratch.lasts
    size = len(scratch.buffers) // (3 * len(firsts))
    for begin in range(0, len(places.starts), len(firsts)):
        n = min(len(firsts), len(places.starts) - begin)
        for p in range(n):
            windows(program, places.starts[begin + p], places.stops[begin + p], firsts[p], lasts[p])
        for q in range(len(program)):
            r = program[q]
            if r.kind == Kind.CONV and r.awake > 0:
                for p in range(n):
                    conv_awake(q, p, size, inputs, scratch)
            elif r.kind == Kind.CONV:
                conv(q, n, size, inputs, scratch)
            for p in range(n):
                first, last = firsts[p], lasts[p]
                for m in range(3):
                    base = (3 * p + m) * size
                    if r.kind >= Kind.SUM:
                        i = 3 * (begin + p) + m
                        sink(r, first[q], last[q], base, i, inputs, scratch, results)
                    elif first[q] < last[q]:
                        mutant = Mutant(places.starts[begin + p], places.stops[begin + p],
                                        places.letters[begin + p, m], base, first, last)
                        _step(q, mutant, inputs, scratch)


@compiled_inline
def _step(q, mutant, inputs, scratch):
    """One instruction for one mutant, or what is left of it after a convolution."""
    r, buffers = inputs.program[q], scratch.buffers
    a, b = mutant.first[q], mutant.last[q]
    y = mutant.base + r.slot
    if r.kind == Kind.BASE:
        base_difference(r, a, b, mutant, inputs, buffers)
    elif r.kind == Kind.LOOKUP:
        lookup(r, a, b, mutant, inputs, buffers)
    elif r.kind == Kind.NARROW:
        narrow(r, mutant, inputs, scratch)
    elif r.kind != Kind.CONV:
        whole_rows(r, a, b, mutant, inputs, buffers)
    if r.activation >= 0:
        activation(r, y + a * r.channels, r.z + a * r.channels, (b - a) * r.channels, inputs, buffers)
    margin = r.margin * r.channels
    clear(buffers, y + a * r.channels - margin, margin)
    clear(buffers, y + b * r.channels, margin)
