"""Architectures that answer with profiles and log counts, with random weights: their marks, and the exact engine.

bpnet-lite's class is used where it is installed; elsewhere, and for the others, the layers are written out here.
"""

import numpy as np
import pytest

from kipoi_deepmr import dna
from kipoi_deepmr.models import Ensemble
from kipoi_deepmr.models.stack import StackedModel
from kipoi_deepmr.mutagenesis import engines, trust

LENGTH, TRIMMED = 120, 20
OPTIONS = [{}, {"mark_summary": "total", "mark_window": (10, 50)}, {"mark_summary": "profile_mean"},
           {"mark_summary": "max"}, {"mark_windows": {"left": "0:40", "right": "+0:+30"}}]


def bpnet_lite(seed, n_outputs=1):
    """bpnet-lite's BPNet without control tracks; with two outputs ProCapNet's architecture."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(seed)
    try:
        from bpnetlite.bpnet import BPNet
    except ImportError:
        BPNet = written_out(torch)
    return BPNet(n_filters=8, n_layers=2, n_outputs=n_outputs, n_control_tracks=0, trimming=TRIMMED,
                 verbose=False).eval()


def written_out(torch):
    """The same layers, as bpnet-lite 1.1.0 has them."""
    nn = torch.nn

    class BPNet(nn.Module):
        def __init__(self, n_filters, n_layers, n_outputs, n_control_tracks, trimming, verbose):
            super().__init__()
            self.trimming, self.n_layers = trimming, n_layers
            self.iconv, self.irelu = nn.Conv1d(4, n_filters, 21, padding=10), nn.ReLU()
            self.rconvs = nn.ModuleList([nn.Conv1d(n_filters, n_filters, 3, padding=2 ** i, dilation=2 ** i)
                                         for i in range(1, n_layers + 1)])
            self.rrelus = nn.ModuleList([nn.ReLU() for _ in range(n_layers)])
            self.fconv = nn.Conv1d(n_filters, n_outputs, 75, padding=37)
            self.linear = nn.Linear(n_filters, 1)

        def forward(self, X, X_ctl=None):
            start, end = self.trimming, X.shape[2] - self.trimming
            X = self.irelu(self.iconv(X))
            for i in range(self.n_layers):
                X = torch.add(X, self.rrelus[i](self.rconvs[i](X)))
            profile = self.fconv(X)[:, :, start:end]
            X = torch.mean(X[:, :, max(start - 37, 0):end + 37], dim=2)
            return profile, self.linear(X).reshape(X.shape[0], 1)

    return BPNet


def chrombpnet(seed, with_bias=False):
    """ChromBPNet's layers; the whole model adds one of the enzyme's bias: profiles are added, counts by logsumexp."""
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(seed)
    k = keras.layers
    given = k.Input((LENGTH, 4), name="sequence")
    heads = [bpnet_of_chrombpnet(k, given, prefix) for prefix in (["wo_bias_bpnet", "bpnet"] if with_bias else [""])]
    if not with_bias:
        return keras.Model(given, heads[0])
    profile = k.Add(name="logits_profile_predictions")([head[0] for head in heads])
    both = k.Concatenate(axis=-1)([head[1] for head in heads])
    counts = k.Lambda(lambda x: keras.ops.logsumexp(x, axis=-1, keepdims=True), name="logcount_predictions")(both)
    return keras.Model(given, [profile, counts])


def bpnet_of_chrombpnet(k, given, prefix):
    x = k.Conv1D(8, 21, activation="relu")(given)
    for i in (1, 2):
        added = k.Conv1D(8, 3, activation="relu", dilation_rate=2 ** i)(x)
        x = k.Add()([added, k.Cropping1D((x.shape[1] - added.shape[1]) // 2)(x)])
    profile = k.Conv1D(1, 25)(x)
    prefix = prefix and f"{prefix}_"
    profile = k.Flatten(name=f"{prefix}logits_profile_predictions")(k.Cropping1D(2)(profile))
    return [profile, k.Dense(1, name=f"{prefix}logcount_predictions")(k.GlobalAveragePooling1D()(x))]


def bpreveal(seed):
    """BPReveal's solo model of two heads: all profiles, then all log counts; a head's tasks share one number."""
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(seed)
    k = keras.layers
    given = k.Input((LENGTH, 4), name="solo_model_input")
    x = k.Conv1D(8, 7, activation="relu")(given)
    heads = [(k.Conv1D(n_tasks, 7, name=f"solo_profile_{name}")(x),
              k.Dense(1, name=f"solo_logcounts_{name}")(k.GlobalAveragePooling1D()(x)))
             for name, n_tasks in (("CTCF", 2), ("H", 3))]
    return keras.Model(given, [head[0] for head in heads] + [head[1] for head in heads])


def compared(ensemble):
    """The exact engine's mutants are those of the models themselves."""
    sequence = dna.BASES[np.random.default_rng(0).integers(0, 4, LENGTH)]
    exact = engines.choose(ensemble, "exact").mutants(sequence)
    naive = engines.naive(ensemble).mutants(sequence)
    effects, expected = (each[:, 1:] - each[:, :1].astype(float) for each in (exact, naive))
    assert np.abs(exact - naive).max() <= trust.PREDICTIONS * np.abs(naive).max()
    assert np.abs(effects - expected).max() <= trust.EFFECTS * np.abs(expected).max()


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_bpnet_lite(options, n_outputs):
    torch = pytest.importorskip("torch")
    nets = [bpnet_lite(seed, n_outputs) for seed in range(2)]
    ensemble = Ensemble.from_torch(nets, length=LENGTH, strict=False, **options)
    assert len(ensemble.marks) == (2 if "mark_windows" in options else 1)
    if not options:
        sequences = dna.BASES[np.random.default_rng(1).integers(0, 4, (3, LENGTH))]
        with torch.no_grad():
            expected = [net(torch.from_numpy(dna.one_hot(sequences).swapaxes(1, 2).copy()))[1].numpy() for net in nets]
        np.testing.assert_allclose(ensemble.predict(sequences), expected, rtol=1e-5, atol=1e-6)
    compared(ensemble)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_chrombpnet(options):
    ensemble = Ensemble.from_keras([chrombpnet(seed) for seed in range(2)], strict=False, **options)
    assert len(ensemble.marks) == (2 if "mark_windows" in options else 1)
    compared(ensemble)


