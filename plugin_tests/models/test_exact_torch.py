"""PyTorch modules through the exact engine: every mutant as the module itself predicts it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import fewer
from torch_modules import Function

from kipoi_deepmr import dna, exact
from kipoi_deepmr.exact.graph import shapes
from kipoi_deepmr.exact.reference import evaluate
from kipoi_deepmr.models.host import torch_graph
from kipoi_deepmr.models.host.masks import dropout_masks
from kipoi_deepmr.mutagenesis import saturation_mutants

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional
LENGTH = 48


def assert_module(module, shape=(4, LENGTH), must_change=True, names=None, split=False):
    """The module's graph predicts what the module does, to a few of float32's roundings of the largest value."""
    torch.manual_seed(1)
    for name, buffer in module.named_buffers():
        if name.endswith("running_var"):
            buffer.copy_(torch.rand(buffer.shape) + 0.3)
        elif name.endswith("running_mean"):
            buffer.copy_(torch.randn(buffer.shape) / 5)
    module.eval()
    length = max(shape)
    sequence = np.random.default_rng(0).choice(dna.BASES, length)
    one_hot = dna.one_hot(np.concatenate([sequence[None], saturation_mutants(sequence)[0]]))
    one_hot = (one_hot if shape.index(4) > shape.index(length) else one_hot.swapaxes(1, 2)).reshape(-1, *shape)
    with torch.no_grad():
        out = module(torch.from_numpy(np.ascontiguousarray(one_hot)))
    out = list(out.values()) if isinstance(out, dict) else out if isinstance(out, (tuple, list)) else [out]
    by_position = [each.numpy().swapaxes(1, 2) if each.ndim == 3 else each.numpy() for each in out]
    expected = np.concatenate([each.reshape(len(one_hot), -1) for each in by_position], axis=1)
    graph = exact.read_torch(module, shape, split=split)
    assert bool(graph.rest) == split
    assert names is None or graph.outputs == names
    found = exact.Engine(graph).mutants(sequence)
    assert not must_change or np.abs(expected[1:] - expected[0]).max() > 1e-4 * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


LAYERS = {
    "same": nn.Conv1d(8, 5, 4, padding="same", dilation=2),
    "strided, dilated, padded": nn.Conv1d(8, 5, 3, stride=2, dilation=3, padding=4),
    "groups": nn.Conv1d(8, 12, 3, groups=4, bias=False),
    "depthwise": nn.Conv1d(8, 8, 3, groups=8),
    "transposed": nn.ConvTranspose1d(8, 5, 5, stride=3, padding=2, output_padding=1),
    "batch norm": nn.BatchNorm1d(8),
    "batch norm, not affine": nn.BatchNorm1d(8, affine=False),
    "max pooling": nn.MaxPool1d(4, stride=2, padding=1),
    "average pooling": nn.AvgPool1d(4, stride=3, padding=2),
    "average pooling without padding": nn.AvgPool1d(4, 2, padding=2, count_include_pad=False),
    "elu": nn.ELU(0.7), "gelu": nn.GELU(), "gelu by tanh": nn.GELU("tanh"), "selu": nn.SELU(),
    "softplus": nn.Softplus(),
    "sigmoid": nn.Sigmoid(), "tanh": nn.Tanh(), "silu": nn.SiLU(), "mish": nn.Mish(), "relu6": nn.ReLU6(),
    "leaky relu": nn.LeakyReLU(0.2), "hardtanh": nn.Hardtanh(-0.3, 0.4), "threshold": nn.Threshold(0, 1e-6),
    "softmax": nn.Softmax(dim=1), "dropout": nn.Dropout(), "padding": nn.ConstantPad1d((3, 1), 0.0),
    "exp and abs": Function(lambda x: torch.exp(-x.abs())), "square": Function(lambda x: x**2 / 3 + 1 - x),
    "crop": Function(lambda x: x[:, :, 5:-3]), "gate": Function(lambda x: torch.sigmoid(x) * torch.tanh(x)),
    "cat": Function(lambda x: torch.cat([x, 2 * x, -x], dim=1)), "clamp": Function(lambda x: x.clamp(min=-0.1)),
    "prelu": nn.PReLU(), "prelu, a slope a channel": nn.PReLU(8, init=0.3), "celu": nn.CELU(),
    "hard sigmoid": nn.Hardsigmoid(), "maximum": Function(lambda x: torch.maximum(x, 0.5 - x)),
    "layer norm": nn.Sequential(Function(lambda x: x.transpose(1, 2)), nn.LayerNorm(8),
                                Function(lambda x: x.transpose(1, 2))),
    "a slice of channels": Function(lambda x: x[:, 2:7:2]), "every second position": Function(lambda x: x[:, :, 1::2]),
    "one channel": Function(lambda x: x[:, 3].unsqueeze(1)), "reversed": Function(lambda x: x.flip(2)),
    "reversed complement": Function(lambda x: x.flip((1, 2))), "pieces": Function(lambda x: torch.cat(
        [x.chunk(2, 1)[1], torch.split(x, [3, 5], 1)[0]], 1)),
    "repeated channels": Function(lambda x: x.repeat(1, 3, 1)),
    "repeated positions": Function(lambda x: x.repeat_interleave(2, 2)),
    "repeated each": Function(lambda x: x.repeat_interleave(2, 1)), "mean of channels": Function(
        lambda x: x - x.mean(1, keepdim=True).repeat(1, 8, 1)), "max of channels": Function(
        lambda x: x.reshape(len(x), 2, 4, -1).amax(2)), "shuffled channels": Function(
        lambda x: x.reshape(len(x), 2, 4, -1).transpose(1, 2).reshape(len(x), 8, -1)),
    "reversed sum": Function(lambda x: 1.0 - x + 0.5 * x),
}


@pytest.mark.parametrize("name", LAYERS)
def test_each_layer(name):
    torch.manual_seed(0)
    channels = LAYERS[name](torch.zeros(1, 8, 40)).shape[1]
    assert_module(nn.Sequential(nn.Conv1d(4, 8, 5), LAYERS[name], nn.Conv1d(channels, 6, 3), nn.ELU(),
                                nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(6, 2)))


ENDINGS = {
    "mean": lambda x: x.mean(2), "sum": lambda x: x.sum(-1), "amax": lambda x: x.amax(2),
    "max": lambda x: x.max(dim=2)[0], "logsumexp": lambda x: torch.logsumexp(x, dim=-1),
    "keepdim": lambda x: x.mean(-1, keepdim=True).squeeze(-1)}


@pytest.mark.parametrize("end", ENDINGS)
def test_each_ending(end):
    torch.manual_seed(0)
    assert_module(nn.Sequential(nn.Conv1d(4, 8, 5), nn.ReLU(), nn.MaxPool1d(3), Function(ENDINGS[end]),
                                nn.Linear(8, 3), nn.Softmax(dim=-1)), names=("output",))


class Sizes(nn.Module):
    """Sizes that are computed, layers that change their input in place, a learnt number, nested outputs."""

    def __init__(self):
        super().__init__()
        self.first, self.factor = nn.Conv1d(4, 8, 5), nn.Parameter(torch.tensor(0.7))
        self.register_buffer("mean", torch.arange(8.0).reshape(1, 8, 1))

    def forward(self, x):
        x = self.first(x) - 0.1 * self.mean
        middle = x.shape[2] // 2
        functional.relu(x, inplace=True)
        x += self.factor
        x *= 2 * self.factor
        return x[:, :, middle - 3:middle + 4].reshape(x.size(0), -1), {"mean": x.mean(-1)}


def test_a_change_in_place_is_seen_by_later_layers():
    torch.manual_seed(0)
    graph = exact.read_torch(Sizes(), (4, LENGTH))
    module, one_hot = Sizes(), dna.one_hot(np.random.default_rng(0).choice(dna.BASES, (1, LENGTH)))
    torch.manual_seed(0)
    module = Sizes().eval()
    with torch.no_grad():
        expected = module(torch.from_numpy(np.ascontiguousarray(one_hot.swapaxes(1, 2))))
    found = values_of(graph, one_hot[0])
    np.testing.assert_allclose(found["output0"], expected[0][0].numpy(), rtol=0, atol=1e-6)
    np.testing.assert_allclose(found["output1"], expected[1]["mean"][0].numpy(), rtol=0, atol=1e-6)


def values_of(graph, one_hot):
    """A graph's outputs for one sequence."""
    values = evaluate(graph.nodes, shapes(graph.nodes, len(one_hot)), one_hot)
    return {name: values[name] for name in graph.outputs}


