"""Derivatives of marks by DNA in real networks of Keras 3, tf_keras, PyTorch and TensorFlow 1, against differences."""

import functools
import json
import sys
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest
from conftest import EXAMPLES, environment_python, run_python
from kipoi.specs import ModelSchema

from kipoi_deepmr import dna
from kipoi_deepmr.models.host import masks, saturation, slopes, summaries
from kipoi_deepmr.models.host.attributions import SHARE, Attributed
from kipoi_deepmr.models.host.errors import ModelError
from kipoi_deepmr.models.host.layout import find_layout
from kipoi_deepmr.models.host.marks import find_marks
from kipoi_deepmr.models.host.views import parse_views
from kipoi_deepmr.models.kipoi_model import KipoiModel

LENGTH = 20
RNG = np.random.default_rng(0)
SEQUENCE = dna.BASES[RNG.integers(0, 4, LENGTH)]
needs_torch = pytest.mark.skipif(not find_spec("torch"), reason="PyTorch is not installed")
FRAMEWORKS = ["keras", "tf_keras", pytest.param("torch", marks=needs_torch)]
STEP = 0.01  # of differences: its square against float32's 1e-7 over it


class Loaded:
    """What Kipoi makes of a network, and of what a model's own class does before and after it."""

    def __init__(self, network, before=lambda x: x, after=lambda y: y):
        self.model, self._before, self._after = network, before, after

    def predict_on_batch(self, x):
        return self._after(self.predict(self._before(x)))

    def predict(self, x):
        if not hasattr(self.model, "parameters"):
            return self.model.predict_on_batch(x)
        torch = import_module("torch")
        tensors = [torch.from_numpy(np.ascontiguousarray(each)) for each in (x if isinstance(x, list) else [x])]
        with torch.no_grad():
            found = self.model(*tensors)
        return found.numpy() if torch.is_tensor(found) else [each.numpy() for each in found]


def attributed(model, targets="(3,)", length=LENGTH, **options):
    """An `Attributed`, and the marks that it reads."""
    schema = ModelSchema.from_config({"inputs": {"shape": f"({length}, 4)", "doc": "", "special_type": "DNASeq"},
                                      "targets": {"shape": targets, "doc": ""}})
    layout = find_layout(schema.inputs, {})
    drawn = dna.BASES[RNG.integers(0, 4, (4, length))]
    marks = find_marks(schema.targets, model.predict_on_batch(layout.encode(drawn)), 4, **options)
    return Attributed(model, layout, marks), marks


@functools.cache  # no test changes it
def convolutional(framework, activation="tanh", flat=True, length=LENGTH):
    """Two convolutions and, if flat, three numbers; else a track of two marks, all positive."""
    if framework == "torch":
        torch = import_module("torch")
        torch.manual_seed(0)
        nn = torch.nn
        first = {"tanh": nn.Tanh, "relu": nn.ReLU}[activation]()

        class Channels(nn.Module):
            def forward(self, x):
                return x.transpose(1, 2)

        end = [nn.Flatten(), nn.Linear(length * 8, 3)] if flat else [nn.Conv1d(8, 2, 1), nn.Softplus(), Channels()]
        network = nn.Sequential(Channels(), nn.Conv1d(4, 8, 5, padding=2), first, nn.Conv1d(8, 8, 3, padding=1),
                                nn.Tanh(), *end).eval()
        for weights in network.parameters():
            weights.data *= 2  # less linear than PyTorch makes them
        return network
    keras = import_module(framework)
    keras.utils.set_random_seed(1)
    layers = keras.layers
    end = [layers.Flatten(), layers.Dense(3)] if flat else [layers.Conv1D(2, 1, activation="softplus")]
    return keras.Sequential([layers.Input((length, 4)), layers.Conv1D(8, 5, padding="same", activation=activation),
                             layers.Conv1D(8, 3, padding="same", activation="tanh"), *end])


def marks_at(model, marks, x):
    return marks.values(model.predict_on_batch(x.astype(np.float32)), len(x))


