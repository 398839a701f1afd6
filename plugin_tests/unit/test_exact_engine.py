"""The exact engine against every mutant as a whole, on graphs drawn at random."""

from dataclasses import replace

import exact_naive
import numpy as np
import pytest
from exact_naive import layers_with
from hypothesis import assume, given
from hypothesis import strategies as st
from profiles import fewer

from kipoi_deepmr import dna, exact
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.exact import graph as g
from kipoi_deepmr.exact import reference
from kipoi_deepmr.exact.activations import ACTIVATIONS, KERAS, TORCH
from kipoi_deepmr.exact.convolutions import CHUNK_BYTES
from kipoi_deepmr.exact.dormant import with_sleepers
from kipoi_deepmr.exact.instructions import Kind
from kipoi_deepmr.exact.kernels import LANE, VECTOR
from kipoi_deepmr.exact.rest import Rest, Tensor

POSITIVE = ("log", "sqrt", "reciprocal", "rsqrt", "power", "log1p")  # of values above zero
SMOOTH = [kind for kind in ACTIVATIONS if kind not in ("linear", "relu", *POSITIVE)]


def random_sequence(length, seed=0):
    return np.random.default_rng(seed).choice(dna.BASES, length)


def mutants_of_several_bases(sequence):
    """Two windows of random bases each, one moved by a base, the sequence itself and another one: (n, L)."""
    rng, length = np.random.default_rng(len(sequence)), len(sequence)
    made = np.repeat(sequence[None], 9, axis=0)
    for mutant in made[:6]:
        for start in rng.integers(0, length, 2):
            part = mutant[start:start + 8]
            part[:] = rng.choice(dna.BASES, len(part))
    made[6] = np.roll(sequence, -1)
    made[8] = rng.choice(dna.BASES, length)
    return rng.permutation(made)


def assert_exact(graph, length, outputs=None, expected_graph=None, **options):
    """All mutants agree with the naive pass to a few float32 roundings of the largest value."""
    sequence = random_sequence(length)
    engine, several = exact.Engine(graph, outputs, **options), mutants_of_several_bases(sequence)
    found = np.concatenate([engine.mutants(sequence), engine.changed(sequence, several)[1:]])
    expected = np.concatenate([exact_naive.mutants(expected_graph or graph, sequence),
                               exact_naive.outputs(expected_graph or graph, several)])
    assume(np.isfinite(expected).all())  # an exponential of an exponential is too large for a float32
    assert found.shape == expected.shape and found.dtype == np.float32
    scale = np.abs(expected).max(0) + np.abs(expected - expected[0]).max(0) + 1e-3
    assert np.abs(found - expected).max(0) == pytest.approx(0, abs=1e-5 * scale.max())