def both_records(module, shape, monkeypatch):
    """A module's graph as torch.export and as torch.jit.trace record it."""
    exported = exact.read_torch(module, shape)
    monkeypatch.setattr(torch_graph, "EXPORTS", (99, 0))
    return exported, exact.read_torch(module, shape)


@pytest.mark.parametrize("name", [*LAYERS, *ENDINGS, "residual", "blocks", "sizes", "in two dimensions"])
def test_a_trace_is_the_same_as_an_export(name, monkeypatch):
    """PyTorch before 2.6 has the trace alone."""
    torch.manual_seed(0)
    modules = {"residual": Residual, "blocks": Blocks, "sizes": Sizes, "in two dimensions": lambda: nn.Sequential(
        Function(lambda x: x.unsqueeze(2)), nn.Conv2d(4, 6, (1, 5)), nn.MaxPool2d((1, 2)), nn.BatchNorm2d(6),
        nn.Flatten(), nn.Linear(6 * 22, 2))}
    if name in modules:
        module = modules[name]()
    elif name in ENDINGS:
        module = nn.Sequential(nn.Conv1d(4, 8, 5), nn.ReLU(), Function(ENDINGS[name]), nn.Linear(8, 3))
    else:
        module = nn.Sequential(nn.Conv1d(4, 8, 5), LAYERS[name])
    graphs = both_records(module, (4, LENGTH), monkeypatch)
    one_hot = dna.one_hot(np.random.default_rng(0).choice(dna.BASES, LENGTH))
    exported, traced = (values_of(graph, one_hot) for graph in graphs)
    assert exported.keys() == traced.keys()
    for output in exported:
        np.testing.assert_array_equal(exported[output], traced[output])