def derivatives(model, marks, sequence=SEQUENCE, x=None):
    """Of marks by the change that each mutant is, by differences of the model itself: (3 L, marks).

    At the sequence, or at any other input `x`, (L, 4).
    """
    one_hot = np.eye(4)[np.searchsorted(dna.BASES, sequence)]
    mutants, *_ = saturation.saturation_mutants(sequence)
    change = np.eye(4)[np.searchsorted(dna.BASES, mutants)] - one_hot
    x = one_hot if x is None else x
    ahead, back = (marks_at(model, marks, x + sign * STEP * change) for sign in (1, -1))
    return (ahead - back) / (2 * STEP)


def changes(attributed, method="gradient", view="", sequence=SEQUENCE):
    found = attributed.mutants(sequence, parse_views([view] * bool(view))[-1], None, method)
    return found[1:] - found[0]


def assert_near(found, expected, relative=2e-3):
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(found, expected, rtol=0, atol=relative * np.abs(expected).max())


# Derivatives of networks


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_gradient_is_the_models_own_by_differences(framework):
    model = Loaded(convolutional(framework))
    found, marks = attributed(model)
    assert_near(changes(found), derivatives(model, marks))
    reference = found.mutants(SEQUENCE, parse_views([])[0], None, "gradient")[0]
    layout = np.eye(4)[np.searchsorted(dna.BASES, SEQUENCE)][None]
    np.testing.assert_allclose(reference, marks_at(model, marks, layout)[0], rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"summary": "mean"}, {"summary": "max"}, {"summary": "log_sum"},
                                     {"summary": "profile_mean"}, {"window": (3, 11)}, {"scale": "log"},
                                     {"scale": "anscombe", "groups": {"both": ["0", "1"], "first": ["0"]}}],
                         ids=lambda options: ",".join(f"{key}={value}" for key, value in options.items()) or "sum")
def test_gradient_goes_through_summaries_scales_and_groups(options):
    model = Loaded(convolutional("keras", flat=False))
    found, marks = attributed(model, f"({LENGTH}, 2)", **options)
    assert_near(changes(found), derivatives(model, marks))


@pytest.mark.parametrize("name", summaries.SUMMARIES)
def test_slopes_of_summaries(name):
    values = RNG.uniform(0.1, 2, (3, 7, 2))
    expected = np.zeros_like(values)
    for place in np.ndindex(7, 2):
        step = np.zeros_like(values)
        step[:, place[0], place[1]] = 1e-5
        ahead, back = (summaries.summarised(values + sign * step, name, ["a", "b"]) for sign in (1, -1))
        expected[:, place[0], place[1]] = ((ahead - back) / 2e-5)[:, place[1]]
    np.testing.assert_allclose(slopes.of_summary(values, name), expected, atol=1e-7)


@pytest.mark.parametrize("name", summaries.SCALES)
def test_slopes_of_scales(name):
    values = np.array([0.01, 0.3, 0.99])
    ahead, back = (summaries.scaled((values + sign * 1e-6)[None], name, "abc")[0] for sign in (1, -1))
    np.testing.assert_allclose(slopes.of_scale(values, name), (ahead - back) / 2e-6, rtol=1e-5)


def test_every_summary_and_scale_has_its_slope():
    assert set(slopes.SUMMARIES) == set(summaries.SUMMARIES) and set(slopes.SCALES) == set(summaries.SCALES)
    assert slopes.of_scale(np.array([0.0, 1.0]), "logit").tolist() == [0, 0], "clipped, so flat"


# Networks for which approximations are exact, or known in closed form


WEIGHTS = RNG.normal(size=(LENGTH * 4, 3)).astype(np.float32)


def one_layer(framework, activation=None):
    """Weighted sums of the sequence, and a tanh of them if asked."""
    if framework == "torch":
        torch = import_module("torch")
        dense = torch.nn.Linear(LENGTH * 4, 3, bias=False)
        dense.weight.data[:] = torch.from_numpy(WEIGHTS.T.copy())
        return torch.nn.Sequential(torch.nn.Flatten(), dense, *([torch.nn.Tanh()] if activation else [])).eval()
    keras = import_module(framework)
    dense = keras.layers.Dense(3, use_bias=False, activation=activation)
    network = keras.Sequential([keras.layers.Input((LENGTH, 4)), keras.layers.Flatten(), dense])
    dense.set_weights([WEIGHTS])
    return network


