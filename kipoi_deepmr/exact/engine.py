"""Predictions of mutants of a sequence, from the differences that they make."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from .. import dna
from ..compiled import is_cached
from ..errors import InputError
from ..threads import limited, mapped, single_threaded_blas
from . import graph as g
from .dormant import with_sleepers
from .heads import Heads, saved_values
from .instructions import ADDRESSES, INSTRUCTION, TAP, Inputs, Kind, Places, Results, Scratch
from .kernels import ROWS
from .normal import normalise
from .places import places_of, runs, single_places
from .program import build
from .propagate import hulls, propagate
from .reference import evaluate
from .splitting import AfterCut

BLOCK = 50  # places whose mutants go through the heads together
BLOCK_BYTES = 1 << 26  # of the activations at the cut of a split graph that go through what follows together
TOGETHER_BYTES = 1 << 22  # of the values of sequences that go through the network together, and through the heads
MOST_TOGETHER = 32  # such sequences
FEWEST = 20  # places that go through the heads together
MOST_WINDOWS = 8  # of outputs that may have programs of their own
N_SAMPLED = 64  # places by which the work of a program is estimated
GROUP_BYTES = 1 << 19  # of buffers of mutants that share a pass over the weights: what a core's cache holds

logger = logging.getLogger("kipoi_deepmr")


@dataclass(frozen=True)
class Output:
    """What to compute of one output of a graph.

    Attributes
    ----------
    name : str
        Of the node.
    summary : str or None
        Of an output with positions: one of graph.SUMMARIES, over the positions of each channel; None: all its values,
        position by position.
    window : (int, int) or None
        Positions [start, end) of the output that count; None: all.
    """

    name: str
    summary: str | None = None
    window: tuple | None = None


class Engine:
    """Predicts all mutants of a sequence.

    Parameters
    ----------
    graph : Graph
    outputs : list of Output or str, optional
        In the order of the columns; all outputs of the graph by default. Nothing else is computed.
    threads : int
        Over mutated positions, at most; fewer where `kipoi_deepmr.threads` allows fewer. Last bits depend on whether it
        is one, not on how many threads there are.

    Raises
    ------
    UnknownLayer
        The graph holds something that the engine cannot follow. Where it has no length, `mutants` raises it.
    """

    def __init__(self, graph: g.Graph, outputs: Sequence[Output | str] | None = None, threads: int = 1):
        outputs = [Output(o) if isinstance(o, str) else o for o in (outputs or graph.outputs)]
        self._graph, self._outputs, self._threads = graph, outputs, threads
        self._plans = {}
        if graph.length is not None:
            self._parts(graph.length)

    def mutants(self, sequence: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
        """Outputs of a sequence and of all its single mutants, or of those of some positions.

        Parameters
        ----------
        sequence : (L,) uint8
            Upper-case A, C, G, T.
        positions : array of int, optional
            Mutated positions from 0, ascending; all by default.

        Returns
        -------
        (1 + 3 L, output) float32
            The reference first, then the mutants in the order of mutagenesis.saturation_mutants; L is the number of
            mutated positions.

        Raises
        ------
        InputError
            A letter is none of the four, or `positions` are not ascending positions of the sequence.
        """
        return self.mutants_of(np.asarray(sequence)[None], positions)[0]

    def mutants_of(self, sequences: np.ndarray, positions: np.ndarray | None = None) -> np.ndarray:
        """`mutants` of several sequences of one length: of short ones, many go through the network together.

        Parameters
        ----------
        sequences : (n, L) uint8
        positions : array of int, optional

        Returns
        -------
        (n, 1 + 3 L, output) float32
            As `mutants` gives them one by one, to 1e-6 of an output's largest value.
        """
        sequences = np.asarray(sequences, np.uint8)
        bases = _numbers(sequences)
        return self._at(sequences, bases, single_places(bases, positions))

    def changed(self, sequence: np.ndarray, mutants: np.ndarray) -> np.ndarray:
        """Outputs of a sequence and of others that differ from it.

        It takes the longer, the further apart their first and last differences are.

        Parameters
        ----------
        sequence : (L,) uint8
            Upper-case A, C, G, T.
        mutants : (n, L) uint8
            In any order, with any differences; those that differ in the same places go fastest in a row.

        Returns
        -------
        (1 + n, output) float32
            The reference first.

        Raises
        ------
        InputError
            A letter is none of the four.
        """
        bases = _numbers(sequence)
        places, rows = places_of(bases, _numbers(mutants))
        return self._at(np.asarray(sequence, np.uint8)[None], bases[None], places)[0, np.r_[0, 1 + rows]]

    def _at(self, sequences, bases, places):
        """The references' outputs, and those of the three mutants of each place: (n, 1 + 3 places, output)."""
        parts = self._parts(sequences.shape[1])
        if not (propagate.signatures or is_cached(propagate)):
            logger.warning("compiling the mutagenesis engine for this machine (once, about half a minute)")
        with single_threaded_blas:
            found = [plan.mutants(sequences, bases, places) for _, plan in parts]
        return found[0] if len(parts) == 1 else _in_order(parts, found)

    def _parts(self, length):
        """The programs by which the outputs are computed: list of (outputs' numbers, plan)."""
        if length not in self._plans:
            together = list(range(len(self._outputs)))
            by_window = {}
            for number, output in enumerate(self._outputs):
                by_window.setdefault(output.window, []).append(number)
            if self._graph.rest or not 1 < len(by_window) <= MOST_WINDOWS:
                self._plans[length] = [(together, self._plan(together, length))]
            else:
                self._plans[length] = self._by_windows(list(by_window.values()), length)
        return self._plans[length]

    def _by_windows(self, groups, length):
        """Outputs of different windows, together where that is less work than one after the other.

        Of a dilated network for one position every 25th row counts; for two positions all rows may, which is more work
        than to take the two in turn.
        """
        parts = []
        for numbers in groups:
            plan = self._plan(numbers, length)
            for i, (others, other) in enumerate(parts):
                joined = sorted(others + numbers)
                both = self._plan(joined, length)
                if both.work() <= other.work() + plan.work():
                    parts[i] = joined, both
                    break
            else:
                parts.append((numbers, plan))
        return parts

    def _plan(self, numbers, length):
        """The plan for some of the outputs."""
        graph, outputs, after = self._graph, [self._outputs[number] for number in numbers], None
        if graph.rest:
            after = AfterCut(graph, outputs, length)
            graph, outputs = after.before, [Output(name) for name in after.cut]
        graph, names = _with_summaries(graph, outputs, length)
        return _Plan(graph, names, length, self._threads, after)