@pytest.mark.parametrize("recorder", ["exported", "traced"])
def test_dropout_masks(recorder, monkeypatch):
    """Masks of elements and of channels, of a module that is used twice and of one that drops nothing."""
    monkeypatch.setattr(torch_graph, "EXPORTS", (2, 6) if recorder == "exported" else (99, 0))
    torch.manual_seed(0)
    shared = nn.Dropout(0.4)
    network = nn.Sequential(
        nn.Conv1d(4, 8, 5, padding="same"), nn.ReLU(), shared, nn.Conv1d(8, 8, 3, padding="same"), nn.ReLU(), shared,
        nn.Dropout1d(0.5), nn.Dropout(0.0), nn.MaxPool1d(4), nn.Flatten(), nn.Linear(96, 20), nn.Dropout(0.3),
        nn.Linear(20, 3)).eval()
    masks = dropout_masks(network, 2, seed=1)
    sequence = np.random.default_rng(0).choice(dna.BASES, LENGTH)
    one_hot = dna.one_hot(np.concatenate([sequence[None], saturation_mutants(sequence)[0]])).swapaxes(1, 2)
    predicted = []
    for k in range(2):
        with masks.use(k), torch.no_grad():
            predicted.append(network(torch.from_numpy(np.ascontiguousarray(one_hot))).numpy())
    record = torch_graph.record(network, (4, LENGTH), masks.torch_modules)
    graph = exact.read_recorded(*record, (4, LENGTH))
    assert shared.p == 0.4 and np.abs(predicted[0] - predicted[1]).max() > 0.01
    for k in range(2):
        found = exact.Engine(graph.with_masks(dict(masks.arrays(k)))).mutants(sequence)
        np.testing.assert_allclose(found, predicted[k], rtol=0, atol=1e-5 * np.abs(predicted[k]).max())


VECTORS = {
    "slices": Function(lambda x: torch.cat([x[:, 3:], x[:, :2]], 1)), "turned": Function(lambda x: x.flip(1)),
    "unsqueezed": Function(lambda x: x.unsqueeze(-1).squeeze(-1)), "one": Function(lambda x: x[:, 3:4].repeat(1, 8)),
    "two axes": Function(lambda x: x.reshape(len(x), 2, 4).amax(2)), "repeated": Function(lambda x: x.repeat(1, 2)),
    "transposed": Function(lambda x: x.reshape(len(x), 2, 4).transpose(1, 2).flatten(1)),
    "grouped": nn.Sequential(nn.Unflatten(1, (8, 1)), nn.Conv1d(8, 12, 1, groups=4), nn.Flatten()),
}