def weights_of_mutants(sequence=SEQUENCE):
    """What a mutant adds to the weighted sums: (3 L, 3)."""
    by_base = WEIGHTS.reshape(LENGTH, 4, 3).astype(float)
    own = by_base[np.arange(LENGTH), np.searchsorted(dna.BASES, sequence)]
    return (by_base - own[:, None])[dna.BASES != sequence[:, None]]


def library_of(framework):
    return pytest.importorskip("captum" if framework == "torch" else "shap")


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("method", ["gradient", "integrated_gradients", "deeplift"])
def test_all_are_exact_on_a_linear_model(framework, method):
    if method == "deeplift":
        library_of(framework)
    found, _ = attributed(Loaded(one_layer(framework)))
    np.testing.assert_allclose(changes(found, method), weights_of_mutants(),
                               atol=1e-6 if method != "deeplift" else 2e-5)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("method", ["integrated_gradients", "deeplift"])
def test_one_nonlinearity_shares_its_difference_by_weights(framework, method):
    """tanh(z) against a hundredth of each base: the slope by z is (tanh(z) - tanh(z0)) / (z - z0), for both methods."""
    if method == "deeplift":
        library_of(framework)
    found, _ = attributed(Loaded(one_layer(framework, "tanh")))
    one_hot = np.eye(4)[np.searchsorted(dna.BASES, SEQUENCE)]
    z, z0 = ((x.reshape(-1) @ WEIGHTS.astype(float)) for x in (one_hot, np.full((LENGTH, 4), SHARE)))
    expected = weights_of_mutants() * (np.tanh(z) - np.tanh(z0)) / (z - z0)
    assert_near(changes(found, method), expected, 1e-3)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_integrated_gradients_are_the_mean_derivative_on_the_way(framework):
    """By differences of the model at 100 points between a hundredth of each base and the sequence."""
    model = Loaded(convolutional(framework))
    found, marks = attributed(model)
    one_hot = np.eye(4)[np.searchsorted(dna.BASES, SEQUENCE)]
    at = (np.arange(100) + 0.5) / 100
    expected = np.mean([derivatives(model, marks, x=SHARE + t * (one_hot - SHARE)) for t in at], axis=0)
    assert_near(changes(found, "integrated_gradients"), expected)
    assert np.abs(changes(found) - expected).max() > 0.05 * np.abs(expected).max()


def test_deeplift_knows_dilated_convolutions():
    """For which shap has no rule of its own; contributions that do not add up would be refused."""
    library_of("keras")
    layers = import_module("keras").layers
    network = import_module("keras").Sequential([
        layers.Input((LENGTH, 4)), layers.Conv1D(8, 3, padding="same", activation="relu"),
        layers.Conv1D(8, 3, padding="same", dilation_rate=2, activation="relu"), layers.Flatten(), layers.Dense(3)])
    found, marks = attributed(Loaded(network))
    mutants, *_ = saturation.saturation_mutants(SEQUENCE)
    x = np.eye(4)[np.searchsorted(dna.BASES, np.concatenate([SEQUENCE[None], mutants]))]
    exact = marks_at(Loaded(network), marks, x)
    assert np.corrcoef(changes(found, "deeplift").ravel(), (exact[1:] - exact[0]).ravel())[0, 1] > 0.5