def test_chrombpnet_with_its_model_of_the_bias():
    nets = [chrombpnet(seed, with_bias=True) for seed in range(2)]
    ensemble = Ensemble.from_keras(nets, strict=False)
    assert ensemble.marks == ("logcount_predictions",)
    sequences = dna.BASES[np.random.default_rng(1).integers(0, 4, (3, LENGTH))]
    expected = [net.predict_on_batch(dna.one_hot(sequences))[1] for net in nets]
    np.testing.assert_allclose(ensemble.predict(sequences), expected, rtol=1e-5, atol=1e-6)
    compared(ensemble)


@pytest.mark.parametrize("options", [{}, {"mark_summary": "profile_mean", "mark_window": (10, 60)}], ids=str)
def test_bpreveal(options):
    ensemble = Ensemble.from_keras([bpreveal(seed) for seed in range(2)], **options)
    assert ensemble.marks == ("CTCF", "H")
    compared(ensemble)


def test_a_stack_of_two_models_has_two_marks():
    parts = [Ensemble.from_torch([bpnet_lite(seed, n_outputs) for seed in (2 * n_outputs, 2 * n_outputs + 1)],
                                 length=LENGTH, strict=False) for n_outputs in (1, 2)]
    stacks = [StackedModel(f"stack{k}", [(name, part.models[k]) for name, part in
                                         zip(("CTCF", "SPI1"), parts, strict=True)]) for k in range(2)]
    ensemble = Ensemble(stacks)
    assert ensemble.marks == ("CTCF", "SPI1")
    compared(ensemble)