@pytest.mark.parametrize("name", VECTORS)
@pytest.mark.parametrize("end", ["mean", "position"])
def test_each_layer_on_vectors(name, end):
    torch.manual_seed(0)
    end = Function((lambda x: x.mean(2)) if end == "mean" else lambda x: x[:, :, 17])
    n = VECTORS[name](torch.zeros(1, 8)).shape[1]
    assert_module(nn.Sequential(nn.Conv1d(4, 8, 5), nn.ELU(), end, VECTORS[name], nn.Linear(n, 3)))


class ExplaiNN(nn.Module):
    """A small network for each filter, side by side in groups (Novakovsky et al., 2023)."""

    def __init__(self, units=5, width=7):
        super().__init__()
        self.units, pooled = units, (LENGTH - width + 1) // 6
        self.inner = nn.Sequential(
            nn.Conv1d(4 * units, units, width, groups=units), nn.BatchNorm1d(units), Function(torch.exp),
            nn.MaxPool1d(6, 6), nn.Flatten(), Function(lambda x: x.unsqueeze(-1)),
            nn.Conv1d(pooled * units, 9 * units, 1, groups=units), nn.BatchNorm1d(9 * units), nn.ReLU(),
            nn.Conv1d(9 * units, units, 1, groups=units), nn.BatchNorm1d(units), nn.ReLU(), nn.Flatten())
        self.final = nn.Linear(units, 3)

    def forward(self, x):
        return self.final(self.inner(x.repeat(1, self.units, 1)))


def test_a_network_for_each_filter():
    """Of its first convolution one is left, of the bases as they are."""
    torch.manual_seed(0)
    assert_module(ExplaiNN())
    graph = exact.read_torch(ExplaiNN(), (4, LENGTH))
    kernels = [node.layer.weight.shape for node in graph.nodes if isinstance(node.layer, exact.graph.Conv)]
    assert [shape for shape in kernels if shape[0] > 1] == [(7, 4, 5)]


@pytest.mark.parametrize("joined", [torch.add, torch.maximum, lambda x, y: (x + y) / 2])
@pytest.mark.parametrize("kind", ["outputs", "convolutions"])
def test_both_strands(joined, kind):
    """The sum, the maximum or the mean over both strands, of what the network gives or of each convolution."""
    torch.manual_seed(0)
    conv = nn.Conv1d(4, 8, 6, padding=2)
    inner = nn.Sequential(conv, nn.ReLU(), nn.MaxPool1d(3), nn.Conv1d(8, 5, 3), nn.Flatten(), nn.Linear(5 * 13, 2))

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            if kind == "outputs":
                return joined(inner(x), inner(x.flip((1, 2))))
            return joined(conv(x), conv(x.flip((1, 2))).flip(2)).relu().amax(2)

    assert_module(Both())


class TwoAxes(nn.Module):
    """Two-dimensional to the end: pooling over both axes, batch normalisation, a mean over both."""

    def __init__(self, kind):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 5, (7, 2)), nn.BatchNorm2d(5), nn.ReLU(), kind((3, 2), (2, 1)),
                                    nn.Conv2d(5, 4, (3, 2), padding=(1, 1)), nn.ELU())

    def forward(self, x):
        return self.layers(x).mean((2, 3))


@pytest.mark.parametrize("kind", [nn.MaxPool2d, nn.AvgPool2d])
def test_two_dimensional_to_the_end(kind):
    torch.manual_seed(0)
    assert_module(TwoAxes(kind), (1, LENGTH, 4))


def test_bassets_layout():
    """(4, L, 1), a kernel along one of two spatial axes, a flattening by view: Basset as the zoo has it."""
    torch.manual_seed(0)
    assert_module(nn.Sequential(
        nn.Conv2d(4, 20, (9, 1)), nn.BatchNorm2d(20), nn.ReLU(), nn.MaxPool2d((3, 1), (3, 1)),
        nn.Conv2d(20, 12, (5, 1)), nn.BatchNorm2d(12), nn.ReLU(), Function(lambda x: x.view(x.size(0), -1)),
        nn.Linear(12 * 16, 10), nn.BatchNorm1d(10), nn.ELU(), nn.Dropout(0.3), nn.Linear(10, 4), nn.Sigmoid()),
        (4, 70, 1))


