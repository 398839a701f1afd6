"""Marks of all single mutants approximated from one sequence: its marks, and slopes by what the network is given.

A mutant changes what the network is given; slope times change, summed, is the approximation of its effect. Which slope
is the method: that at the sequence (gradient), the average on the way to the sequence from a base that is nearly no DNA
(integrated gradients; Sundararajan, Taly, Yan, ICML 2017), or DeepLIFT's multiplier between the two.
"""

import numpy as np

from . import gradients, nested, saturation, views
from .errors import ModelError, model_code
from .responses import Responses

SHARE = 0.01  # of each base at every position of what sequences are compared with: near none, yet each letter differs
STEPS, STEPS_AT_ONCE = 20, 5  # of integrated gradients: Gauss-Legendre's points, and how many in one batch
AGREEMENT = 1e-4  # of the differentiated network with the model's own predictions, relative
COMPLETENESS = 0.02  # of DeepLIFT's contributions: their sum against the difference that they are of
MOST_PROBED = 2e7  # numbers in a batch of sequences that show where bases go


class Attributed:
    """A loaded model whose mutants are approximated.

    Parameters
    ----------
    model : Kipoi model
    layout : layout.Layout
    marks : marks.Marks

    Raises
    ------
    ModelError
        It holds no network that can be differentiated.
    """

    def __init__(self, model, layout, marks):
        self._model, self._layout, self._marks = model, layout, marks
        self._network = gradients.find_network(model)
        self._responses = Responses(model, marks, self._network)
        self._places = {}

    def mutants(self, sequence, view, item, method):
        """Marks of a sequence and, approximated, of all its single mutants.

        Parameters
        ----------
        sequence : (L,) uint8
        view : views.View
            What of the sequence the model sees.
        item : optional
            As for `Layout.encode`.
        method : str
            A key of `METHODS`.

        Returns
        -------
        (1 + 3 L, marks) float64

        Raises
        ------
        ModelError
            The model cannot be differentiated; the message says why.
        """
        with model_code("its network cannot be differentiated"):
            return self._mutants(sequence, _Call(self._model, self._layout, view, item), method)

    def _mutants(self, sequence, call, method):
        given = self._network.given(call.of(sequence[None]))
        near = self._network.linearised(given)
        reference = self._marks.values(call.of(sequence[None])(), 1)[0]
        ours = self._marks.values(self._network.answering(call.of(sequence[None]), near.outputs), 1)[0]
        if not np.allclose(ours, reference, rtol=AGREEMENT, atol=AGREEMENT):
            raise ModelError("its network alone gives {:g} for mark {}, where the model gives {:g}".format(
                *_most_different(ours, self._marks.names, reference)))
        nothing = self._network.given(call.of(np.full((1, len(sequence)), views.N, np.uint8)))
        places = self._places_of(sequence, call, _rows(given)[0], _rows(nothing)[0])
        alike = self._network.given(call.of(np.repeat(saturation.BASES[:, None], len(sequence), axis=1)))
        base = _between(nothing, _mean(alike), np.array([4 * SHARE]))
        slopes = METHODS[method](self, call.of, sequence, given, base, near)
        by_base = np.stack([places.by_base(each, len(sequence)) for each in slopes], axis=-1)
        own = by_base[np.arange(len(sequence)), np.searchsorted(saturation.BASES, sequence)]
        is_other = saturation.BASES != sequence[:, None]
        changes = (by_base - own[:, None])[is_other]
        return np.concatenate([reference[None], reference + changes])

    def _places_of(self, sequence, call, given, nothing):
        """Where each base goes; checked for this sequence."""
        key = call.view, len(sequence)
        if key not in self._places:
            self._places[key] = _Places.found(lambda sequences: _rows(self._network.given(call.of(sequences))),
                                              nothing, len(sequence))
        places = self._places[key]
        if not np.allclose(nothing + places.of(sequence, len(given)), given, atol=1e-5):
            raise ModelError("its Python turns DNA into what is no sum over bases before its network sees it")
        return places

    def _gradient(self, call, sequence, given, base, near):
        """Slopes at the sequence."""
        weights = self._responses.slopes(call, sequence, near.outputs)
        return [_rows(near.pull(weights(mark)))[0] for mark in range(len(self._marks.names))]

    def _integrated_gradients(self, call, sequence, given, base, near):
        """Slopes averaged along the straight line from the base to the sequence."""
        points, shares = np.polynomial.legendre.leggauss(STEPS)
        slopes = 0
        for first in range(0, STEPS, STEPS_AT_ONCE):
            at = (points[first:first + STEPS_AT_ONCE] + 1) / 2
            between = self._network.linearised(_between(base, given, at))
            weights = self._responses.slopes(call, sequence, between.outputs)
            share = shares[first:first + STEPS_AT_ONCE] / 2
            slopes = slopes + np.stack([share @ _rows(between.pull(weights(mark)))
                                        for mark in range(len(self._marks.names))])
        return slopes

    def _deeplift(self, call, sequence, given, base, near):
        """DeepLIFT's multipliers: contributions against the base, by the difference from it."""
        weights = self._responses.slopes(call, sequence, near.outputs)
        difference = _rows(given)[0] - _rows(base)[0]
        there = self._network.linearised(base).outputs
        slopes = []
        for mark in range(len(self._marks.names)):
            contributions = _rows(self._network.deeplift(given, base, weights(mark)))[0]
            made = sum((w * (ours - theirs)).sum() for w, ours, theirs in zip(weights(mark), near.outputs, there))
            if abs(contributions.sum() - made) > COMPLETENESS * max(abs(made), np.abs(contributions).sum() / 10):
                raise ModelError(f"DeepLIFT's contributions to mark {self._marks.names[mark]} add up to "
                                 f"{contributions.sum():.4g}, not to the difference {made:.4g}: its library does not "
                                 "see all that the network computes")
            slopes.append(np.divide(contributions, difference, out=np.zeros_like(difference), where=difference != 0))
        return slopes