class Drawn:
    """A random graph, layer by layer; `last` is the node that the next layer takes."""

    def __init__(self, draw, length):
        self.draw, self.length, self.nodes = draw, length, [g.Node("seq", g.Sequence())]
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        self.last = "seq"

    def shape(self):
        return g.shapes(self.nodes, self.length)[self.last]

    def add(self, layer, *inputs):
        inputs = inputs or (self.last,)
        self.nodes.append(g.Node(f"n{len(self.nodes)}", layer, inputs))
        try:
            g.shapes(self.nodes, self.length)
        except exact.UnknownLayer:  # too short by now
            self.nodes.pop()
            return inputs[0]
        self.last = self.nodes[-1].name
        return self.last

    def normal(self, *shape):
        return self.rng.normal(size=shape).astype(np.float32)

    def integer(self, low, high):
        return self.draw(st.integers(low, high))

    def conv(self, n_out=None, same=False):
        width, n_in = self.integer(1, 5), self.shape()[1]
        n_out = n_out or self.integer(1, 3) * self.draw(st.sampled_from([1, 7, 30]))
        padding = "same" if same else self.draw(st.sampled_from(["same", "valid", "causal", (2, 0), (1, 3)]))
        stride = 1 if same else self.draw(st.sampled_from([1, 1, 2, 3]))
        dilation = 1 if stride > 1 and padding == "same" else self.draw(st.sampled_from([1, 1, 2, 5]))
        weight = self.normal(width, n_in, n_out) / np.sqrt(width * n_in)
        return self.add(g.Conv(weight.astype(np.float32), self.normal(n_out), stride, dilation, padding))

    def transpose(self):
        width, n_in, n_out = self.integer(1, 4), self.shape()[1], self.integer(1, 4)
        weight = (self.normal(width, n_in, n_out) / np.sqrt(width * n_in)).astype(np.float32)
        crop = self.draw(st.sampled_from(["same", "valid", (0, 0), (1, 0)]))
        return self.add(g.ConvTranspose(weight, self.normal(n_out), self.integer(1, 3), crop))

    def scale(self):
        rows, channels = self.shape()
        shape = self.draw(st.sampled_from([(), (channels,), (rows, channels)]))
        return self.add(g.Scale(self.normal(*shape), self.normal(*shape)))

    def act(self):
        kind = self.draw(st.sampled_from(["relu", "relu", "relu", *SMOOTH]))
        alpha, beta = {"clip": (-0.5, 0.7), "threshold": (0.1, -0.3)}.get(kind, (0.3, 0.5))
        return self.add(g.Activation(kind, alpha, beta))

    def pool(self):
        size, kind = self.integer(1, 4), self.draw(st.sampled_from(["max", "average"]))
        padding = self.draw(st.sampled_from(["valid", "same", (size // 2, size // 2)]))
        return self.add(g.Pool(kind, size, self.integer(1, size), padding, self.draw(st.booleans()),
                               self.integer(1, 2) if padding == "valid" else 1))

    def fold(self):
        """Several rows to one, or one to several, and perhaps a softmax over what lay in one place."""
        rows, channels = self.shape()
        times = self.integer(2, 3)
        inner = self.draw(st.sampled_from([n for n in (1, 2, channels) if channels % n == 0]))
        if self.draw(st.booleans()):
            self.add(g.Crop(rows % times, 0))
            self.add(g.Fold(times, inner))
            if self.draw(st.booleans()):
                self.add(g.Softmax(times, inner))
        elif channels % (times * inner) == 0:
            self.add(g.Unfold(times, inner))

    def residual(self):
        before = self.last
        if self.draw(st.booleans()):
            self.conv(self.shape()[1], same=True)
        else:
            self.conv(same=True), self.act(), self.conv(g.shapes(self.nodes, self.length)[before][1], same=True)
        for step in self.draw(st.lists(st.sampled_from([self.act, self.scale]), max_size=2)):
            step()
        self.add(self.draw(st.sampled_from([g.Add(), g.Add(), g.Multiply()])), self.last, before)
        if self.draw(st.booleans()):
            self.act()

    def branches(self):
        before = self.last
        left = self.conv(same=True)
        self.last = before
        self.conv(same=True)
        self.act()
        self.add(g.Concatenate(), *self.draw(st.permutations([left, self.last, before])))

    def others(self):
        self.add(self.draw(st.sampled_from([g.Crop(1, 2), g.Crop(-2, 1), g.Repeat(2), g.Softmax(), g.Dropout(),
                                              g.Reverse()])))

    def ending(self):
        rows, channels = self.shape()
        for kind in self.draw(st.lists(st.sampled_from([*g.SUMMARIES, "attend", "flatten", "first", "one", "one"]),
                                       min_size=1, max_size=2, unique=True)):
            source = self.last
            if kind == "attend" and channels < 40:
                self.add(g.Concatenate(), self.conv(channels, same=True), source)
            if kind == "one":  # position: of the layers before it, rows that it does not see are left out
                at, kind = self.integer(0, rows - 1), "flatten"
                self.add(g.Crop(at, rows - at - 1))
            layer = g.Flatten(kind == "first") if kind in ("flatten", "first") else g.Attend() if (
                kind == "attend" and channels < 40) else g.Summary("sum" if kind == "attend" else kind)
            n = int(np.prod(self.shape())) if isinstance(layer, g.Flatten) else channels
            vector = self.add(layer)
            if n % 3 == 0 and self.draw(st.booleans()):
                vector = self.add(g.GroupedDense(self.normal(3, n // 3, 4) / np.float32(np.sqrt(n)), self.normal(12)))
                n = 12
            hidden = self.add(g.Dense(self.normal(n, 5) / np.float32(np.sqrt(n)), self.normal(5)), vector)
            self.add(g.Activation(self.draw(st.sampled_from(["relu", "tanh"]))), hidden)
            yield self.add(g.Dense(self.normal(5, 2), self.normal(2)))
            self.last = source


@st.composite
def graphs(draw):
    """(graph, length)."""
    drawn = Drawn(draw, draw(st.integers(9, 40)))
    steps = [drawn.conv, drawn.conv, drawn.act, drawn.pool, drawn.scale, drawn.residual, drawn.branches,
             drawn.transpose, drawn.fold, drawn.others]
    for step in draw(st.lists(st.sampled_from(steps), max_size=6)):
        step()
    outputs = tuple(drawn.ending())
    return exact.Graph(tuple(drawn.nodes), outputs, drawn.length, draw(st.sampled_from(["ACGT", "TGAC"]))), drawn.length


@fewer(4)
@given(graphs(), st.integers(1, 2))
def test_random_graphs(drawn, threads):
    assert_exact(*drawn, threads=threads)
    assert_same_together(*drawn, threads=threads)


def assert_same_together(graph, length, **options):
    """Sequences that go through the network together get the numbers of each alone, to 1e-6 of the largest."""
    engine = exact.Engine(graph, **options)
    sequences = np.stack([random_sequence(length, seed) for seed in range(3)])
    alone = np.stack([engine.mutants(sequence) for sequence in sequences])
    assert np.abs(engine.mutants_of(sequences) - alone).max() <= 1e-6 * np.abs(alone).max()
    return engine


@pytest.mark.parametrize("channels, residual", [(15, False), (15, True), (32, True)])
def test_many_short_sequences_go_together(channels, residual):
    """Few channels, whose rows slide through registers; dense layers after Flatten and after summaries."""
    nodes, add, conv = layers_with(np.random.default_rng(8))
    add(conv(7, 4, channels))
    last = add(g.Activation("relu"))
    for width in (7, 5, 3):
        inner = add(conv(width, channels, channels), last)
        last = add(g.Activation("relu"))
        last = add(g.Add(), inner, last) if residual else last
    rng, ends = np.random.default_rng(9), []
    for layer, n in ((g.Flatten(), 60 * channels), (g.Summary("max"), channels), (g.Summary("average"), channels)):
        add(layer, last)
        add(g.Dense(rng.normal(size=(n, 6)).astype(np.float32), rng.normal(size=6).astype(np.float32)))
        add(g.Activation("relu"))
        ends.append(add(g.Dense(rng.normal(size=(6, 2)).astype(np.float32), np.zeros(2, np.float32))))
    graph = exact.Graph(tuple(nodes), tuple(ends), 60)
    assert_exact(graph, 60)
    engine = assert_same_together(graph, 60)
    assert engine._parts(60)[0][1].n_at_once > 1


@pytest.mark.parametrize("dilation", [1, 2])
def test_weights_that_rows_share_piece_by_piece(dilation):
    """A convolution whose weights no cache keeps takes a few taps of all rows at a time."""
    nodes, add, conv = layers_with(np.random.default_rng(10))
    add(conv(3, 4, 128))
    before = add(g.Activation("relu"))
    add(conv(9, 128, 128, dilation))
    add(g.Add(), add(g.Activation("relu")), before)
    add(conv(9, 128, 20, dilation))
    add(g.Summary("average"))
    assert 4 * 9 * 128 * 128 > 2 * CHUNK_BYTES
    assert_exact(exact.Graph(tuple(nodes), (nodes[-1].name,), 40), 40)


def split_at(graph, number):
    """The same graph, whose nodes from this number on are computed by somebody else: the slow version."""
    before, after = graph.nodes[:number], graph.nodes[number:]
    known = g.shapes(before, graph.length)
    taken = list(dict.fromkeys(name for node in after for name in node.inputs if name in known))
    wanted = tuple(name for name in graph.outputs if name not in known)

    def compute(arrays, _):
        values = dict(zip(taken, arrays, strict=True))
        for node in after:
            values[node.name] = exact_naive.layer_value(node.layer, [values[name] for name in node.inputs], None)
        return [values[name] for name in wanted]

    inputs = tuple(Tensor(name, known[name][-1:], 0 if len(known[name]) == 2 else None) for name in taken)
    return replace(graph, nodes=before, rest=Rest(inputs, wanted, compute, False, "it is not known"))


@fewer(4)
@given(graphs(), st.integers(1, 2), st.integers(0, 99))
def test_random_graphs_split_at_random(drawn, threads, at):
    """Anywhere: among rows or vectors, with skips over the cut, with outputs on both sides."""
    graph, length = drawn
    split = split_at(graph, 1 + at % (len(graph.nodes) - 1))
    assert_exact(split, length, threads=threads, expected_graph=graph)


@pytest.mark.parametrize("kind", ["softmax_mean", "log_sum_exp"])
@pytest.mark.parametrize("size", [50, 5000])
def test_a_mutant_far_above_the_reference_overflows_no_summary(kind, size):
    """Values of thousands, of which a mutant's is larger than all of the reference by more than an exp can hold."""
    weight = np.float32(size) * np.random.default_rng(3).normal(size=(1, 4, 2)).astype(np.float32)
    nodes = (g.Node("seq", g.Sequence()), g.Node("c", g.Conv(weight, np.zeros(2, np.float32), 1, 1, "valid"), ("seq",)),
             g.Node("s", g.Summary(kind), ("c",)))
    assert_exact(g.Graph(nodes, ("s",), 9, "ACGT"), 9)
    assert_exact(g.Graph(nodes, ("s",), 1, "ACGT"), 1)


def residual_net(before_sum, after_sum, activation="relu", length=60):
    """Two residual blocks with the activation before the sum (BPNet), after it (ResNet), or both."""
    rng = np.random.default_rng(3)
    nodes, add, conv = layers_with(rng)

    add(conv(7, 4, 80))
    last = add(g.Activation("relu"))
    for dilation in (2, 4):
        add(conv(3, 80, 80, dilation), last)
        scale = rng.normal(size=80).astype(np.float32)
        inner = add(g.Scale(scale, scale[::-1]))
        if before_sum:
            inner = add(g.Activation(activation))
        last = add(g.Add(), *([last, inner] if dilation == 2 else [inner, last]))
        if after_sum:
            last = add(g.Activation(activation))
    add(conv(9, 80, 3), last)
    add(conv(9, 80, 2), last)
    add(g.Summary("average"), last)
    add(g.Dense(rng.normal(size=(80, 4)).astype(np.float32), rng.normal(size=4).astype(np.float32)))
    return exact.Graph(tuple(nodes), (nodes[-1].name, nodes[-3].name, nodes[-4].name), length), length


@pytest.mark.parametrize("activation", ["relu", "elu"])
@pytest.mark.parametrize("before_sum, after_sum", [(True, False), (False, True), (True, True), (False, False)])
def test_residual_blocks(before_sum, after_sum, activation):
    assert_exact(*residual_net(before_sum, after_sum, activation))


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_every_activation(kind):
    nodes, add, conv = layers_with(np.random.default_rng(6))
    add(conv(5, 4, 20))
    if kind in POSITIVE:
        add(g.Scale(np.float32(1), np.float32(20)))
    add(g.Activation(kind, *{"clip": (-0.5, 0.7), "threshold": (0.1, -0.3)}.get(kind, (0.3, 0.5))))
    add(g.Summary("sum"))
    assert_exact(exact.Graph(tuple(nodes), (nodes[-1].name,), 30), 30)


@pytest.mark.parametrize("names", [KERAS, TORCH])
def test_names_of_activations_in_keras_and_pytorch(names):
    assert {kind for kind, *_ in names.values()} <= set(ACTIVATIONS)


def test_a_wide_layer_and_a_wide_dense_layer():
    """More channels than a column block, and dense weights beyond what is multiplied in float64."""
    rng = np.random.default_rng(4)

    def normal(*shape):
        return (rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))).astype(np.float32)

    nodes = [g.Node("seq", g.Sequence()), g.Node("a", g.Conv(normal(5, 4, 150), normal(150)), ("seq",)),
             g.Node("b", g.Activation("relu"), ("a",)), g.Node("c", g.Pool("max", 3, 3), ("b",)),
             g.Node("d", g.Conv(normal(3, 150, 110), normal(110), padding="same"), ("c",)),
             g.Node("e", g.Activation("relu"), ("d",)), g.Node("f", g.Flatten(True), ("e",)),
             g.Node("g", g.Dense(normal(12 * 110, 70), normal(70)), ("f",)), g.Node("h", g.Activation("relu"), ("g",)),
             g.Node("i", g.Dense(normal(70, 3), normal(3)), ("h",))]
    assert_exact(exact.Graph(tuple(nodes), ("i",), 40), 40)


@pytest.mark.parametrize("summary", [None, *g.SUMMARIES])
@pytest.mark.parametrize("window", [None, (20, 23)])
def test_outputs_with_positions(summary, window):
    graph, length = residual_net(True, False)
    profile = graph.outputs[1]
    outputs = [exact.Output(profile, summary, window), graph.outputs[0]]
    start, end = window or (0, length)
    more = (g.Node("window", g.Crop(start, length - end), (profile,)),
            g.Node("end", g.Summary(summary) if summary else g.Flatten(), ("window",)))
    expected = exact.Graph(graph.nodes + more, ("end", graph.outputs[0]), length)
    assert_exact(graph, length, outputs, expected)


def test_what_a_window_does_not_see_is_not_computed():
    graph, length = residual_net(True, False)
    engine = exact.Engine(graph, [exact.Output(graph.outputs[1], None, (30, 31))])
    table = engine._parts(length)[0][1].program.table
    n_rows = table["high"] - table["low"]
    assert n_rows[table["kind"] == Kind.LOOKUP].max() == 9 + 2 * 2 + 2 * 4
    found = engine.mutants(random_sequence(length))
    far = np.abs(np.arange(length) - 30) > 4 + 2 + 4 + 3
    assert (found[1:].reshape(length, 3, -1)[far] == found[0]).all()
    assert (found[1:].reshape(length, 3, -1)[~far] != found[0]).any(-1).any(-1).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_some_positions_of_several_sequences(threads):
    graph, length = residual_net(True, False)
    engine = exact.Engine(graph, threads=threads)
    sequences = [random_sequence(length, seed) for seed in (1, 2)]
    every = np.stack([engine.mutants(sequence) for sequence in sequences])
    positions = np.r_[0, 1, 7, 20:33, length - 1]
    found = np.stack([engine.mutants(sequence, positions) for sequence in sequences])
    rows = np.r_[0, (1 + 3 * positions[:, None] + np.arange(3)).reshape(-1)]
    # mutants of the same positions go through other blocks of BLAS here
    np.testing.assert_allclose(found, every[:, rows], rtol=0, atol=1e-6 * np.abs(every).max())
    np.testing.assert_array_equal([engine.mutants(sequence) for sequence in sequences], every)
    np.testing.assert_array_equal(engine.mutants(sequences[1], positions), found[1])


@pytest.mark.parametrize("positions", [[], [3, 3], [5, 4], [-1, 2], [60]])
def test_positions_that_are_none_of_the_sequence(positions):
    graph, length = residual_net(True, False)
    with pytest.raises(InputError, match="mutated positions must ascend"):
        exact.Engine(graph).mutants(random_sequence(length), positions)


def dilated_net(at=None, length=120):
    """Dilated blocks with a skip connection (SpliceAI's), of which one position is wanted, or all."""
    rng = np.random.default_rng(5)
    nodes, add, conv = layers_with(rng)

    last = skip = add(conv(3, 4, 20))
    for i, dilation in enumerate((1, 4, 10, 25)):
        shape = (length, 20) if i == 2 else (20,)
        add(g.Scale(rng.normal(size=shape).astype(np.float32), rng.normal(size=shape).astype(np.float32)), last)
        add(g.Activation("relu"))
        last = add(g.Add(), last, add(conv(3, 20, 20, dilation)))
        if i % 2:
            skip = add(g.Add(), skip, add(conv(1, 20, 20), last))
    add(g.Crop(at, length - at - 1) if at is not None else g.Crop(0, 0), skip)
    add(conv(1, 20, 3))
    add(g.Softmax())
    return exact.Graph(tuple(nodes), (nodes[-1].name,), length), length


@pytest.mark.parametrize("at", [0, 60, 77, 119])
def test_rows_between_those_that_one_position_sees(at):
    graph, length = dilated_net(at)
    assert_exact(graph, length)
    shapes = exact.Engine(graph)._parts(length)[0][1].normal.shapes
    by_dilation = {node.layer.dilation: node.inputs[0] for node in graph.nodes
                   if isinstance(node.layer, g.Conv) and node.layer.dilation > 1}
    assert shapes[by_dilation[25]][0] <= 1 + length // 25 and shapes[by_dilation[10]][0] == 1 + (length - 1) // 5


@pytest.mark.parametrize("second, programs", [(65, [[0, 1, 2]]), (52, [[0, 2], [1]])])
def test_windows_that_see_other_rows_have_programs_of_their_own(second, programs):
    """Positions 25 apart see the same rows of the layer of dilation 25; others are less work one after the other."""
    graph, length = dilated_net(length=200)
    name = graph.outputs[0]
    outputs = [exact.Output(name, None, (40, 41)), exact.Output(name, "max", (second, second + 1)),
               exact.Output(name, "sum", (40, 41))]
    assert [numbers for numbers, _ in exact.Engine(graph, outputs)._parts(length)] == programs
    ends = [(f"window{i}", g.Crop(output.window[0], length - output.window[1])) for i, output in enumerate(outputs)]
    more = [node for i, (window, crop) in enumerate(ends) for node in (
        g.Node(window, crop, (name,)), g.Node(f"end{i}", g.Flatten(), (window,)))]
    expected = exact.Graph((*graph.nodes, *more), tuple(f"end{i}" for i in range(3)), length)
    assert_exact(graph, length, outputs, expected)


@pytest.mark.parametrize("length", [40, 3000])
def test_values_that_nobody_asks_for_are_not_held(length):
    """And a convolution whose windows are multiplied in pieces gives the same numbers."""
    graph, _ = dilated_net(length=length) if length > 40 else residual_net(True, True)
    known, wanted = g.shapes(graph.nodes, length), {graph.outputs[0], graph.nodes[3].name}
    one_hot = dna.one_hot(random_sequence(length)[None])[0]
    every, some = (reference.evaluate(graph.nodes, known, one_hot, keep) for keep in (None, wanted))
    assert set(some) == wanted and set(every) == {node.name for node in graph.nodes}
    for name in wanted:
        np.testing.assert_array_equal(some[name], every[name])


def test_only_the_outputs_asked_for():
    graph, length = residual_net(True, False)
    counts = exact.Engine(graph, graph.outputs[:1])._parts(length)[0][1].program.table
    both = exact.Engine(graph)._parts(length)[0][1].program.table
    assert (counts["kind"] == Kind.CONV).sum() == 2
    assert (both["kind"] == Kind.CONV).sum() == 2
    assert (both["kind"] == Kind.NARROW).sum() == 1, "the two profile heads are one convolution"


def test_fixed_dropout_masks():
    graph, length = residual_net(True, True)
    at = next(i for i, node in enumerate(graph.nodes) if isinstance(node.layer, g.Add))
    dropout = g.Node("dropout", g.Dropout(), (graph.nodes[at].name,))
    after = [g.Node(n.name, n.layer, tuple("dropout" if i == graph.nodes[at].name else i for i in n.inputs))
             for n in graph.nodes[at + 1:]]
    graph = exact.Graph((*graph.nodes[:at + 1], dropout, *after), graph.outputs, length)
    mask = (np.random.default_rng(0).random((length, 80)) < 0.7) / np.float32(0.7)
    masked = graph.with_masks({"dropout": mask})
    assert_exact(graph, length)
    assert_exact(masked, length)
    sequence = random_sequence(length)
    assert not np.allclose(exact.Engine(masked).mutants(sequence), exact.Engine(graph).mutants(sequence), atol=1e-2)
    with pytest.raises(KeyError):
        graph.with_masks({graph.nodes[1].name: mask})


def test_a_graph_for_any_length():
    graph, _ = residual_net(True, False)
    graph = exact.Graph(graph.nodes, graph.outputs[:1])
    for length in (41, 60, 41):
        assert_exact(graph, length)


def test_rows_joined_with_a_vector_are_refused():
    nodes = (g.Node("seq", g.Sequence()), g.Node("mean", g.Summary("average"), ("seq",)),
             g.Node("gate", g.Multiply(), ("seq", "mean")), g.Node("sum", g.Summary("sum"), ("gate",)))
    with pytest.raises(exact.UnknownLayer, match="gate"):
        exact.Engine(exact.Graph(nodes, ("sum",), 20))


def test_a_sequence_of_another_length_than_the_layers_fit():
    nodes = (g.Node("seq", g.Sequence()),
             g.Node("conv", g.Conv(np.ones((9, 4, 2), np.float32), np.zeros(2, np.float32)), ("seq",)))
    with pytest.raises(exact.UnknownLayer, match="conv"):
        exact.Engine(exact.Graph(nodes, ("conv",))).mutants(random_sequence(8))


def test_an_ambiguous_base_is_refused():
    graph, length = residual_net(True, False)
    sequence = random_sequence(length)
    sequence[4] = ord("N")
    with pytest.raises(InputError, match="base 5 of the sequence is N"):
        exact.Engine(graph).mutants(sequence)


def sleepy_net(length=80):
    """Dilated residual layers, of whose channels two in three lie below zero."""
    rng = np.random.default_rng(5)
    bias = np.where(np.arange(64) % 3 == 0, 0.1, -0.25).astype(np.float32)
    nodes = [g.Node("seq", g.Sequence()),
             g.Node("conv", g.Conv(rng.normal(0, 0.2, (5, 4, 64)).astype(np.float32), bias, padding="same"), ("seq",)),
             g.Node("last0", g.Activation("relu"), ("conv",))]
    for i, dilation in enumerate((1, 4, 16)):
        weight = rng.normal(0, 0.04, (3, 64, 64)).astype(np.float32)
        relu = f"relu{i}" if i else "last1"  # the first without a residual sum
        nodes += [g.Node(f"conv{i}", g.Conv(weight, bias, 1, dilation, "same"), (f"last{i}",)),
                  g.Node(relu, g.Activation("relu"), (f"conv{i}",))]
        nodes += [g.Node(f"last{i + 1}", g.Add(), (f"last{i}", relu))] if i else []
    nodes.append(g.Node("mean", g.Summary("average"), ("last3",)))
    return exact.Graph(tuple(nodes), ("mean",), length)


@pytest.mark.skipif(VECTOR != LANE, reason="channels are left out with AVX-512 only")
def test_channels_that_no_mutant_wakes_are_left_out_to_the_same_bits(monkeypatch):
    graph, sequence = sleepy_net(), random_sequence(80)
    assert_exact(graph, 80)
    shortened = []

    def without_bounds(*arguments):
        table, z = with_sleepers(*arguments)
        shortened.extend(table[table["awake"] > 0])
        for row in shortened:
            z[row["bound"]:][:80] = np.inf
        return table, z

    found = exact.Engine(graph).mutants(sequence)
    monkeypatch.setattr("kipoi_deepmr.exact.engine.with_sleepers", without_bounds)
    wrong = exact.Engine(graph).mutants(sequence)
    monkeypatch.setattr("kipoi_deepmr.exact.engine.with_sleepers", lambda program, values, z: (program.table, z))
    assert np.array_equal(found, exact.Engine(graph).mutants(sequence))
    assert len(shortened) == 3 and not np.array_equal(found, wrong)  # some channels do wake