def _numbers(sequences):
    """Letters as numbers, 0 to 3 in the order of `dna.BASES`: uint8 of the same shape."""
    sequences = np.asarray(sequences, np.uint8)
    if dna.is_ambiguous(sequences).any():
        at = int(dna.is_ambiguous(sequences).argmax())
        letter = dna.decode(sequences.reshape(-1)[at:at + 1])
        raise InputError(f"base {at % sequences.shape[-1] + 1} of the sequence is {letter}, not A, C, G or T")
    return np.searchsorted(dna.BASES, sequences).astype(np.uint8)


def _in_order(parts, found):
    """Columns of several plans in the order of the outputs."""
    columns = {}
    for (numbers, plan), values in zip(parts, found, strict=True):
        ends = np.cumsum([0, *plan.sizes])
        columns.update({number: values[..., start:end] for number, (start, end) in zip(numbers, pairwise(ends),
                                                                                     strict=True)})
    return np.concatenate([columns[number] for number in sorted(columns)], axis=-1)


def _with_summaries(graph, outputs, length):
    """The graph with its outputs as vectors, and their names."""
    nodes, names = list(graph.nodes), []
    shapes = g.shapes(graph.ancestors([output.name for output in outputs]), length)
    for i, output in enumerate(outputs):
        name, shape = output.name, shapes[output.name]
        if len(shape) == 2:
            if output.window is not None:
                start, end = output.window
                nodes.append(g.Node(f"{name}/window{i}", g.Crop(start, shape[0] - end), (name,)))
                name = nodes[-1].name
            layer = g.Summary(output.summary) if output.summary else g.Flatten()
            nodes.append(g.Node(f"{name}/summary{i}", layer, (name,)))
            name = nodes[-1].name
        names.append(name)
    return replace(graph, nodes=tuple(nodes), outputs=tuple(names)), names