def test_deepseas_layout():
    torch.manual_seed(0)
    assert_module(nn.Sequential(
        nn.Conv2d(4, 16, (1, 8)), nn.Threshold(0, 1e-6), nn.MaxPool2d((1, 4), (1, 4)), nn.Dropout(0.2),
        nn.Conv2d(16, 10, (1, 4)), nn.Threshold(0, 1e-6), Function(lambda x: x.reshape(x.shape[0], 10 * 12)),
        nn.Sequential(Function(lambda x: x.view(1, -1) if x.dim() == 1 else x), nn.Linear(120, 5)), nn.Sigmoid()),
        (4, 1, 70))


@pytest.mark.parametrize("shape, kernel", [((1, 60, 4), (9, 4)), ((1, 4, 60), (4, 9)), ((60, 4), None)])
def test_other_layouts(shape, kernel):
    torch.manual_seed(0)
    if kernel is None:
        first = [Function(lambda x: x.transpose(1, 2)), nn.Conv1d(4, 6, 9)]
    else:
        first = [nn.Conv2d(1, 6, kernel), Function(lambda x: x.squeeze(3 if kernel[1] == 4 else 2))]
    assert_module(nn.Sequential(*first, nn.ReLU(), nn.Flatten(), nn.Linear(6 * 52, 2)), shape)


