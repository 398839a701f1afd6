"""Values of which a mutation changes every position, until sums over positions follow.

A vector that multiplies or shifts all rows (squeeze and excitation, a norm over positions), and a softmax over
positions, change each row with every mutant. What is done to such rows one by one costs as much as to predict the
mutant. But a vector factors out of a sum over positions, so a value is kept as a sum of terms here,

    (softmax of logits over positions) * rows * gate @ weight,

each part of which may be missing. Rows and logits are nodes of the graph in which a window changes, the gate is a
vector. Linear layers change the terms; an average, a sum or a maximum over positions, or a dense layer after Flatten,
make nodes of them. Whatever else follows is refused, with the name of the layer.
"""

from dataclasses import dataclass, replace

import numpy as np

from . import graph as g
from .errors import UnknownLayer

MOST_TERMS = 64
MOST_WEIGHTS = 1 << 22  # of the dense layers that stand for one after Flatten


@dataclass(frozen=True, eq=False)
class Term:
    """One term; see above. Rows and logits have `channels`, and so does the gate."""

    channels: int
    rows: str | None = None
    gate: str | None = None
    logits: str | None = None
    weight: np.ndarray | None = None


class Gates:
    """The values of this kind of one Builder, by the names that its tensors bear."""

    why = "a gate, a norm or a softmax over positions changes all positions"

    def __init__(self, builder):
        self.builder = builder
        self.values, self.flat, self.positions = {}, {}, {}
        self.name = None  # of the layer that is being added

    def __contains__(self, name: str) -> bool:
        return name in self.values or name in self.flat

    def begin(self, name: str, terms: list[Term], like: str) -> None:
        """A value with as many positions as node `like`."""
        self.values[name] = terms
        self.positions[name] = like

    def add(self, name: str, layer: object, inputs: list[str]) -> bool:
        """A layer that takes such a value; whether its result is one, too. If not, it is node `name` of the graph.

        Raises
        ------
        UnknownLayer
            The layer needs the positions one by one.
        """
        self.name = name
        if any(other in self.flat for other in inputs):
            return self._dense(layer, *inputs)
        like = next(self.positions[other] for other in inputs if other in self.values)
        if isinstance(layer, g.Add):
            terms = [term for other in inputs for term in self._terms(other)]
        elif isinstance(layer, g.Multiply):
            terms = self._product(inputs)
        elif isinstance(layer, g.Concatenate):
            terms = self._concatenated(inputs)
        else:
            terms = self.values[inputs[0]]
            method = self._METHODS.get(type(layer))
            if method is None:
                raise self.refused()
            terms = method(self, layer, terms, like)
            if terms is None:
                return False
            if isinstance(layer, g.Flatten):
                self.flat[name] = terms, layer.channels_first
                return True
            if isinstance(layer, (g.Crop, g.Conv, g.Pool, g.Repeat)):
                like = next((term.rows for term in terms if term.rows), like)
        if len(terms) > MOST_TERMS:
            raise self.refused()
        self.begin(name, terms, like)
        return True

    def refused(self):
        return UnknownLayer(f"layer {self.name} needs each position by itself, and before it {self.why}")

    # nodes

    def node(self, layer, *inputs):
        """A node of the graph with a name of its own."""
        return self.builder.add_node(f"{self.name}/gated", layer, inputs)

    def _is_vector(self, name):
        return len(self.builder.shape(name)) == 1

    def _terms(self, name):
        """A value of any kind as terms."""
        if name in self.values:
            return self.values[name]
        channels = self.builder.shape(name)[-1]
        return [Term(channels, gate=name)] if self._is_vector(name) else [Term(channels, rows=name)]

    def _times(self, first, second):
        return second if first is None else first if second is None else self.node(g.Multiply(), first, second)

    def _mixed(self, name, weight):
        """A node's channels, mixed; None stands for ones, of which each is one still."""
        if name is None:
            return None
        weight, bias = np.asarray(weight, np.float32), np.zeros(weight.shape[1], np.float32)
        return self.node(g.Dense(weight, bias) if self._is_vector(name) else g.Conv(weight[None], bias), name)

    def _constant(self, value):
        value = np.asarray(value, np.float32).reshape(-1)
        return self.node(g.Constant(value, value.shape))

    def _ones(self, term, like):
        """The term with rows, of ones."""
        if term.rows is not None:
            return term
        weight = np.zeros((1, self.builder.shape(like)[1], term.channels), np.float32)
        return replace(term, rows=self.node(g.Conv(weight, np.ones(term.channels, np.float32)), like))

    def settled(self, term: Term) -> Term:
        """The term without its weight, where that only chooses channels and scales them."""
        if term.weight is None:
            return term
        if ((term.weight != 0).sum(0) != 1).any():
            raise self.refused()
        chosen = (term.weight != 0).astype(np.float32)
        scale = term.weight.sum(0)
        term = Term(chosen.shape[1], self._mixed(term.rows, chosen), self._mixed(term.gate, chosen),
                    self._mixed(term.logits, chosen))
        return term if (scale == 1).all() else self._scaled(term, scale)

    def _scaled(self, term, scale):
        """Times a number, or one a channel."""
        scale = np.broadcast_to(np.asarray(scale, np.float32).reshape(-1), self._width(term))
        if term.weight is not None:
            return replace(term, weight=term.weight * scale)
        layer = g.Scale(scale, np.float32(0))
        if term.gate is not None:
            return replace(term, gate=self.node(layer, term.gate))
        if term.rows is not None:
            return replace(term, rows=self.node(layer, term.rows))
        return replace(term, gate=self._constant(scale))

    def _width(self, term):
        return term.channels if term.weight is None else term.weight.shape[1]

    # layers

    def _product(self, inputs):
        moving = [name for name in inputs if name in self.values]
        if len(moving) > 1:
            raise self.refused()
        terms = [self.settled(term) for term in self.values[moving[0]]]
        for name in inputs:
            if name in self.values:
                continue
            part = "gate" if self._is_vector(name) else "rows"
            terms = [replace(term, **{part: self._times(getattr(term, part), name)}) for term in terms]
        return terms

    def _concatenated(self, inputs):
        parts = [self._terms(name) for name in inputs]
        widths = [self._width(terms[0]) for terms in parts]
        starts, result = np.cumsum([0, *widths]), []
        for terms, start, width in zip(parts, starts[:-1], widths, strict=True):
            place = np.eye(width, starts[-1], start)
            result += [replace(term, weight=place if term.weight is None else term.weight @ place) for term in terms]
        return result

    def _scale(self, layer, terms, like):
        width = self._width(terms[0])
        if not all(np.ndim(value) < 2 or len(value) == 1 for value in (layer.scale, layer.shift)):
            rows = [self._ones(self.settled(term), like) for term in terms]
            result = [replace(term, rows=self.node(g.Scale(layer.scale, np.float32(0)), term.rows)) for term in rows]
            if np.any(layer.shift):
                ones = self._ones(Term(width), like)
                result.append(replace(ones, rows=self.node(g.Scale(layer.shift, np.float32(0)), ones.rows)))
            return result
        result = terms if np.all(layer.scale == 1) else [self._scaled(term, layer.scale) for term in terms]
        return result + self._shift(np.broadcast_to(np.reshape(layer.shift, -1), width))

    def _shift(self, bias):
        return [Term(len(bias), gate=self._constant(bias))] if np.any(bias) else []

    def _dropout(self, layer, terms, like):
        layer = replace(layer, mask=layer.mask or g.Mask(self.name, 0))
        terms = [self._ones(self.settled(term), like) for term in terms]
        return [replace(term, rows=self.node(layer, term.rows)) for term in terms]

    def _row_by_row(self, layer, terms, like):
        """Layers that move rows or average some."""
        has_zeros = isinstance(layer, g.Crop) and min(layer.before, layer.after) < 0 or isinstance(
            layer, g.Pool) and layer.count_padding and layer.padding != "valid"
        if isinstance(layer, g.Pool) and layer.kind == "max" or any(term.logits for term in terms):
            raise self.refused()
        if has_zeros or not any(term.rows for term in terms):
            terms = [self._ones(term, like) for term in terms]
        return [term if term.rows is None else replace(term, rows=self.node(layer, term.rows)) for term in terms]

    def _reverse(self, layer, terms, like):
        return [replace(term, **{part: self.node(layer, getattr(term, part)) for part in ("rows", "logits")
                                 if getattr(term, part) is not None}) for term in terms]

    def _conv(self, layer, terms, like):
        """One term a tap: the rows that it sees, mixed by its weights."""
        width = len(layer.weight)
        if width == 1 and layer.stride == 1 and not any(g.padded(layer, 1)):
            taps = [(None, layer.weight[0])]
        elif layer.stride > 1 or width * len(terms) > MOST_TERMS:
            raise self.refused()
        else:
            before, after = g.padded(layer, 1)
            taps = [(g.Crop(k * layer.dilation - before, (width - 1 - k) * layer.dilation - after), weight)
                    for k, weight in enumerate(layer.weight)]
        result = []
        for crop, weight in taps:
            seen = terms if crop is None or crop.before == crop.after == 0 else self._row_by_row(crop, terms, like)
            result += [replace(term, weight=weight if term.weight is None else term.weight @ weight) for term in seen]
        return result + self._shift(np.broadcast_to(layer.bias, layer.weight.shape[2]))

    def _summary(self, layer, terms, like):
        """The vector, as node `self.name`; None."""
        if layer.kind == "max":
            parts = self._maximum(terms)
        elif layer.kind in ("average", "sum"):
            parts = [self._sum(term, layer, like) for term in terms]
        else:
            raise self.refused()
        self.builder.add_node(self.name, g.Add() if len(parts) > 1 else g.Dropout(), parts)

    def _sum(self, term, layer, like):
        n, ones = None, None
        if term.logits is not None and layer.kind == "average" or term.rows is None and layer.kind == "sum":
            n = self.builder.positions(self.name, like)
        if term.logits is not None:
            rows = self._ones(term, term.logits).rows
            vector = self.node(g.Attend(), self.node(g.Concatenate(), term.logits, rows))
            vector = vector if n is None else self.node(g.Scale(np.float32(1 / n), np.float32(0)), vector)
        elif term.rows is not None:
            vector = self.node(layer, term.rows)
        else:
            vector, ones = None, np.full(term.channels, n or 1)
        if ones is not None and (n or term.gate is None):
            vector = self._constant(ones)
        vector = self._times(vector, term.gate)
        return vector if term.weight is None else self._mixed(vector, term.weight)

    def _maximum(self, terms):
        """Of gated rows: max(r) where the gate is above zero, else min(r); what shifts all rows is added."""
        shifts = [term for term in terms if term.rows is None and term.logits is None]
        others = [self.settled(term) for term in terms if term not in shifts]
        if len(others) != 1 or others[0].logits is not None or others[0].rows is None:
            raise self.refused()
        (term,) = others
        top = self.node(g.Summary("max"), term.rows)
        if term.gate is not None:
            minus = g.Scale(np.float32(-1), np.float32(0))
            low = self.node(g.Summary("max"), self.node(minus, term.rows))
            signs = [self.node(g.Activation("relu"), gate) for gate in (term.gate, self.node(minus, term.gate))]
            top = self.node(g.Add(), *map(self._times, signs, (top, low)))
        return [top, *(self._sum(shift, g.Summary("average"), None) for shift in shifts)]

    def _flatten(self, layer, terms, like):
        if any(term.logits for term in terms):
            raise self.refused()
        self.builder.positions(self.name, like)
        return [self.settled(term) for term in terms]

    def _dense(self, layer, source):
        """A dense layer after Flatten, as node `self.name`: of each channel on its own, then their sum."""
        if not isinstance(layer, g.Dense):
            raise self.refused()
        terms, channels_first = self.flat[source]
        channels, n_out = terms[0].channels, layer.weight.shape[1]
        if channels * channels * n_out > MOST_WEIGHTS:
            raise self.refused()
        weight = (layer.weight.reshape(channels, -1, n_out) if channels_first
                  else layer.weight.reshape(-1, channels, n_out).swapaxes(0, 1))
        parts = []
        for term in terms:
            if term.rows is None:
                gate = term.gate or self._constant(np.ones(channels))
                parts.append(self._mixed(gate, weight.sum(1)))
                continue
            flat = self.node(g.Flatten(True), term.rows)
            if term.gate is None:
                parts.append(self._mixed(flat, weight.reshape(-1, n_out)))
                continue
            each = self.node(g.GroupedDense(np.ascontiguousarray(weight), np.zeros(channels * n_out)), flat)
            gate = self._mixed(term.gate, np.repeat(np.eye(channels), n_out, axis=1))
            parts.append(self._mixed(self._times(each, gate), np.tile(np.eye(n_out), (channels, 1))))
        if np.any(layer.bias):
            parts.append(self._constant(np.broadcast_to(layer.bias, n_out)))
        self.builder.add_node(self.name, g.Add() if len(parts) > 1 else g.Dropout(), parts)
        return False

    _METHODS = {g.Scale: _scale, g.Dropout: _dropout, g.Crop: _row_by_row, g.Pool: _row_by_row, g.Repeat: _row_by_row,
                g.Reverse: _reverse, g.Conv: _conv, g.Summary: _summary, g.Flatten: _flatten}