METHODS = {"gradient": Attributed._gradient, "integrated_gradients": Attributed._integrated_gradients,
           "deeplift": Attributed._deeplift}


class _Call:
    """How a model is asked about sequences, as a view of them is seen."""

    def __init__(self, model, layout, view, item):
        self.view = view
        self._model, self._layout, self._item = model, layout, item

    def of(self, sequences):
        """A function without arguments that asks the model about sequences (n, L) uint8."""
        encoded = self._layout.encode(self.view.apply(sequences), self._item)
        return lambda: self._model.predict_on_batch(encoded)


class _Places:
    """Which of the numbers that a network is given each base changes, and by how much.

    Parameters
    ----------
    bases, numbers, changes : (m,) arrays
        Four times the position plus the letter's number; which number it changes; by how much, against N there.
    """

    def __init__(self, bases, numbers, changes):
        self._bases, self._numbers, self._changes = bases, numbers, changes

    @classmethod
    def found(cls, given, nothing, length):
        """By sequences of one base and N else.

        Parameters
        ----------
        given : callable
            From sequences to the numbers (n, numbers) that the network is given.
        nothing : (numbers,)
            Those of a sequence of N.
        length : int
        """
        at_once = int(max(1, MOST_PROBED // len(nothing)))
        found = []
        for first in range(0, 4 * length, at_once):
            bases = np.arange(first, min(first + at_once, 4 * length))
            sequences = np.full((len(bases), length), views.N, np.uint8)
            sequences[np.arange(len(bases)), bases // 4] = saturation.BASES[bases % 4]
            changes = given(sequences) - nothing
            rows, numbers = np.nonzero(changes)
            found.append((bases[rows], numbers, changes[rows, numbers]))
        return cls(*(np.concatenate(each) for each in zip(*found)))

    def of(self, sequence, n_numbers):
        """What a sequence changes against N everywhere: (n_numbers,)."""
        own = 4 * np.arange(len(sequence)) + np.searchsorted(saturation.BASES, sequence)
        is_there = own[self._bases // 4] == self._bases
        return np.bincount(self._numbers[is_there], self._changes[is_there], n_numbers)

    def by_base(self, slopes, length):
        """Slopes by numbers (n_numbers,) as slopes by bases: (L, 4)."""
        return np.bincount(self._bases, self._changes * slopes[self._numbers], 4 * length).reshape(length, 4)


def _arrays(tree):
    """The arrays among all leaves."""
    return [value for _, value in nested.leaves(tree) if isinstance(value, np.ndarray) and value.ndim]


def _rows(tree):
    """All numbers of the arrays, one row a sequence."""
    return np.concatenate([array.astype(np.float64).reshape(len(array), -1) for array in _arrays(tree)], axis=1)


def _mean(tree):
    """The mean over sequences, as one sequence."""
    return _mapped(lambda value: np.asarray(value, np.float64).mean(0, keepdims=True).astype(np.float32), tree)


def _between(base, given, at):
    """Points between two inputs, `at` shares of the way."""
    others = iter(_arrays(base))

    def point(value):
        start = next(others)
        shares = at.reshape((-1,) + (1,) * (value.ndim - 1))
        return (start + shares * (value - start)).astype(np.float32)

    return _mapped(point, given)


def _mapped(function, tree):
    """The same lists and dicts with a function of each array of numbers."""
    return nested.rebuilt(tree, iter([function(value) if isinstance(value, np.ndarray) and value.ndim else value
                                      for _, value in nested.leaves(tree)]))


def _most_different(ours, names, theirs):
    number = int(np.argmax(np.abs(ours - theirs)))
    return ours[number], names[number], theirs[number]
