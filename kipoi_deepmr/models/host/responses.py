"""How marks change with what a network answers, through the Python that its model adds to the answer."""

import numpy as np

from . import nested
from .errors import ModelError
from .tensors import as_array

STEP = 1e-3  # of differences, relative to numbers above 1: small against curvature, large against float32
MOST_DIFFERENCES = 2500  # numbers in an answer whose differences are taken: their cost goes with the square
ROWS_AT_ONCE = 512


class Responses:
    """The derivative of marks by a network's outputs.

    Where the model hands on what its network answers, it is that of the marks' summaries alone; where the model is a
    BPNet with expected counts, its formula; else it is taken by differences, the model's Python being run on answers
    that are a little changed.

    Parameters
    ----------
    model : Kipoi model
    marks : marks.Marks
    network : gradients.DifferentiableNetwork
    """

    def __init__(self, model, marks, network):
        self._model, self._marks, self._network = model, marks, network
        self._known = None

    def slopes(self, call, sequence, outputs):
        """Derivatives of all marks at outputs of n points.

        Parameters
        ----------
        call : callable
            From sequences to a function that asks the model about them.
        sequence : (L,) uint8
        outputs : list of (n, ...) array

        Returns
        -------
        callable
            From the number of a mark to a list of arrays of the outputs' shapes.

        Raises
        ------
        ModelError
            The model's Python makes too much of its network's answer.
        """
        n = len(outputs[0])
        ask = call(np.repeat(sequence[None], n, axis=0))
        answered = self._network.answering(ask, outputs)
        self._marks.values(answered, n)  # refuses what lies outside the domain of a scale
        self._known = self._known or self._find(ask, outputs, answered)
        if callable(self._known):
            return lambda mark: self._known(outputs, self._marks.slopes(answered, n, mark))
        return self._differences(call, sequence, outputs)

    def _find(self, ask, outputs, answered):
        """How derivatives by the model's answer become those by the network's outputs, or "differences"."""
        passed_on = self._passed_on(ask, outputs)
        if passed_on is not None:
            return lambda outputs, slopes: [
                np.zeros(output.shape) if k not in passed_on else slopes[passed_on.index(k)].reshape(output.shape)
                for k, output in enumerate(outputs)]
        if _is_bpnet(outputs, answered):
            return _bpnet_slopes
        n_numbers = sum(output[0].size for output in outputs)
        if n_numbers > MOST_DIFFERENCES:
            raise ModelError(f"its class {type(self._model).__name__} computes on the {n_numbers} numbers that its "
                             "network answers, in Python that no framework differentiates")
        return "differences"

    def _passed_on(self, ask, outputs):
        """Which output each array of the model's answer is, if it is one of them as it was; else None."""
        random = np.random.RandomState(0)
        tried = [random.standard_normal(output.shape).astype(output.dtype) for output in outputs]
        try:
            with np.errstate(all="ignore"):
                found = [as_array(value).ravel() for _, value in nested.leaves(self._network.answering(ask, tried))]
        except Exception:  # of the model's own Python, which may refuse numbers that its network never gives
            return None
        known = [next((k for k, one in enumerate(tried) if np.array_equal(one.ravel(), value)), None)
                 for value in found]
        return None if None in known or len(set(known)) < len(known) else known

    def _differences(self, call, sequence, outputs):
        slopes = [np.empty((len(self._marks.names),) + output.shape) for output in outputs]
        for point in range(len(outputs[0])):
            found = self._differences_at(call, sequence, [output[point].astype(np.float64) for output in outputs])
            first = 0
            for slope in slopes:
                size = slope[0, 0].size
                slope[:, point] = found[first:first + size].T.reshape(slope[:, point].shape)
                first += size
        return lambda mark: [slope[mark] for slope in slopes]

    def _differences_at(self, call, sequence, outputs):
        """Derivatives at one point: (numbers, marks)."""
        at = np.concatenate([output.ravel() for output in outputs])
        steps = STEP * np.maximum(1, np.abs(at))
        found = []
        for first in range(0, len(at), ROWS_AT_ONCE // 2):
            chosen = np.arange(first, min(first + ROWS_AT_ONCE // 2, len(at)))
            moved = np.zeros((len(chosen), len(at)))
            moved[np.arange(len(chosen)), chosen] = steps[chosen]
            rows = np.concatenate([at + moved, at - moved])
            parts = np.split(rows, np.cumsum([output.size for output in outputs])[:-1], axis=1)
            answers = [part.reshape((len(rows),) + output.shape) for part, output in zip(parts, outputs)]
            ask = call(np.repeat(sequence[None], len(rows), axis=0))
            values = self._marks.values(self._network.answering(ask, answers), len(rows))
            found.append((values[:len(chosen)] - values[len(chosen):]) / (2 * steps[chosen, None]))
        return np.concatenate(found)


def _is_bpnet(outputs, answered):
    """Whether a model answers as bpnet's SeqModel does that gives expected counts; see `bpnet.SeqModelDirectory`."""
    leaves = [as_array(value) for _, value in nested.leaves(answered)]
    pairs = [(output.ndim, other.ndim) for output, other in zip(outputs[::2], outputs[1::2])]
    if len(outputs) != 2 * len(leaves) or any(pair != (3, 2) for pair in pairs):
        return False
    expected = [_shares(profile) * np.exp(counts)[:, None] for profile, counts in zip(outputs[::2], outputs[1::2])]
    return all(value.shape == one.shape and np.allclose(value, one, rtol=1e-4, atol=0)
               for value, one in zip(leaves, expected))


def _bpnet_slopes(outputs, slopes):
    """Derivatives by (profile logits, log counts) of each task from those by softmax(logits) exp(log counts)."""
    found = []
    for profile, counts, slope in zip(outputs[::2], outputs[1::2], slopes):
        shares = _shares(profile)
        by_counts = slope * shares * np.exp(counts.astype(np.float64))[:, None]
        total = by_counts.sum(1, keepdims=True)
        found += [by_counts - shares * total, total[:, 0]]
    return found


def _shares(profile):
    """Softmax over positions of (n, L, strands)."""
    powers = np.exp(profile.astype(np.float64) - profile.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
