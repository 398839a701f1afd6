"""What the compiled interpreter takes: the program's instructions, a record each, and its other arrays, by name."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from .kernels import LINEAR

AWAKE_CHANNELS, SLEEPY_CHANNELS = 32, 64  # of a convolution that may be shortened: see dormant.py


class Kind(IntEnum):
    """What an instruction computes; from SUM on, a vector that leaves the rows."""

    BASE = 0
    LOOKUP = 1
    CONV = 2
    NARROW = 3
    ACT = 4
    SCALE = 5
    SCALE_ROWS = 6
    ADD = 7
    MULTIPLY = 8
    CONCATENATE = 9
    MAX_POOL = 10
    AVERAGE_POOL = 11
    CROP = 12
    REPEAT = 13
    SPREAD = 14
    SOFTMAX = 15
    REVERSE = 16
    FOLD = 17
    UNFOLD = 18
    SUM = 19
    MAX = 20
    SOFTMAX_MEAN = 21
    LOG_SUM_EXP = 22
    ATTEND = 23
    ROWS_OUT = 24


@dataclass
class Instruction:
    """One instruction of a program; `INSTRUCTION` is the same as the compiled code reads it.

    Inputs are rows of the program, offsets count floats.
    """

    kind: int
    x: int = -1  # the inputs
    x2: int = -1
    slot: int = 0  # where row 0 of the result lies in a mutant's buffer
    channels: int = 0  # of the result, padded
    real: int = 0  # of these, those that are not padding
    n_rows: int = 0  # of the node, or of a sink's input
    low: int = 0  # rows [low, high) of the result are needed
    high: int = 0
    margin: int = 0  # rows of zeros that the result has on either side
    width: int = 1  # of a kernel or a pool, in rows
    stride: int = 1
    dilation: int = 1
    before: int = 0  # rows of padding before the first, or that a crop takes off
    times: int = 1  # of REPEAT, SPREAD, FOLD and UNFOLD; of SOFTMAX the size of its groups
    inner: int = 1  # of FOLD, UNFOLD and SOFTMAX: see the layers in graph.py
    count_padding: int = 0  # of AVERAGE_POOL
    weight: int = -1  # offset among the weights
    z: int = 0  # offsets among the reference's values
    z2: int = -1
    activation: int = -1  # an ActivationKind, none: -1
    alpha: int = 0  # offset of alpha and beta among the weights
    mode: int = LINEAR  # of a convolution: see kernels.conv_block
    awake: int = 0  # these four: offsets in z, see dormant.with_sleepers; 0 of a convolution that computes all channels
    awake_weight: int = 0
    bound: int = 0
    places: int = 0
    column: int = 0  # of a sink: its first column among the results
    first_channel: int = 0  # of its input
    first_row: int = 0  # of ROWS_OUT, for one block of mutants: the first row of its input that changes
    n_values: int = 0  # and how many values there are


INSTRUCTION = np.dtype([(field.name, np.int64) for field in fields(Instruction)])
TAP = np.dtype([("offset", np.int64), ("weights", np.int64)])
ADDRESSES = np.dtype([(name, np.int64) for name in ("x", "z", "residual", "y")])


def as_table(instructions: Sequence[Instruction]) -> np.ndarray:
    """Instructions as an array (instruction,) INSTRUCTION."""
    return np.array([astuple(each) for each in instructions], INSTRUCTION)


class Inputs(NamedTuple):
    """What is only read.

    Attributes
    ----------
    program : (instruction,) INSTRUCTION
    weights : (n,) float32
    z : (n,) float32, or (sequence, n)
        The reference's values: see heads.saved_values.
    bases : (L,) uint8, or (sequence, L)
        The sequence as numbers of its letters, 0 to 3 by the letters' alphabetical order.
    letters : (4,) int64
        Channel of each letter.
    """

    program: np.ndarray
    weights: np.ndarray
    z: np.ndarray
    bases: np.ndarray
    letters: np.ndarray


class Scratch(NamedTuple):
    """Arrays that a thread works in.

    Attributes
    ----------
    buffers : (group * 3 * buffer,) float32
        Room for the mutants that go through an instruction together: the three of each place of a group.
    firsts, lasts : (group, instruction) int64
        Changed rows [first, last) of each result.
    taps : (the widest kernel,) TAP
    addresses : (ROWS,) ADDRESSES
    work : (the program's n_work,) float32
    """

    buffers: np.ndarray
    firsts: np.ndarray
    lasts: np.ndarray
    taps: np.ndarray
    addresses: np.ndarray
    work: np.ndarray


class Results(NamedTuple):
    """What is filled, in the order of places and of the three mutants of each.

    Attributes
    ----------
    sums : (mutant, column) float64, or (sequence, mutant, column)
        Differences of summaries.
    rows : (mutant, column) float32, or (sequence, mutant, column)
        Differences of flattened rows; each sink has its own columns.
    """

    sums: np.ndarray
    rows: np.ndarray


class Places(NamedTuple):
    """Stretches of the sequence, each with three mutants that change nothing outside it.

    Attributes
    ----------
    starts, stops : (place,) int64
        Bases [start, stop) of each stretch; ascending starts.
    letters : (place, 3, longest) uint8, or (sequence, place, 3, longest)
        What the mutants have there, as numbers of letters like `Inputs.bases`.
    """

    starts: np.ndarray
    stops: np.ndarray
    letters: np.ndarray


class Mutant(NamedTuple):
    """One mutant on its way through the program.

    Attributes
    ----------
    start, stop : int
        Bases that may change.
    letters : (longest,) uint8
        What it has there.
    base : int
        Where its buffer begins.
    first, last : (instruction,) int64
        Changed rows [first, last) of each result.
    """

    start: int
    stop: int
    letters: np.ndarray
    base: int
    first: np.ndarray
    last: np.ndarray
