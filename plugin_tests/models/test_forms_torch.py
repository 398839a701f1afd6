"""Forms of PyTorch's layers: which engine computes each, and its largest error against every mutant as a whole.

Each table is one network with an output a form, so that one record and one engine serve for all. A form that falls
back from exact to split fails its table.
"""

import numpy as np
import pytest
from exact_forms import LENGTH, assert_engines, one_hot_mutants
from torch_modules import Function

from kipoi_deepmr import exact
from kipoi_deepmr.models.host import torch_graph

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional
CHANNELS, ROWS = 8, LENGTH - 4  # after the first convolution


class Gate(nn.Module):
    """Squeeze and excitation, as it is written with convolutions, or with linear layers and a view."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.last = kind, nn.Sigmoid()
        layer = (lambda n_in, n: nn.Conv1d(n_in, n, 1)) if kind == "conv" else nn.Linear
        self.down, self.up = layer(CHANNELS, 3), layer(3, CHANNELS)

    def forward(self, x):
        if self.kind == "conv":
            return x * self.last(self.up(functional.silu(self.down(x.mean(2, keepdim=True)))))
        gate = self.last(self.up(functional.relu(self.down(functional.adaptive_avg_pool1d(x, 1).flatten(1)))))
        return x * gate.view(x.size(0), -1, 1).expand_as(x)


class Pairs(nn.Module):
    """Of each two positions a mean weighted by a softmax: Enformer's attention pooling."""

    def __init__(self):
        super().__init__()
        self.logits = nn.Conv2d(CHANNELS, CHANNELS, 1, bias=False)

    def forward(self, x):
        x = x.reshape(x.shape[0], x.shape[1], -1, 2)
        return (x * self.logits(x).softmax(-1)).sum(-1)


class Attention(nn.Module):
    """Of all positions a weighted mean, by one softmax or several."""

    def __init__(self, heads, how):
        super().__init__()
        self.logits, self.how = nn.Linear(CHANNELS, heads), how

    def forward(self, x):
        rows = x.transpose(1, 2)
        weights = self.logits(rows).softmax(1)
        if self.how == "product":
            return (rows * weights).sum(1)
        if self.how == "einsum":
            return torch.einsum("blh,blc->bhc", weights, rows).flatten(1)
        return torch.bmm(weights.transpose(1, 2), rows).flatten(1)