def test_deeplift_is_refused_where_its_library_does_not_see_all():
    torch = pytest.importorskip("torch")
    pytest.importorskip("captum")

    class Functional(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = one_layer("torch")

        def forward(self, x):
            return torch.tanh(self.inner(x))

    found, _ = attributed(Loaded(Functional()))
    with pytest.raises(ModelError, match="add up to .*, not to the difference .* does not see all"):
        changes(found, "deeplift")


@pytest.mark.parametrize("framework, package", [("keras", "shap"), pytest.param("torch", "captum", marks=needs_torch)])
def test_a_missing_package_is_named(framework, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.attr", None)
    found, _ = attributed(Loaded(one_layer(framework)))
    with pytest.raises(ModelError, match=f"needs the package {package}, which .*: pip install {package}"):
        changes(found, "deeplift")


# What a model's Python does before and after its network


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_two_windows_of_one_sequence(framework):
    """As MTSplice's class cuts them, overlapping."""
    if framework == "torch":
        torch = import_module("torch")
        inner = convolutional("torch", length=12)

        class Two(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = inner

            def forward(self, x, y):
                return self.inner(x) + 2 * self.inner(y)

        network = Two().eval()
    else:
        layers = import_module(framework).layers
        inner = convolutional(framework, length=12)
        x, y = layers.Input((12, 4)), layers.Input((12, 4))
        network = import_module(framework).Model([x, y], layers.Add()([inner(x), inner(y), inner(y)]))
    model = Loaded(network, before=lambda x: [x[:, :12], x[:, -12:]])
    found, marks = attributed(model)
    assert_near(changes(found), derivatives(model, marks))


AFTER = {
    "dict": (lambda y: {"a": y[:, :1], "b": y[:, 1:]}, {}),
    "sigmoid": (lambda y: 1 / (1 + np.exp(-y)), {"scale": "logit"}),
    "mean": (lambda y: y.mean(1, keepdims=True), {}),
}


@pytest.mark.parametrize("name", AFTER)
def test_python_after_the_network_is_differentiated_by_differences(name):
    after, options = AFTER[name]
    model = Loaded(convolutional("keras"), after=after)
    schema = ModelSchema.from_config({"inputs": {"shape": f"({LENGTH}, 4)", "doc": ""},
                                      "targets": {"shape": "(3,)", "doc": ""}})
    layout = find_layout(schema.inputs, {})
    drawn = layout.encode(dna.BASES[RNG.integers(0, 4, (4, LENGTH))])
    marks = find_marks(schema.targets, model.predict_on_batch(drawn), 4, **options)
    found = Attributed(model, layout, marks)
    assert_near(changes(found), derivatives(model, marks))
    assert_near(changes(found, "integrated_gradients"),
                changes(attributed(model, **options)[0], "integrated_gradients") if name != "dict" else
                changes(attributed(Loaded(model.model))[0], "integrated_gradients"))


def test_tracks_that_a_class_computes_on_are_refused():
    model = Loaded(convolutional("keras", flat=False, length=1300), after=np.sqrt)
    found, _ = attributed(model, "(1300, 2)", length=1300)
    with pytest.raises(ModelError, match="its class Loaded computes on the 2600 numbers that its network answers"):
        changes(found, sequence=dna.BASES[RNG.integers(0, 4, 1300)])


def test_dna_that_is_changed_in_another_way_is_refused():
    model = Loaded(one_layer("keras"), before=lambda x: x * np.roll(x, 1, axis=1))
    with pytest.raises(ModelError, match="turns DNA into what is no sum over bases"):
        changes(attributed(model)[0])


def test_a_network_that_is_called_twice_is_refused():
    model = Loaded(one_layer("keras"))
    model.predict_on_batch = lambda x: model.predict(x) + model.predict(x[:, ::-1, ::-1])
    with pytest.raises(ModelError, match="calls its network 2 times for one batch"):
        changes(attributed(model)[0])


def test_models_without_one_network_are_refused():
    class Without:
        def predict_on_batch(self, x):
            return x.sum(1)[:, :3]

    with pytest.raises(ModelError, match="holds no networks of Keras or PyTorch"):
        attributed(Without())
    several = Loaded(one_layer("keras"))
    several.other = one_layer("keras")
    with pytest.raises(ModelError, match="holds 2 networks"):
        attributed(several)


@needs_torch
def test_a_network_that_cuts_its_derivative_off_is_refused():
    torch = import_module("torch")

    class Detached(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = one_layer("torch")

        def forward(self, x):
            return self.inner(x).detach()

    with pytest.raises(ModelError, match="cuts its derivative off"):
        changes(attributed(Loaded(Detached()))[0])


# Views and masks


@pytest.mark.parametrize("view", ["rc", "shift=2", "shift=-3"])
def test_views_of_a_linear_model_are_exact(view):
    model = Loaded(one_layer("keras"))
    found, marks = attributed(model)
    seen = parse_views([view])[-1]
    mutants, *_ = saturation.saturation_mutants(SEQUENCE)
    layout = find_layout(ModelSchema.from_config({"inputs": {"shape": f"({LENGTH}, 4)", "doc": ""}, "targets": {
        "shape": "(3,)", "doc": ""}}).inputs, {})
    x = layout.encode(seen.apply(np.concatenate([SEQUENCE[None], mutants])))
    exact = marks_at(model, marks, x)
    np.testing.assert_allclose(changes(found, view=view), exact[1:] - exact[0], atol=2e-5)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_dropout_masks_hold_while_a_network_is_differentiated(framework):
    if framework == "torch":
        nn = import_module("torch").nn
        network = nn.Sequential(nn.Dropout(0.5), one_layer("torch")).eval()
    else:
        keras = import_module(framework)
        network = keras.Sequential([keras.layers.Input((LENGTH, 4)), keras.layers.Dropout(0.5), one_layer(framework)])
    model = Loaded(network)
    found, marks = attributed(model)
    drawn = masks.dropout_masks(model, 2, 1)
    without = changes(found)
    for k in range(2):
        with drawn.use(k):
            assert_near(changes(found), derivatives(model, marks), 1e-4)
            assert np.abs(changes(found) - without).max() > 0.1
    np.testing.assert_array_equal(changes(found), without)


# BPNet in TensorFlow 1, whose class makes expected counts of logits and log counts

BPNET = """
import json
import sys

host, folder = sys.argv[1:]
sys.path.insert(0, host)
import numpy as np
from host import saturation, views
from host.attributions import Attributed
from host.marks import find_marks
from host.session import HostedModel

loaded = HostedModel(folder, "dir")
model, layout = loaded._model, loaded._layout
sequence = np.frombuffer(b"ACGT", np.uint8)[np.random.RandomState(0).randint(0, 4, 200)]
one_hot = (sequence[:, None] == saturation.BASES) * 1.0
rows = np.sort(np.random.RandomState(1).choice(600, 40, replace=False))
mutants = saturation.rows(sequence, 1, 601)[rows]
way = (mutants[..., None] == saturation.BASES) - one_hot
ahead, back = (model.predict_on_batch(one_hot + sign * 0.003 * way) for sign in (1, -1))
found = {}
for summary in ("log_sum", "sum", "profile_mean", "max"):
    marks = find_marks(model.schema.targets, ahead, len(way), summary=summary)
    predicted = Attributed(model, layout, marks).mutants(sequence, views.parse_views([])[0], None, "gradient")
    differences = (marks.values(ahead, len(way)) - marks.values(back, len(way))) / (2 * 0.003)
    found[summary] = [(predicted[1:] - predicted[0])[rows].tolist(), differences.tolist()]
print(json.dumps(found))
"""


@pytest.mark.environment
def test_bpnet_in_tensorflow_1():
    python = environment_python("bpnet-py37")
    folder = EXAMPLES / "BPNet-OSKN" / "1"
    done = run_python(python, "-c", BPNET, EXAMPLES.parent / "kipoi_deepmr" / "models", folder)
    assert done.returncode == 0, done.stderr[-3000:]
    for found, expected in json.loads(done.stdout.splitlines()[-1]).values():
        # its ReLUs bend within the step, and its largest position may change
        assert np.corrcoef(np.ravel(found), np.ravel(expected))[0, 1] > 0.999
        assert_near(np.array(found), np.array(expected), 0.05)


@pytest.mark.environment
def test_bpnet_in_a_worker():
    python = environment_python("bpnet-py37")
    member = KipoiModel(str(EXAMPLES / "BPNet-OSKN" / "1"), "dir", python=python)
    try:
        sequence = dna.BASES[np.random.default_rng(0).integers(0, 4, 200)]
        gradient, exact = member.approximate(sequence), member.mutants(sequence)
        assert gradient.shape == exact.shape == (1, 601, 4) and gradient.dtype == exact.dtype
        np.testing.assert_allclose(gradient[:, 0], exact[:, 0], rtol=1e-6)
        assert np.corrcoef(*((each[0, 1:] - each[0, 0]).ravel() for each in (gradient, exact)))[0, 1] > 0.4
        with pytest.raises(Exception, match="DeepLIFT is for networks of PyTorch .* and of Keras on TensorFlow 2"):
            member.approximate(sequence, method="deeplift")
    finally:
        member.close()