class Residual(nn.Module):
    """Dilated residual blocks with two heads, as BPNet in PyTorch; a dict of outputs."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(4, 24, 11, padding="same")
        self.blocks = nn.ModuleList(nn.Conv1d(24, 24, 3, padding=2**i, dilation=2**i) for i in range(1, 4))
        self.profile, self.counts = nn.Conv1d(24, 2, 9, padding=4), nn.Linear(24, 1)

    def forward(self, x):
        x = functional.relu(self.first(x))
        for block in self.blocks:
            x = x + functional.relu(block(x))
        return {"profile": self.profile(x), "counts": self.counts(x.mean(axis=2))}


def test_residual_blocks_and_a_dict_of_outputs():
    torch.manual_seed(0)
    assert_module(Residual(), names=("profile", "counts"))


class Blocks(nn.Module):
    """Pre-activation blocks (SpliceAI's), a skip connection, a cut, a softmax at each position."""

    def __init__(self):
        super().__init__()
        self.first, self.skip = nn.Conv1d(4, 16, 1), nn.Conv1d(16, 16, 1)
        self.norms = nn.ModuleList(nn.BatchNorm1d(16) for _ in range(4))
        self.convs = nn.ModuleList(nn.Conv1d(16, 16, 5, dilation=2, padding=4) for _ in range(4))
        self.last = nn.Conv1d(16, 3, 1)

    def forward(self, x):
        x = self.first(x)
        skip = self.skip(x)
        for i in (0, 2):
            y = self.convs[i](torch.relu(self.norms[i](x)))
            x = x + self.convs[i + 1](torch.relu(self.norms[i + 1](y)))
        skip = (skip + self.skip(x))[:, :, 20:-20]
        return functional.softmax(self.last(skip), dim=1)


def test_pre_activation_blocks():
    torch.manual_seed(0)
    assert_module(Blocks(), (4, 90))


@st.composite
def architectures(draw):
    step = st.one_of(
        st.tuples(st.just("conv"), st.integers(1, 40), st.integers(1, 5), st.integers(1, 3), st.integers(1, 2),
                  st.integers(0, 4)),
        st.tuples(st.just("act"), st.sampled_from(["ReLU", "ReLU", "GELU", "ELU", "Tanh"])),
        st.tuples(st.just("norm")), st.tuples(st.just("residual"), st.integers(1, 3)),
        st.tuples(st.sampled_from(["pairs", "layer norm", "gate by channels"])),
        st.tuples(st.just("pool"), st.sampled_from(["MaxPool1d", "AvgPool1d"]), st.integers(1, 3)))
    return draw(st.lists(step, min_size=1, max_size=5)), draw(st.sampled_from(ALL_POSITIONS)), draw(st.integers(0, 999))


ALL_POSITIONS = ["none", "gate", "group norm", "norm over all", "attention"]  # what changes them before the end


def last_layers(kind, channels, length):
    """A vector from rows; but for `none`, every mutation changes all rows on the way."""
    flat = [nn.Flatten(), nn.Linear(channels * length, 3)]
    if kind == "attention":
        return [Attended(channels)]
    return {"none": [], "gate": [SqueezeAndExcitation(channels), nn.BatchNorm1d(channels)],
            "group norm": [nn.GroupNorm(1, channels), nn.Conv1d(channels, channels, 3, padding=1)],
            "norm over all": [nn.LayerNorm((channels, length))]}[kind] + (
                [nn.AdaptiveAvgPool1d(1), nn.Flatten()] if kind == "group norm" else flat)


class Attended(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.logits = nn.Conv1d(channels, 1, 1)

    def forward(self, x):
        return (x * self.logits(x).softmax(2)).sum(2)


class SqueezeAndExcitation(nn.Module):
    def __init__(self, channels=8):
        super().__init__()
        self.gate = nn.Sequential(nn.AdaptiveAvgPool1d(1), nn.Conv1d(channels, 3, 1), nn.ReLU(),
                                  nn.Conv1d(3, channels, 1), nn.Sigmoid())

    def forward(self, x):
        return x * self.gate(x)


class AttentionPooling(nn.Module):
    """Of each two positions a weighted mean: Enformer's."""

    def __init__(self, channels):
        super().__init__()
        self.logits = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x):
        x = x.reshape(*x.shape[:2], -1, 2)
        return (x * self.logits(x).softmax(-1)).sum(-1)


class Add(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return x + self.inner(x)


@fewer(10)
@given(architectures())
def test_random_architectures(drawn):
    steps, end, seed = drawn
    torch.manual_seed(seed)
    layers, channels, length = built(steps)
    assert_module(nn.Sequential(*layers, *last_layers(end, channels, length)), must_change=False)


def built(steps):
    """Layers that were drawn, and what the last one gives: channels, positions."""
    layers, channels, length = [], 4, LENGTH
    for kind, *settings_of in steps:
        if kind == "conv":
            out, width, dilation, stride, padding = settings_of
            layers.append(nn.Conv1d(channels, out, width, stride, padding, dilation))
            channels = out
        elif kind == "act":
            layers.append(getattr(nn, settings_of[0])())
        elif kind == "norm":
            layers.append(nn.BatchNorm1d(channels))
        elif kind == "pairs":
            layers.append(nn.Sequential(nn.ConstantPad1d((length % 2, 0), 0.0), AttentionPooling(channels)))
        elif kind == "layer norm":
            turn = [Function(lambda x: x.transpose(1, 2)) for _ in range(2)]
            layers.append(nn.Sequential(turn[0], nn.LayerNorm(channels, eps=0.1), turn[1]))
        elif kind == "gate by channels":
            layers.append(Function(lambda x: x * torch.sigmoid(x[:, :1])))
        elif kind == "residual":
            layers.append(Add(nn.Sequential(nn.Conv1d(channels, channels, 3, padding="same", dilation=settings_of[0]),
                                            nn.ReLU())))
        else:
            layers.append(getattr(nn, settings_of[0])(settings_of[1]))
        length = nn.Sequential(*layers).eval()(torch.zeros(1, 4, LENGTH)).shape[2]
        if length < 12:
            break
    return layers, channels, length


class Recurrent(nn.Module):
    def __init__(self, kind, channels=8):
        super().__init__()
        self.inner = (kind(channels, channels // 2, batch_first=True, bidirectional=True) if channels % 2 == 0
                      else kind(channels, channels, batch_first=True))

    def forward(self, x):
        return self.inner(x.transpose(1, 2))[0].transpose(1, 2)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        y = x.transpose(1, 2)
        return x + self.inner(y, y, y)[0].transpose(1, 2)


SPLIT = {
    "lstm": lambda: Recurrent(nn.LSTM), "gru": lambda: Recurrent(nn.GRU), "attention": Attention,
    "transformer": lambda: nn.Sequential(Function(lambda x: x.transpose(1, 2)),
                                         nn.TransformerEncoderLayer(8, 2, 12, batch_first=True),
                                         Function(lambda x: x.transpose(1, 2))),
    "squeeze and excitation": SqueezeAndExcitation,
    "normalised over positions": lambda: nn.LayerNorm((8, 42)), "group norm": lambda: nn.GroupNorm(2, 8),
    "softmax over positions": lambda: nn.Softmax(dim=2),
}


@pytest.mark.parametrize("name", SPLIT)
def test_what_is_not_known_is_computed_by_the_module_itself(name):
    torch.manual_seed(0)
    assert_module(nn.Sequential(nn.Conv1d(4, 8, 7), nn.ReLU(), SPLIT[name](), nn.Conv1d(8, 6, 3), nn.ELU(),
                                nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(6, 2)), split=True)


UNKNOWN = {"gru": lambda n: Recurrent(nn.GRU, n), "sorted": lambda n: Function(lambda x: x.sort(1)[0]),
           "running sum": lambda n: Function(lambda x: x.cumsum(2) / x.shape[2])}


@fewer(10)
@given(architectures(), st.integers(0, 99), st.sampled_from(list(UNKNOWN)), st.booleans())
def test_random_architectures_with_an_unknown_layer(drawn, at, kind, skipped):
    """At a random place, known layers before and after it, a skip over it or none."""
    steps, _, seed = drawn
    torch.manual_seed(seed)
    layers, channels, length = built(steps)
    sizes = [nn.Sequential(*layers[:k]).eval()(torch.zeros(1, 4, LENGTH)).shape[1] for k in range(len(layers) + 1)]
    place = 1 + at % len(layers)
    unknown = UNKNOWN[kind](sizes[place])
    layers.insert(place, Add(unknown) if skipped else unknown)
    module = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * length, 3))
    assert_module(module, must_change=False, split=True)


class Skips(nn.Module):
    """The sequence itself, and a known output, pass by what is not known."""

    def __init__(self):
        super().__init__()
        self.conv, self.inner = nn.Conv1d(4, 8, 7, padding=3), Recurrent(nn.GRU)

    def forward(self, x):
        y = self.conv(x).relu()
        return {"profile": self.inner(y) + y, "early": y.mean(2), "late": self.inner(y)[:, :4].mean(2) * x.mean(2)}


def test_a_split_module_with_several_outputs():
    torch.manual_seed(0)
    assert_module(Skips(), split=True, names=("profile", "early", "late"))


@pytest.mark.parametrize("layer", [nn.Softmax(dim=2), Function(lambda x: x.cumsum(2)),
                                   Function(lambda x: x.sort(1)[0])])
def test_an_unknown_operation_is_named(layer):
    """A maximum of a softmax over positions is none of the sums that are known."""
    with pytest.raises(exact.UnknownLayer, match="(operation|layer) .*(max_pool1d|cumsum|sort)"):
        exact.read_torch(nn.Sequential(nn.Conv1d(4, 3, 5), layer, nn.AdaptiveMaxPool1d(1)), (4, LENGTH))


def test_a_recurrent_or_a_data_dependent_module_is_refused():
    looks = "looks at the values of its input \\((__bool__|item) of a tensor\\)"
    for function, says in ((lambda x: x if x.sum() > 0 else -x, looks), (lambda x: x * x.max().item(), looks),
                           (lambda x: torch.fft.fft(x).abs(), "fft"), (lambda x: x @ x, "cannot record its network")):
        with pytest.raises(exact.UnknownLayer, match=says):
            exact.read_torch(Function(function), (4, LENGTH))


@pytest.mark.parametrize("function", [
    lambda x: x if x.sum() > 0 else -x, lambda x: x / x.max().item(), lambda x: x * float(x[0, 0, 0]),
    lambda x: x[:, :, :int(x.sum())], lambda x: x * float(np.asarray(x).max()),
    lambda x: x if torch.allclose(x, x.relu()) else -x])
def test_a_module_that_looks_at_its_input_is_refused_by_name(function):
    module = nn.Sequential(nn.Conv1d(4, 3, 5), Function(function), nn.GRU(44, 3))
    with pytest.raises(exact.UnknownLayer, match="looks at the values of its input"):
        exact.read_torch(module, (4, LENGTH), split=True)


def test_the_module_is_left_as_it_was():
    module = nn.Sequential(nn.Conv1d(4, 3, 5), nn.Dropout(), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    module.train()
    exact.read_torch(module, (4, LENGTH))
    assert module.training and all(layer.training for layer in module)


@pytest.mark.parametrize("at", [0, 2])
def test_weights_that_are_no_numbers_are_refused_by_name(at):
    """Before the cut and after it."""
    module = nn.Sequential(nn.Conv1d(4, 3, 5), nn.ReLU(), nn.GroupNorm(1, 3))
    with torch.no_grad():
        module[at].weight[-1] = float("nan")
    with pytest.raises(exact.UnknownLayer, match=r"operation (conv1d|group_norm) .*no numbers \(NaN\)"):
        exact.read_torch(module, (4, LENGTH), split=True)