class GateAndSkip(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.gate = nn.Conv1d(CHANNELS, CHANNELS, 3, padding=1), Gate("linear")

    def forward(self, x):
        return (x + self.gate(self.conv(x)))[:, :, 3:-1].mean(2)


def by_position(layer):
    return nn.Sequential(Function(lambda x: x.transpose(1, 2)), layer, Function(lambda x: x.transpose(1, 2)))


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(CHANNELS, CHANNELS, 3, padding=1)

    def forward(self, x):
        return self.conv(self.conv(x).relu()) + x


def matrix(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


F, W, W_WIDE = Function, matrix(CHANNELS, CHANNELS), matrix(5, CHANNELS)
POSITIONS, PLANE = torch.linspace(0, 1, ROWS), matrix(CHANNELS, ROWS)

# rows to rows; a convolution and an activation follow
ALONG = {
    "attention pooling of pairs": Pairs(), "layer norm": by_position(nn.LayerNorm(CHANNELS)),
    "rms norm": by_position(nn.RMSNorm(CHANNELS)) if hasattr(nn, "RMSNorm") else nn.Identity(),
    "unit norm": F(lambda x: functional.normalize(x, dim=1)), "deviation": F(lambda x: x - x.std(1, keepdim=True)),
    "every third from behind": F(lambda x: x.flip(2)[:, :, 1::3]), "last positions": F(lambda x: x[..., -20:]),
    "flip and step": F(lambda x: x.flip(1)[:, ::2]), "rolled": F(lambda x: torch.roll(x, 3, 2)),
    "positions by number": F(lambda x: x[:, :, [3, 1, 2, 30]]), "channels by number": F(lambda x: x[:, [3, 1, 2]]),
    "unsqueeze": F(lambda x: x.unsqueeze(1).squeeze(1)), "expand": F(
        lambda x: x.unsqueeze(2).expand(-1, -1, 2, -1).flatten(1, 2)), "repeated": F(lambda x: x.repeat(1, 2, 2)),
    "end to end": F(lambda x: torch.cat([x, -x], 2)), "stacked": F(lambda x: torch.stack([x, x.flip(2)], 1).mean(1)),
    "stacked, max": F(lambda x: torch.stack([x, x.flip(1)], -1).amax(-1)), "unbound": F(
        lambda x: torch.stack(x.unbind(1)[2:5], 1)), "with a constant": F(
        lambda x: torch.cat([x, torch.ones(x.shape[0], 2, ROWS)], 1)), "differences": F(
        lambda x: x[:, :, 1:] - x[:, :, :-1]), "windows": F(lambda x: x.unfold(2, 4, 2).amax(-1)),
    "pad": F(lambda x: functional.pad(x, (2, 3), value=1.5)), "pad channels": F(
        lambda x: functional.pad(x, (-1, 0, 1, 2))), "reflected": nn.ReflectionPad1d(3),
    "replicated": nn.ReplicationPad1d((2, 3)), "circular": nn.Conv1d(
        CHANNELS, 5, 5, padding=2, padding_mode="circular"),
    "einsum": F(lambda x: torch.einsum("bcl,dc->bdl", x, W_WIDE)), "matmul from the left": F(lambda x: W_WIDE @ x),
    "matmul": F(lambda x: torch.matmul(x.transpose(1, 2), W).transpose(1, 2)),
    "gelu": nn.GELU("tanh"), "silu": nn.SiLU(), "softplus": nn.Softplus(beta=2), "mish": nn.Mish(),
    "hardswish": nn.Hardswish(), "log sigmoid": nn.LogSigmoid(), "softsign": nn.Softsign(), "celu": nn.CELU(0.5),
    "softshrink": nn.Softshrink(0.2), "hardshrink": nn.Hardshrink(0.2), "log softmax": nn.LogSoftmax(1),
    "sine": F(torch.sin), "powers": F(lambda x: torch.rsqrt(x * x + 1) + (1 + x.abs()) ** 1.5),
    "quotient": F(lambda x: x / (1 + x.exp())), "at most": F(lambda x: torch.minimum(x, torch.tensor(0.3))),
    "glu": nn.GLU(1), "sigmoid gate": F(lambda x: x * torch.sigmoid(1.702 * x)), "one channel's gate": F(
        lambda x: x * torch.sigmoid(x[:, :1])), "weights of positions": F(lambda x: x * POSITIONS + PLANE),
    "depthwise": nn.Conv1d(CHANNELS, 16, 3, groups=CHANNELS, padding=1),
    "grouped": nn.Conv1d(CHANNELS, 12, 3, groups=4),
    "transposed, grouped": nn.ConvTranspose1d(CHANNELS, CHANNELS, 4, stride=2, groups=4, padding=1),
    "transposed, dilated": nn.ConvTranspose1d(CHANNELS, 5, 3, stride=2, dilation=2, output_padding=1),
    "average, ceil": nn.AvgPool1d(3, 2, padding=1, ceil_mode=True), "average, ceil, padding not counted": nn.AvgPool1d(
        4, 3, padding=1, ceil_mode=True, count_include_pad=False),
    "max, ceil": nn.MaxPool1d(4, 3, padding=2, ceil_mode=True), "max, dilated": nn.MaxPool1d(3, 2, dilation=2),
    "adaptive average": nn.AdaptiveAvgPool1d(4), "adaptive max": nn.AdaptiveMaxPool1d(5), "prelu": nn.PReLU(CHANNELS),
    "dropout of channels": nn.Dropout1d(), "depth to space": F(
        lambda x: x.reshape(len(x), 4, 2, -1).permute(0, 1, 3, 2).reshape(len(x), 4, -1)),
    "space to depth": F(lambda x: x.reshape(len(x), CHANNELS, -1, 2).permute(0, 1, 3, 2).flatten(1, 2)),
    "weight norm": nn.utils.parametrizations.weight_norm(nn.Conv1d(CHANNELS, 6, 3)),
    "spectral norm": nn.utils.parametrizations.spectral_norm(nn.Conv1d(CHANNELS, 6, 3)),
    "upsampled": nn.Upsample(scale_factor=2), "shuffled": nn.ChannelShuffle(2), "a layer twice": Shared(),
    "two dimensions": nn.Sequential(F(lambda x: x.unsqueeze(2)), nn.BatchNorm2d(CHANNELS), nn.Conv2d(
        CHANNELS, 6, (1, 3)), nn.AvgPool2d((1, 2)), F(lambda x: x.squeeze(2))),
}
# rows to a vector, after which nothing follows
ENDS = {
    "gate, mean": nn.Sequential(Gate("conv"), nn.AdaptiveAvgPool1d(1), nn.Flatten()),
    "gate, max": nn.Sequential(Gate("linear"), nn.AdaptiveMaxPool1d(1), nn.Flatten()),
    "gate, dense": nn.Sequential(Gate("linear"), nn.Flatten(), nn.Linear(CHANNELS * ROWS, 3)),
    "gate, convolution, mean": nn.Sequential(Gate("conv"), nn.Conv1d(CHANNELS, 6, 3, padding=1), nn.BatchNorm1d(6), F(
        lambda x: x.mean(2))),
    "gate and skip": GateAndSkip(),
    "group norm, mean": nn.Sequential(nn.GroupNorm(2, CHANNELS), F(lambda x: (x * POSITIONS).sum(2))),
    "instance norm, max": nn.Sequential(nn.InstanceNorm1d(CHANNELS, affine=True), F(lambda x: x.amax(2))),
    "norm over all, dense": nn.Sequential(nn.LayerNorm((CHANNELS, ROWS)), nn.Flatten(), nn.Linear(CHANNELS * ROWS, 3)),
    "attention": Attention(1, "product"), "attention by channel": Attention(CHANNELS, "product"),
    "attention, several": Attention(3, "einsum"), "attention by matrices": Attention(2, "bmm"),
    "softmax mean": F(lambda x: (x * x.softmax(2)).sum(2)), "moments": F(
        lambda x: torch.cat([x.mean(2), x.std(2), x.var(2, unbiased=False)], 1)), "norm": F(lambda x: x.norm(dim=2)),
    "least": F(lambda x: x.amin(2) + x.min(2)[0]), "batch norm after flatten": nn.Sequential(
        nn.Flatten(), nn.BatchNorm1d(CHANNELS * ROWS), nn.Linear(CHANNELS * ROWS, 3), nn.BatchNorm1d(3)),
    "norms of vectors": nn.Sequential(F(lambda x: x.mean(2)), nn.LayerNorm(CHANNELS), nn.GroupNorm(2, CHANNELS)),
    "glu of vectors": nn.Sequential(F(lambda x: x.amax(2)), nn.GLU()), "gate of vectors": F(
        lambda x: x.mean(2) * x.amax(2).softmax(1)), "both strands": F(
        lambda x: torch.maximum(x.mean(2), x.flip((1, 2)).amax(2))),
}
# what follows needs each position by itself, or nobody knows the operation
SPLIT = {
    "gate, then ReLU": nn.Sequential(Gate("conv"), nn.ReLU(), F(lambda x: x.mean(2))),
    "group norm, then GELU": nn.Sequential(nn.GroupNorm(2, CHANNELS), nn.GELU(), F(lambda x: x.mean(2))),
    "gated profile": Gate("linear"), "cumulated": F(lambda x: x.cumsum(2).mean(2)), "median": F(
        lambda x: x.median(2)[0]), "to float16": F(lambda x: x.mean(2).half().float()),
}
TABLES = {"along": ALONG, "ends": ENDS, "split": {"known": ENDS["gate, mean"], **SPLIT}}


class Table(nn.Module):
    """The output of each form behind one convolution."""

    def __init__(self, forms, tails):
        super().__init__()
        self.first = nn.Conv1d(4, CHANNELS, 5)
        self.names, self.forms = list(forms), nn.ModuleList(forms.values())
        self.tails = nn.ModuleList(tails)

    def forward(self, x):
        x = functional.elu(self.first(x))
        return {name: tail(form(x)) for name, form, tail in zip(self.names, self.forms, self.tails,
                                                                strict=True)}


def network(name):
    torch.manual_seed(0)
    forms = {key: form.eval() for key, form in TABLES[name].items()}
    tails = [nn.Identity()] * len(forms)
    if name == "along":
        with torch.no_grad():
            channels = [form(torch.zeros(2, CHANNELS, ROWS)).shape[1] for form in forms.values()]
        tails = [nn.Sequential(nn.Conv1d(n, 3, 3, padding=1), nn.ELU(), F(lambda x: x.mean(2))) for n in channels]
    table = Table(forms, tails).eval()
    for key, buffer in table.named_buffers():
        if key.endswith("running_var"):
            buffer.uniform_(0.3, 1.3)
        elif key.endswith("running_mean"):
            buffer.normal_(0, 0.2)
    return table


@pytest.mark.parametrize("recorder", ["exported", "traced"])
@pytest.mark.parametrize("name", TABLES)
def test_forms(name, recorder, monkeypatch):
    """PyTorch before 2.6 has the trace alone."""
    monkeypatch.setattr(torch_graph, "EXPORTS", (2, 6) if recorder == "exported" else (99, 0))
    table = network(name)
    sequence, one_hot = one_hot_mutants()
    with torch.no_grad():
        expected = table(torch.from_numpy(np.ascontiguousarray(one_hot.swapaxes(1, 2))))
    expected = {key: (value if value.ndim < 3 else value.swapaxes(1, 2)).numpy() for key, value in expected.items()}
    graph = exact.read_torch(table, (4, LENGTH), split=True)
    assert_engines(graph, expected, sequence, SPLIT if name == "split" else ())


@pytest.mark.parametrize("form", SPLIT)
def test_a_form_that_is_not_exact_is_named_in_one_line(form):
    table = Table({form: SPLIT[form].eval()}, [nn.Identity()]).eval()
    with pytest.raises(exact.UnknownLayer, match="operation|layer|output") as refused:
        exact.read_torch(table, (4, LENGTH))
    assert "\n" not in str(refused.value)


def test_a_softmax_over_positions_whose_mutants_reach_far_above_the_reference():
    """No exponential overflows, none vanishes."""
    class Large(nn.Module):
        def __init__(self):
            super().__init__()
            self.logits, self.values = nn.Conv1d(4, 3, 3), nn.Conv1d(4, 3, 3)

        def forward(self, x):
            return ((5000 * self.logits(x)).softmax(2) * self.values(x)).sum(2)

    torch.manual_seed(0)
    module = Large().double().eval()
    sequence, one_hot = one_hot_mutants(12)
    with torch.no_grad():
        expected = module(torch.from_numpy(np.ascontiguousarray(one_hot.swapaxes(1, 2))).double()).numpy()
    graph = exact.read_torch(module.float(), (4, 12))
    found = exact.Engine(graph).mutants(sequence)
    # float32 holds such logits to 1e-3 only
    assert np.isfinite(found).all()
    assert np.quantile(np.abs(found - expected).max(1), 0.9) < 1e-2 * np.abs(expected).max()
