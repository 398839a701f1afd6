"""Which engine predicts the mutants of known architectures, how much faster than naive, and with what error.

    python benchmarks/architectures.py [--only NAME ...]

Each network has the layers of the published one and random weights; where the original is too large for a few minutes,
the sequence is shorter and there are fewer blocks or channels, and the row says so. Naive is the framework's own
fastest call (`tf.function`, or PyTorch without gradients), 60 mutants in one batch. Times are CPU-seconds of the
process, with one thread each: what the mutants of 20 positions more take, by either, the least of three calls. The
error is the largest difference of an effect of these mutants over the largest effect.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402

from kipoi_deepmr import dna, exact  # noqa: E402
from kipoi_deepmr.models.host import saturation  # noqa: E402

FEW, MANY = 2, 22  # positions whose mutants are predicted
REPEATS = 3


def keras_net(length, layers, classes=8, sigmoid=True):
    """A Keras model from a function that adds layers to the input."""
    import keras

    keras.utils.set_random_seed(0)
    first = keras.Input((length, 4))
    out = layers(keras.layers, first)
    if classes:
        out = keras.layers.Dense(classes, activation="sigmoid" if sigmoid else None)(out)
    return keras.Model(first, out)


def bpnet(filters=64, blocks=9, width=25, length=1000, tasks=4):
    def layers(k, x):
        x = k.Conv1D(filters, width, padding="same", activation="relu")(x)
        for i in range(1, blocks + 1):
            x = k.Add()([x, k.Conv1D(filters, 3, padding="same", dilation_rate=2**i, activation="relu")(x)])
        profile = k.Conv1D(2 * tasks, 25, padding="same", name="profile")(x)
        return [profile, k.Dense(2 * tasks, name="counts")(k.GlobalAveragePooling1D()(x))]
    return keras_net(length, layers, 0)


def chrombpnet(length=2114, filters=128):
    """Valid convolutions, a crop of each skip; the bias network beside it, frozen."""
    def one(k, x, filters, blocks):
        y = k.Conv1D(filters, 21, activation="relu")(x)
        for i in range(1, blocks + 1):
            z = k.Conv1D(filters, 3, dilation_rate=2**i, activation="relu")(y)
            y = k.Add()([z, k.Cropping1D(2**i)(y)])
        return k.Conv1D(1, 75)(y), k.Dense(1)(k.GlobalAveragePooling1D()(y))

    def layers(k, x):
        (profile, counts), (bias, more) = one(k, x, filters, 8), one(k, x, filters, 4)
        cut = (bias.shape[1] - profile.shape[1]) // 2
        return [k.Add()([profile, k.Cropping1D(cut)(bias)]), k.Concatenate()([counts, more])]
    return keras_net(length, layers, 0)


def bpreveal(length=2000):
    return bpnet(80, 8, 7, length, 2)


def basset_like(length, filters, widths, pools, dense, classes=16, activation="relu"):
    def layers(k, x):
        for n, width, pool in zip(filters, widths, pools, strict=True):
            x = k.Activation(activation)(k.BatchNormalization()(k.Conv1D(n, width, padding="same")(x)))
            x = k.MaxPooling1D(pool)(x) if pool > 1 else x
        x = k.Flatten()(x)
        for n in dense:
            x = k.Dropout(0.3)(k.Activation(activation)(k.BatchNormalization()(k.Dense(n)(x))))
        return x
    return keras_net(length, layers, classes)


def deepstarr():
    return basset_like(249, (256, 60, 60, 120), (7, 3, 5, 3), (2, 2, 2, 2), (256, 256), 2)


def crested(channels=128):
    """CREsted's dilated_cnn for topics and peaks."""
    def layers(k, x):
        x = k.Activation("gelu")(k.BatchNormalization()(k.Conv1D(channels, 17, padding="valid")(x)))
        for i in range(1, 9):
            y = k.Activation("relu")(k.BatchNormalization()(k.Conv1D(channels, 3, dilation_rate=2**i)(x)))
            x = k.Add()([y, k.Cropping1D((x.shape[1] - y.shape[1]) // 2)(x)])
        return k.GlobalAveragePooling1D()(x)
    return keras_net(1600, layers, 16)


def with_lstm(length=500, filters=128):
    """DeepMEL, DeepFlyBrain, DeepLiver: both strands through a convolution, a layer at each row, and an LSTM."""
    def layers(k, x):
        conv, pool = k.Conv1D(filters, 20, activation="relu"), k.MaxPooling1D(10)
        dense, memory = k.TimeDistributed(k.Dense(filters, activation="relu")), k.Bidirectional(
            k.LSTM(64, return_sequences=True))
        last, flat = k.Dense(64, activation="relu"), k.Flatten()
        both = [k.Dropout(0.2)(last(flat(memory(dense(pool(conv(strand))))))) for strand in (x, x[:, ::-1, ::-1])]
        return k.Maximum()(both)
    return keras_net(length, layers, 24)


def deepcpg():
    """Residual blocks in the DNA network (CnnL2h128 and ResNet forms): here two convolutions and one dense layer."""
    return basset_like(1001, (128, 256), (11, 3), (4, 2), (128,), 25)


def factornet():
    """The DNA part: a convolution, dropout, a time-distributed dense layer, a pool, a bidirectional LSTM."""
    def layers(k, x):
        x = k.Conv1D(32, 26, activation="relu")(x)
        x = k.MaxPooling1D(13)(k.TimeDistributed(k.Dense(32, activation="relu"))(x))
        return k.Dense(128, activation="relu")(k.Flatten()(k.Bidirectional(k.LSTM(32, return_sequences=True))(x)))
    return keras_net(1002, layers, 19)


def mtsplice():
    """One of its two sides: dilated residual blocks, then a spline weight over positions and a mean."""
    def layers(k, x):
        x = k.Conv1D(64, 9, padding="same", activation="relu")(x)
        for i in range(1, 9):
            x = k.Add()([x, k.Conv1D(64, 2, padding="same", dilation_rate=2**i, activation="relu")(
                k.BatchNormalization()(x))])
        return k.Dense(32, activation="relu")(k.GlobalAveragePooling1D()(x))
    return keras_net(400, layers, 56, False)


def mpra_dragonn():
    return basset_like(145, (120, 120, 120), (5, 5, 5), (1, 1, 1), (), 12)


def scbasset():
    return basset_like(1344, (288, 288, 323, 363, 407, 456, 512), (17, 5, 5, 5, 5, 5, 5), (3, 2, 2, 2, 2, 2, 2),
                       (32,), 64, "gelu")


def basenji(length=8192, channels=96):
    """Pools of the trunk, dilated residual blocks of two convolutions, an output a bin."""
    def layers(k, x):
        for width, pool in ((22, 2), (1, 1), (6, 4), (6, 4), (3, 4)):
            x = k.ReLU()(k.BatchNormalization()(k.Conv1D(channels, width, padding="same")(x)))
            x = k.MaxPooling1D(pool)(x) if pool > 1 else x
        for i in range(4):
            y = k.ReLU()(k.BatchNormalization()(k.Conv1D(48, 3, padding="same", dilation_rate=2**i)(x)))
            x = k.Concatenate()([x, y])
        return k.Conv1D(32, 1, activation="softplus")(x)
    return keras_net(length, layers, 0)


def torch_net(length, make, shape=None):
    import torch

    torch.manual_seed(0)
    return make(torch, torch.nn).eval(), shape or (4, length)


def basset():
    def make(torch, nn):
        return nn.Sequential(
            nn.Conv2d(4, 300, (19, 1)), nn.BatchNorm2d(300), nn.ReLU(), nn.MaxPool2d((3, 1), (3, 1)),
            nn.Conv2d(300, 200, (11, 1)), nn.BatchNorm2d(200), nn.ReLU(), nn.MaxPool2d((4, 1), (4, 1)),
            nn.Conv2d(200, 200, (7, 1)), nn.BatchNorm2d(200), nn.ReLU(), nn.MaxPool2d((4, 1), (4, 1)), nn.Flatten(),
            nn.Linear(2000, 1000), nn.BatchNorm1d(1000), nn.ReLU(), nn.Dropout(0.3), nn.Linear(1000, 164), nn.Sigmoid())
    return torch_net(600, make, (4, 600, 1))


def attended():
    """DeepSTARR's convolutions, then a mean over positions weighted by a softmax."""
    def layers(k, x):
        for n, width in ((256, 7), (60, 3), (60, 5), (120, 3)):
            x = k.MaxPooling1D(2)(k.ReLU()(k.BatchNormalization()(k.Conv1D(n, width, padding="same")(x))))
        x = k.Flatten()(k.Dot(1)([k.Softmax(axis=1)(k.Dense(1)(x)), x]))
        return k.ReLU()(k.Dense(256)(x))
    return keras_net(249, layers, 2)


def gated_last():
    """Residual blocks as ResNet's, squeeze and excitation of the last one, a mean over positions."""
    def layers(k, x):
        x = k.Conv1D(96, 15, padding="same", activation="relu")(x)
        for i in range(5):
            y = k.ReLU()(k.BatchNormalization()(k.Conv1D(96, 5, padding="same", dilation_rate=2**i)(x)))
            y = k.BatchNormalization()(k.Conv1D(96, 5, padding="same")(y))
            x = k.ReLU()(k.Add()([x, y])) if i < 4 else x
        gate = k.Dense(96, activation="sigmoid")(k.Dense(12, activation="relu")(k.GlobalAveragePooling1D()(y)))
        return k.GlobalAveragePooling1D()(k.Add()([x, k.Multiply()([y, k.Reshape((1, 96))(gate)])]))
    return keras_net(500, layers, 8)


def legnet(sizes=(256, 128, 128, 64, 64, 64, 64), length=230):
    """Inverted bottlenecks with squeeze and excitation from the first block on, as EfficientNet's."""
    def make(torch, nn):
        def local(n_in, n, width, groups=1):
            return nn.Sequential(nn.Conv1d(n_in, n, width, padding="same", groups=groups, bias=False),
                                 nn.BatchNorm1d(n), nn.SiLU())

        class Gate(nn.Module):
            def __init__(self, n):
                super().__init__()
                self.inner = nn.Sequential(nn.Linear(n, n // 4), nn.SiLU(), nn.Linear(n // 4, n), nn.Sigmoid())

            def forward(self, x):
                return x * self.inner(x.mean(2)).unsqueeze(2)

        class Beside(nn.Module):
            def __init__(self, n):
                super().__init__()
                self.inner = nn.Sequential(local(n, 4 * n, 1), local(4 * n, 4 * n, 7, 4 * n), Gate(4 * n),
                                           local(4 * n, n, 1))

            def forward(self, x):
                return torch.cat([x, self.inner(x)], 1)

        layers = [local(4, sizes[0], 7)]
        for n_in, n in zip(sizes, (*sizes[1:], sizes[-1]), strict=True):
            layers += [Beside(n_in), local(2 * n_in, n, 7)]
        return nn.Sequential(*layers, nn.Conv1d(sizes[-1], 256, 1), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
                             nn.Linear(256, 18))
    return torch_net(length, make)


def deepsea():
    def make(torch, nn):
        return nn.Sequential(
            nn.Conv2d(4, 320, (1, 8)), nn.Threshold(0, 1e-6), nn.MaxPool2d((1, 4), (1, 4)), nn.Dropout(0.2),
            nn.Conv2d(320, 480, (1, 8)), nn.Threshold(0, 1e-6), nn.MaxPool2d((1, 4), (1, 4)), nn.Dropout(0.2),
            nn.Conv2d(480, 960, (1, 8)), nn.Threshold(0, 1e-6), nn.Dropout(0.5), nn.Flatten(),
            nn.Linear(960 * 53, 925), nn.Threshold(0, 1e-6), nn.Linear(925, 919), nn.Sigmoid())
    return torch_net(1000, make, (4, 1, 1000))


def cpgenie():
    def make(torch, nn):
        layers, n_in = [], 4
        for n in (128, 256, 512):
            layers += [nn.Conv2d(n_in, n, (1, 5), padding=(0, 2)), nn.ReLU(), nn.MaxPool2d((1, 5), (1, 3))]
            n_in = n
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(512 * 36, 64), nn.ReLU(), nn.Linear(64, 2),
                             nn.Softmax(-1))
    return torch_net(1001, make, (4, 1, 1001))


def explainn(units=100):
    def make(torch, nn):
        class Exp(nn.Module):
            def forward(self, x):
                return torch.exp(x)

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = nn.Sequential(
                    nn.Conv1d(4 * units, units, 19, groups=units), nn.BatchNorm1d(units), Exp(), nn.MaxPool1d(7, 7),
                    nn.Flatten(), nn.Unflatten(1, (26 * units, 1)), nn.Conv1d(26 * units, 100 * units, 1, groups=units),
                    nn.BatchNorm1d(100 * units), nn.ReLU(), nn.Conv1d(100 * units, units, 1, groups=units),
                    nn.BatchNorm1d(units), nn.ReLU(), nn.Flatten())
                self.final = nn.Linear(units, 3)

            def forward(self, x):
                return self.final(self.inner(x.repeat(1, units, 1)))
        return Net()
    return torch_net(200, make)


def bpnet_lite():
    def make(torch, nn):
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.first = nn.Conv1d(4, 64, 21, padding=10)
                self.blocks = nn.ModuleList(nn.Conv1d(64, 64, 3, padding=2**i, dilation=2**i) for i in range(1, 9))
                self.profile, self.counts = nn.Conv1d(64, 2, 75, padding=37), nn.Linear(64, 1)

            def forward(self, x):
                x = torch.relu(self.first(x))
                for block in self.blocks:
                    x = x + torch.relu(block(x))
                return self.profile(x)[:, :, 557:-557], self.counts(x[:, :, 520:-520].mean(2))
        return Net()
    return torch_net(2114, make)


def spliced(channels, widths, dilations, length, around, end):
    """OpenSpliceAI and Pangolin: pre-activation blocks, a skip every four of them, a cut to the bases asked for."""
    def make(torch, nn):
        class Block(nn.Module):
            def __init__(self, width, dilation):
                super().__init__()
                pad = dilation * (width - 1) // 2
                self.inner = nn.Sequential(*(layer for _ in range(2) for layer in (
                    nn.BatchNorm1d(channels), nn.LeakyReLU(0.1),
                    nn.Conv1d(channels, channels, width, padding=pad, dilation=dilation))))

            def forward(self, x):
                return x + self.inner(x)

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.first, self.last = nn.Conv1d(4, channels, 1), nn.Conv1d(channels, 3, 1)
                self.blocks = nn.ModuleList(map(Block, widths, dilations))
                self.skips = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in range(1 + len(widths) // 4))

            def forward(self, x):
                x = self.first(x)
                total = self.skips[0](x)
                for i, block in enumerate(self.blocks):
                    x = block(x)
                    if i % 4 == 3:
                        total = total + self.skips[1 + i // 4](x)
                total = self.last(total[:, :, around:-around])
                return torch.softmax(total, 1) if end == "softmax" else torch.sigmoid(total)
        return Net()
    return torch_net(length, make)


def openspliceai():
    return spliced(32, [11] * 8, [1] * 4 + [4] * 4, 801, 400, "softmax")


def pangolin():
    return spliced(32, [11] * 8 + [21] * 4, [1] * 4 + [4] * 4 + [10] * 4, 3001, 1500, "sigmoid")


def enformer(length=4096, channels=96, heads=4):
    """The stem, the tower with attention pooling, transformer blocks; softplus an output bin."""
    def make(torch, nn):
        class Pool(nn.Module):
            def __init__(self, n):
                super().__init__()
                self.logits = nn.Conv2d(n, n, 1, bias=False)

            def forward(self, x):
                x = x.reshape(x.shape[0], x.shape[1], -1, 2)
                return (x * self.logits(x).softmax(-1)).sum(-1)

        class Residual(nn.Module):
            def __init__(self, *layers):
                super().__init__()
                self.layers = nn.Sequential(*layers)

            def forward(self, x):
                return x + self.layers(x)

        def block(n_in, n, width):
            return nn.Sequential(nn.BatchNorm1d(n_in), nn.GELU(), nn.Conv1d(n_in, n, width, padding=width // 2))

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                n = channels
                tower = [layer for _ in range(3) for layer in (block(n, n, 5), Residual(block(n, n, 1)), Pool(n))]
                self.trunk = nn.Sequential(nn.Conv1d(4, n, 15, padding=7), Residual(block(n, n, 1)), Pool(n), *tower)
                self.blocks = nn.Sequential(*(nn.TransformerEncoderLayer(n, heads, 2 * n, batch_first=True,
                                                                         norm_first=True) for _ in range(2)))
                self.last = nn.Linear(n, 16)

            def forward(self, x):
                return nn.functional.softplus(self.last(self.blocks(self.trunk(x).transpose(1, 2)))).mean(1)
        return Net()
    return torch_net(length, make)


ARCHITECTURES = {
    "BPNet-OSKN": bpnet, "BPNet_Dmel": lambda: bpnet(tasks=6), "Basenji (8 kb, 96 channels)": basenji, "Basset": basset,
    "CpGenie": cpgenie, "DeepCpG_DNA": deepcpg, "DeepFlyBrain": lambda: with_lstm(filters=256),
    "DeepLiver": lambda: with_lstm(filters=512), "DeepMEL": with_lstm, "DeepSEA": deepsea, "DeepSTARR": deepstarr,
    "Divergent421": lambda: basset_like(1000, (300, 200, 200), (19, 11, 7), (3, 4, 4), (1000, 1000), 421),
    "FactorNet (DNA)": factornet, "MTSplice (one side)": mtsplice, "MPRA-DragoNN": mpra_dragonn,
    "TREDNet (phase one)": lambda: basset_like(2000, (320, 480, 640), (11, 7, 5), (4, 4, 4), (256,), 64),
    "epidermal_basset": lambda: basset_like(1000, (300, 200, 200), (19, 11, 7), (3, 4, 4), (1000, 1000), 64),
    "scbasset": scbasset, "ExplaiNN": explainn, "bpnet-lite": bpnet_lite, "ChromBPNet (128 channels)": chrombpnet,
    "BPReveal": bpreveal, "CREsted (dilated CNN, 128 channels)": crested, "OpenSpliceAI-400 (1 position)": openspliceai,
    "Pangolin (3 kb, 1 position)": pangolin, "Enformer's trunk (4 kb, 96 channels)": enformer,
    "DeepSTARR's convolutions, attention pooling": attended, "ResNet, the last block gated": gated_last,
    "LegNet": legnet,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", default=list(ARCHITECTURES))
    arguments = parser.parse_args()
    print("| architecture | engine | times naive | largest error of an effect |\n|---|---|---|---|", flush=True)
    for name in arguments.only:
        print(f"| {name} | {' | '.join(measured(ARCHITECTURES[name]()))} |", flush=True)


def measured(network):
    """Engine, speed and error of a Keras model, or of (PyTorch module, shape)."""
    is_torch = isinstance(network, tuple)
    length = max(network[1]) if is_torch else network.input_shape[1]
    sequence = np.random.default_rng(0).choice(dna.BASES, length)
    try:
        graph = exact.read_torch(*network, split=True) if is_torch else exact.read_keras(network, split=True)
    except exact.UnknownLayer as error:
        return f"naive: {error}", "1", "0"
    shapes = {name: value.ndim for name, value in exact.outputs_of(graph, dna.one_hot(sequence[None])).items()}
    outputs = [exact.Output(name, "average" if ndim == 3 else None) for name, ndim in shapes.items()]
    engine = exact.Engine(graph, outputs)
    call = (_torch_call if is_torch else _keras_call)(network)

    def naive(positions):
        rows = np.r_[0, (1 + 3 * positions[:, None] + np.arange(3)).ravel()]
        return call(dna.one_hot(saturation.some_rows(sequence, rows)))

    few, many = (np.arange(n) + (length - n) // 2 for n in (FEW, MANY))
    found, ours = timed(lambda positions: engine.mutants(sequence, positions), few, many)
    expected, theirs = timed(naive, few, many)
    effects, truth = (each[1:].astype(np.float64) - each[:1] for each in (found, expected))
    ratio = theirs / ours
    how = f"split ({graph.rest.why.split(', ')[0]})" if graph.rest else "exact"
    error = np.abs(effects - truth).max() / np.abs(truth).max()
    return how if ratio > 1 else f"naive; {how}", f"{ratio:.1f}", f"{error:.0e}"


def timed(call, few, many):
    """What a call gives for many positions, and the CPU-seconds that they take more than few."""
    seconds = {}
    for positions in (few, many):
        each = []
        for _ in range(REPEATS):
            start = time.process_time()
            found = call(positions)
            each.append(time.process_time() - start)
        seconds[len(positions)] = min(each)
    return found, seconds[len(many)] - seconds[len(few)]


def _columns(outputs):
    """Averages over positions, as the engine gives them."""
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return np.concatenate([np.asarray(each).mean(1) if np.ndim(each) == 3 else np.asarray(each) for each in outputs], 1)


def _keras_call(network):
    import tensorflow as tf

    function = tf.function(network, reduce_retracing=True)
    return lambda one_hot: _columns(function(tf.constant(one_hot)))


def _torch_call(network):
    import torch

    module, shape = network

    def call(one_hot):
        with torch.no_grad():
            out = module(torch.from_numpy(np.ascontiguousarray(one_hot.swapaxes(1, 2)).reshape(-1, *shape)))
        out = out if isinstance(out, tuple) else [out]
        return _columns([each.swapaxes(1, 2) if each.ndim == 3 else each for each in out])
    return call


if __name__ == "__main__":
    main()