class _Plan:
    """All that is ready before a sequence of one length comes; `after` computes the outputs of a split graph."""

    def __init__(self, graph, names, length, threads, after=None):
        self.after = after
        self.normal = normalise(graph, names, length)
        self.program = build(self.normal)
        self.heads = Heads(self.normal, self.program)
        self.kept = self.program.needed | {name for name in self.normal.nodes if not self.normal.is_rows(name)}
        self.sizes = [self.normal.shapes[name][0] for name in self.normal.outputs]
        self.rows_out = np.flatnonzero(self.program.table["kind"] == int(Kind.ROWS_OUT))
        self.length = length
        letters = np.frombuffer(graph.alphabet.encode(), np.uint8)
        self.letters = letters
        self.channels_of_letters = np.array([int(np.flatnonzero(letters == base)[0]) for base in dna.BASES], np.int64)
        self.threads, self.group = threads, self.places_at_once()
        self.n_at_once, self.block_size = self.together()

    def mutants(self, sequences, bases, places):
        """Of all sequences, as many at once as `together` allows."""
        step, found = self.n_at_once, []
        for start in range(0, len(sequences), step):
            some = slice(start, start + step)
            found.append(self.at_once(sequences[some], bases[some], places._replace(letters=places.letters[some])))
        return np.concatenate(found) if len(found) > 1 else found[0]

    def together(self):
        """How many sequences go through the network at once, and how many places of these through the heads.

        As many as the cache holds the values of, since all that is saved is time between small steps.
        """
        block = BLOCK if self.threads > 1 or len(self.rows_out) else 2 * BLOCK
        if self.program.can_sleep or self.after:  # each has a program of its own, or fills a batch alone
            return 1, block
        sizes = {name: math.prod(self.normal.shapes[name]) for name in self.normal.nodes}
        vectors = sum(size for name, size in sizes.items() if not self.normal.is_rows(name))
        flattened = int((self.program.table["real"] * self.program.table["n_rows"])[self.rows_out].sum())
        a_place = 3 * (8 * (self.program.sum_columns + vectors) + 4 * flattened)
        n = int(np.clip(TOGETHER_BYTES // max(8 * sum(sizes.values()), FEWEST * a_place), 1, MOST_TOGETHER))
        return n, block if n == 1 else int(np.clip(TOGETHER_BYTES // (n * a_place), FEWEST, block))

    def at_once(self, sequences, bases, places):
        """Of as many sequences as the cache holds the values of."""
        n = len(sequences)
        one_hot = dna.one_hot(sequences, self.letters.tobytes().decode())
        values = evaluate(self.normal.nodes.values(), self.normal.shapes, one_hot, self.kept)
        table, z = self.program.table, saved_values(self.program, self.normal, values, n)
        if self.program.can_sleep:
            values_of_one = {name: values[name][0] for name, _ in self.program.can_sleep.values()}
            table, z = with_sleepers(self.program, values_of_one, z[0])
            z = z[None]
        inputs = Inputs(table, self.program.weights, z, bases, self.channels_of_letters)
        reference = np.concatenate([np.broadcast_to(values[name], (n, size)) for name, size in zip(
            self.normal.outputs, self.sizes, strict=True)], axis=1)
        block = self.block_size
        if self.after:
            block = int(np.clip(BLOCK_BYTES // (3 * reference.nbytes), 1, block))
            reference = self.after(reference)
        out = np.empty((n, 1 + 3 * len(places.starts), reference.shape[1]), np.float32)
        out[:, 0] = reference
        pieces = [piece for first, last in runs(places) for piece in pairwise(
            np.linspace(first, last, 1 + max(1, round((last - first) / block))).astype(int).tolist())]
        unused = [self.scratch() for _ in range(min(self.threads, len(pieces)))]

        def run(first, last):
            scratch = unused.pop()
            piece = Places(places.starts[first:last], places.stops[first:last],
                           np.ascontiguousarray(places.letters[:, first:last]))
            out[:, 1 + 3 * first:1 + 3 * last] = self.block(piece, inputs, values, scratch)
            unused.append(scratch)

        with limited(self.threads):
            mapped(run, *zip(*pieces, strict=True))
        return out

    def places_at_once(self):
        """How many places' mutants pass a layer together: as many as the cache holds the changed rows of."""
        table, ends = self.program.table, self.rows_of(self.length // 2)
        size = 12 * int(((ends[1] - ends[0]) * table["channels"])[table["kind"] < Kind.SUM].sum())
        return int(np.clip(GROUP_BYTES // max(size, 1), 1, 8))

    def rows_of(self, position):
        """Rows [first, last) of every instruction's result that a mutation changes: (2, instruction) int64."""
        ends = np.empty((2, len(self.program.table)), np.int64)
        hulls(self.program.table, np.array([position]), np.array([position + 1]), *ends)
        return ends

    def work(self):
        """Multiplications for the mutants of some positions, about."""
        table = self.program.table
        is_conv = np.isin(table["kind"], (int(Kind.CONV), int(Kind.NARROW)))
        each = table["channels"] * np.where(is_conv, table["width"] * table["channels"][table["x"]], 1)
        total = 0
        for position in np.linspace(0, self.length - 1, N_SAMPLED).astype(int):
            ends = self.rows_of(position)
            total += int(((ends[1] - ends[0]) * each)[table["kind"] < Kind.SUM].sum())
        return total

    def scratch(self):
        """What a thread works in."""
        program = self.program
        firsts, lasts = np.empty((2, self.group, len(program.table)), np.int64)
        return Scratch(np.empty(self.group * 3 * max(1, program.buffer_size), np.float32), firsts, lasts,
                       np.empty(program.n_taps, TAP), np.zeros(ROWS, ADDRESSES), np.empty(program.n_work, np.float32))

    def block(self, places, inputs, values, scratch):
        """Outputs of all mutants of some places: (sequence, mutant, output)."""
        n, n_mutants = len(inputs.bases), 3 * len(places.starts)
        table, spans, width = self.spans(inputs.program, places)
        sums = np.empty((n, n_mutants, self.program.sum_columns))
        results = Results(sums, np.empty((n, n_mutants, width), np.float32))
        propagate(places, inputs._replace(program=table), scratch, results)
        found = self.heads.outputs(values, results.sums, results.rows, spans)
        return self.after(found[0]) if self.after else found

    def spans(self, table, places):
        """The program with room for the flattened rows that some mutant of the block changes."""
        if not len(self.rows_out):
            return table, {}, 0
        # as integers, since numpy copies records field by field
        table, spans, width = table.view(np.int64).copy().view(INSTRUCTION), {}, 0
        ends = np.empty((2, len(table)), np.int64)
        hulls(table, places.starts, places.stops, *ends)
        for q in self.rows_out:
            first, last = ends[:, q]
            n_values = (last - first) * table["real"][q]
            table["column"][q], table["first_row"][q], table["n_values"][q] = width, first, n_values
            spans[q] = (width, first, last)
            width += n_values
        return table, spans, width
