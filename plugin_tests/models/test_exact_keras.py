"""Keras models, live and as files, through the exact engine: every mutant as the model itself predicts it."""

import base64
import gzip
import json

import h5py
import numpy as np
import pytest
from conftest import EXAMPLES
from hypothesis import given
from hypothesis import strategies as st
from profiles import fewer

from kipoi_deepmr import dna, exact
from kipoi_deepmr.mutagenesis import saturation_mutants

keras = pytest.importorskip("keras")
BPNET = EXAMPLES / "BPNet-OSKN"
MPRA = EXAMPLES.parent.parent / "shared" / "zoo" / "mpra_dragonn_convmodel"
TAL_GATA = MPRA.parent / "tal_gata"
LENGTH = 45


@pytest.fixture(scope="module", params=["keras", "tf_keras"])
def framework(request):
    return pytest.importorskip(request.param)


def sequence_of(length, seed=0):
    return np.random.default_rng(seed).choice(dna.BASES, length)


def one_hot_mutants(sequence):
    return dna.one_hot(np.concatenate([sequence[None], saturation_mutants(sequence)[0]]))


def predicted(model, one_hot):
    """All outputs in the order of the model's own, flattened."""
    found = model.predict_on_batch(one_hot)
    found = list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else [found]
    return np.concatenate([np.asarray(each).reshape(len(each), -1) for each in found], axis=1)


def assert_same(graph, expected, sequence, tolerance=1e-5, must_change=True):
    """To a few of float32's roundings of the largest value, and the reference row too."""
    found = exact.Engine(graph).mutants(sequence)
    assert found.shape == expected.shape
    changes = np.abs(expected[1:] - expected[0]).max() > 1e-4 * np.abs(expected).max()
    assert changes or not must_change, "or nothing is tested"
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def assert_model(model, shape=None, length=LENGTH, must_change=True, split=False):
    """The model's graph predicts what the model does; shape: of one input, where it is not (length, 4)."""
    sequence = sequence_of(length)
    one_hot = one_hot_mutants(sequence)
    if shape is not None:
        one_hot = (one_hot if shape.index(4) > shape.index(length) else one_hot.swapaxes(1, 2)).reshape(-1, *shape)
    randomize(model)
    graph = exact.read_keras(model, split=split)
    assert bool(graph.rest) == split
    assert_same(graph, predicted(model, one_hot), sequence, must_change=must_change)


def randomize(model):
    """Other weights than Keras begins with, so that biases, means and variances count."""
    rng = np.random.default_rng(1)
    for weight in model.weights:
        shape = tuple(weight.shape)
        value = rng.normal(size=shape) / np.sqrt(max(1, np.prod(shape[:-1])))
        name = getattr(weight, "path", weight.name)
        weight.assign(np.abs(value) + 0.5 if "variance" in name else value)


LAYERS = {
    "conv": lambda k: k.Conv1D(6, 5, activation="relu"),
    "same, dilated": lambda k: k.Conv1D(6, 3, padding="same", dilation_rate=3, activation="gelu"),
    "same, strided": lambda k: k.Conv1D(6, 4, padding="same", strides=3, activation="softplus"),
    "causal": lambda k: k.Conv1D(6, 3, padding="causal", dilation_rate=2, use_bias=False, activation="tanh"),
    "groups": lambda k: k.Conv1D(12, 3, groups=4, activation="selu"),
    "separable": lambda k: k.SeparableConv1D(6, 3, depth_multiplier=2, padding="same", activation="elu"),
    "depthwise": lambda k: k.DepthwiseConv1D(3, depth_multiplier=2, activation="sigmoid"),
    "transpose": lambda k: k.Conv1DTranspose(5, 6, strides=2, padding="same", activation="relu"),
    "transpose, valid": lambda k: k.Conv1DTranspose(5, 2, strides=3, activation="relu"),
    "dense at each position": lambda k: k.Dense(5, activation="swish"),
    "batch norm": lambda k: k.BatchNormalization(),
    "batch norm, not scaled": lambda k: k.BatchNormalization(scale=False, epsilon=0.1),
    "exponential": lambda k: k.Activation("exponential"),
    "hard sigmoid": lambda k: k.Activation("hard_sigmoid"),
    "softsign": lambda k: k.Activation("softsign"),
    "relu": lambda k: k.ReLU(),
    "relu with a top": lambda k: k.ReLU(max_value=0.7),
    "leaky relu": lambda k: k.LeakyReLU(),
    "elu": lambda k: k.ELU(alpha=0.6),
    "prelu": lambda k: k.PReLU(),
    "prelu, a slope a channel": lambda k: k.PReLU(shared_axes=[1]),
    "layer norm": lambda k: k.LayerNormalization(),
    "layer norm, not scaled": lambda k: k.LayerNormalization(scale=False, epsilon=0.1),
    "dense at each position, wrapped": lambda k: k.TimeDistributed(k.Dense(5, activation="tanh")),
    "softmax": lambda k: k.Softmax(),
    "max pooling": lambda k: k.MaxPooling1D(3),
    "max pooling, same": lambda k: k.MaxPooling1D(4, strides=2, padding="same"),
    "average pooling, same": lambda k: k.AveragePooling1D(4, strides=3, padding="same"),
    "cropping": lambda k: k.Cropping1D((3, 5)),
    "padding": lambda k: k.ZeroPadding1D((2, 1)),
    "upsampling": lambda k: k.UpSampling1D(3),
    "dropout": lambda k: k.Dropout(0.5),
    "spatial dropout": lambda k: k.SpatialDropout1D(0.5),
    "noise": lambda k: k.GaussianNoise(0.5),
    "rescaling": lambda k: k.Rescaling(0.3, offset=0.2),
    "reshape": lambda k: k.Reshape((-1, 1, 8)),
}
ENDINGS = {
    "flatten": lambda k: [k.Flatten(), k.Dense(7, activation="relu"), k.BatchNormalization(), k.Dense(3)],
    "average": lambda k: [k.GlobalAveragePooling1D(), k.LayerNormalization(), k.PReLU(), k.Dropout(0.1),
                          k.Dense(3, activation="softmax")],
    "max": lambda k: [k.GlobalMaxPooling1D(), k.Dense(3, activation="sigmoid")],
}


@pytest.mark.parametrize("name", LAYERS)
def test_each_layer(framework, name):
    k = framework.layers
    ending = list(ENDINGS.values())[list(LAYERS).index(name) % 3](k)
    if name == "reshape":
        ending = [k.Conv2D(4, (3, 1)), k.GlobalAveragePooling2D(), k.Dense(2)]
    assert_model(framework.Sequential([k.Input((LENGTH, 4)), k.Conv1D(8, 6), LAYERS[name](k),
                                       k.Conv1D(5, 3, activation="elu") if name != "reshape" else k.ReLU(), *ending]))


def reduced(framework, kind, x, axis):
    function = getattr(framework, "ops", None) or __import__("tensorflow")
    return getattr(function, kind if hasattr(framework, "ops") else f"reduce_{kind}")(x, axis)


BETWEEN = {
    "numbers": lambda f, x: (x + 1) * 2 - 0.5 * x / 3, "from a number": lambda f, x: 1 - x,
    "minus": lambda f, x: -x - x,
    "a gate": lambda f, x: x * f.layers.Conv1D(8, 1, activation="sigmoid")(x), "positions": lambda f, x: x[:, 5:-3],
    "channels": lambda f, x: x[:, :, 1:6:2], "turned": lambda f, x: x[:, ::-1] + x,
    "both turned": lambda f, x: x[:, ::-1, ::-1],
}


@pytest.mark.parametrize("name", BETWEEN)
def test_what_stands_between_layers(framework, name):
    """Operators and indices, which Keras 3 writes as operations and tf_keras as layers that call a function."""
    k = framework.layers
    first = k.Input((LENGTH, 4))
    x = BETWEEN[name](framework, k.Conv1D(8, 6, activation="relu")(first))
    assert_model(framework.Model(first, k.Dense(3)(k.GlobalMaxPooling1D()(k.Conv1D(5, 3)(x)))))


@pytest.mark.parametrize("kind", ["mean", "sum", "max"])
@pytest.mark.parametrize("axis", [1, -1])
def test_reductions_between_layers(framework, kind, axis):
    k = framework.layers
    first = k.Input((LENGTH, 4))
    x = reduced(framework, kind, k.Conv1D(8, 6, activation="relu")(first), axis)
    assert_model(framework.Model(first, k.Dense(3)(k.Flatten()(x))))


def test_both_strands(framework):
    """The network itself for the sequence and for its reverse complement, and the mean of both."""
    k = framework.layers
    first = k.Input((LENGTH, 4))
    inner = framework.Model(first, k.Dense(2)(k.Flatten()(k.Conv1D(6, 8, activation="relu")(first))), name="inner")
    first = k.Input((LENGTH, 4))
    assert_model(framework.Model(first, k.Average()([inner(first), inner(first[:, ::-1, ::-1])])))


@pytest.mark.parametrize("name", ENDINGS)
def test_each_ending(framework, name):
    k = framework.layers
    assert_model(framework.Sequential([k.Input((LENGTH, 4)), k.Conv1D(8, 6, activation="relu"), k.MaxPooling1D(2),
                                       *ENDINGS[name](k)]))


@pytest.mark.parametrize("shape, kernel, first", [
    ((LENGTH, 4, 1), (7, 4), "valid"), ((1, LENGTH, 4), (1, 7), "same"), ((LENGTH, 1, 4), (7, 1), "valid"),
    ((4, LENGTH, 1), (4, 7), "valid"), ((4, LENGTH, 1), (2, 7), "same")])
def test_two_dimensional_convolutions(framework, shape, kernel, first):
    """The zoo's layouts, and a kernel that runs over the letters."""
    k = framework.layers
    pool = tuple(2 if size > 4 else 1 for size in kernel)
    assert_model(framework.Sequential([
        k.Input(shape), k.Conv2D(6, kernel, padding=first, activation="relu"), k.BatchNormalization(),
        k.MaxPooling2D(pool), k.Conv2D(3, tuple(3 if p == 2 else 1 for p in pool)), k.ReLU(), k.Flatten(), k.Dense(2)
    ]) if kernel[0] != 2 else framework.Sequential([
        k.Input(shape), k.Conv2D(6, kernel, padding=first, activation="relu"), k.Conv2D(2, (4, 3)), k.Flatten(),
        k.Dense(2)]), shape)


def branching(framework, length=LENGTH):
    """Branches, a shared layer, a nested model, gates and several outputs."""
    k = framework.layers
    inner_in = k.Input((None, 8))
    inner = framework.Model(inner_in, k.Conv1D(8, 3, padding="same")(k.BatchNormalization()(inner_in)), name="inner")
    shared = k.Conv1D(8, 3, padding="same", activation="relu", name="shared")
    x = k.Input((length, 4), name="dna")
    y = shared(k.Conv1D(8, 5, padding="same", activation="relu")(x))
    z = inner(shared(y))
    gate = k.Multiply()([k.Conv1D(8, 1, activation="tanh")(z), k.Conv1D(8, 1, activation="sigmoid")(z)])
    mixed = k.Concatenate()([k.Add()([y, z, gate]), k.MaxPooling1D(3, strides=1, padding="same")(y),
                             k.Average()([y, z]), k.Subtract()([z, y])])
    pooled = k.GlobalAveragePooling1D()(mixed)
    both = k.Concatenate()([pooled, k.GlobalMaxPooling1D()(gate)])
    hidden = k.Dense(6, activation="relu")(both)
    outputs = [k.Dense(2, name="first")(k.Add()([hidden, k.Dense(6)(hidden)])),
               k.Conv1D(1, 4, padding="same", name="profile")(mixed), k.Dense(1, name="second")(both)]
    return framework.Model(x, outputs)


def test_branches_nested_models_shared_layers_and_outputs(framework):
    model = branching(framework)
    assert_model(model)
    graph = exact.read_keras(model)
    assert len(graph.outputs) == 3 and graph.length == LENGTH


def test_other_inputs_are_held_fixed(framework):
    k = framework.layers
    x, bias, control = k.Input((LENGTH, 4), name="dna"), k.Input((3,), name="bias"), k.Input((None, 2), name="control")
    y = k.Conv1D(3, 5, padding="same")(x)
    y = k.Add()([y, k.Conv1D(1, 1, use_bias=False)(control)])
    y = k.Add()([k.GlobalAveragePooling1D()(k.Activation("exponential")(y)), k.Dense(3)(bias)])
    model = framework.Model([bias, x, control], y)
    randomize(model)
    sequence = sequence_of(LENGTH)
    one_hot = one_hot_mutants(sequence)
    fixed = {"bias": np.array([1.0, -2.0, 0.5]), "control": np.random.default_rng(0).normal(size=(LENGTH, 2))}
    batch = [np.broadcast_to(fixed["bias"], (len(one_hot), 3)), one_hot,
             np.broadcast_to(fixed["control"], (len(one_hot), LENGTH, 2))]
    assert_same(exact.read_keras(model, "dna", fixed), predicted(model, batch), sequence)
    with pytest.raises(exact.UnknownLayer, match="bias"):
        exact.read_keras(model, "dna", {"control": 0.0})


@st.composite
def architectures(draw):
    """Settings of a random Keras model, as plain values."""
    length = draw(st.integers(30, 60))
    step = st.one_of(
        st.tuples(st.just("conv"), st.integers(1, 40), st.integers(1, 6), st.sampled_from(["same", "valid", "causal"]),
                  st.sampled_from([1, 2, 3]), st.sampled_from(["relu", "relu", "elu", "linear", "sigmoid"])),
        st.tuples(st.just("strided"), st.integers(1, 9), st.integers(1, 5), st.sampled_from(["same", "valid"])),
        st.tuples(st.just("residual"), st.sampled_from([1, 2, 4]), st.booleans()),
        st.tuples(st.sampled_from(["norm", "layer norm", "prelu"])), st.tuples(st.just("extreme"), st.booleans()),
        st.tuples(st.just("pool"), st.sampled_from(["MaxPooling1D", "AveragePooling1D"]), st.integers(1, 3),
                  st.sampled_from(["same", "valid"])))
    ending = st.sampled_from(list(ENDINGS))
    return length, draw(st.lists(step, min_size=1, max_size=5)), draw(ending), draw(st.integers(0, 999))


def built(length, steps, ending):
    k = keras.layers
    x = first = k.Input((length, 4))
    for kind, *settings_of in steps:
        if x.shape[1] < 8 and kind != "unknown":
            continue
        if kind == "unknown":
            x = UNKNOWN[settings_of[0]](x)
        elif kind == "conv":
            filters, width, padding, dilation, activation = settings_of
            x = k.Conv1D(filters, min(width, 1 + (x.shape[1] - 1) // dilation), padding=padding, activation=activation,
                         dilation_rate=dilation)(x)
        elif kind == "strided":
            filters, width, padding = settings_of
            x = k.Conv1D(filters, width, strides=2, padding=padding, activation="relu")(x)
        elif kind == "residual":
            y = k.Conv1D(x.shape[2], 3, padding="same", dilation_rate=settings_of[0],
                         activation="relu" if settings_of[1] else None)(x)
            x = k.Add()([x, y])
            x = x if settings_of[1] else k.ReLU()(k.BatchNormalization()(x))
        elif kind in ("norm", "layer norm", "prelu"):
            x = {"norm": k.BatchNormalization, "layer norm": k.LayerNormalization, "prelu": k.PReLU}[kind]()(x)
        elif kind == "extreme":
            branches = [x, *(k.Conv1D(x.shape[2], 3, padding="same")(x) for _ in range(2))]
            x = (k.Maximum() if settings_of[0] else k.Minimum())(branches)
        else:
            x = getattr(k, settings_of[0])(settings_of[1], padding=settings_of[2])(x)
    for layer in ENDINGS[ending](k):
        x = layer(x)
    return keras.Model(first, x)


@fewer(10)
@given(architectures())
def test_random_architectures(drawn):
    length, steps, ending, seed = drawn
    keras.utils.set_random_seed(seed)
    assert_model(built(length, steps, ending), length=length, must_change=False)  # units may all be off


class Own(keras.layers.Layer):
    """A layer of a class of its own, with weights of its own, that says nothing of its settings."""

    def __init__(self, width):
        super().__init__()
        self.width = width

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1],), initializer="ones", name="kernel")

    def call(self, x):
        return keras.ops.roll(x, self.width, 1) * self.kernel


UNKNOWN = {
    "gru": lambda x: keras.layers.GRU(4, return_sequences=True)(x), "own": lambda x: Own(3)(x),
    "attention, with a skip": lambda x: keras.layers.Add()([x, keras.layers.MultiHeadAttention(1, 3)(x, x)]),
    "own, with a skip": lambda x: keras.layers.Add()([Own(1)(x), x]),
}


@fewer(10)
@given(architectures(), st.integers(0, 99), st.sampled_from(list(UNKNOWN)))
def test_random_architectures_with_an_unknown_layer(drawn, at, kind):
    """At a random place, after one known layer at least."""
    length, steps, ending, seed = drawn
    keras.utils.set_random_seed(seed)
    steps = [("conv", 6, 3, "same", 1, "relu"), *steps]
    steps.insert(1 + at % len(steps), ("unknown", kind))
    model = built(length, steps, ending)
    assert_model(model, length=length, must_change=False, split=True)


def test_files_of_keras_2_need_no_keras(tmp_path):
    """HDF5 with the model, and JSON with weights beside; the numbers are those of the live model."""
    tf_keras = pytest.importorskip("tf_keras")
    model = branching(tf_keras)
    randomize(model)
    model.save(tmp_path / "model.h5", save_format="h5")
    model.save_weights(tmp_path / "weights.h5", save_format="h5")
    (tmp_path / "model.json").write_text(model.to_json())
    sequence = sequence_of(LENGTH)
    expected = predicted(model, one_hot_mutants(sequence))
    assert_same(exact.read_keras_file(tmp_path / "model.h5"), expected, sequence)
    assert_same(exact.read_keras_file(tmp_path / "model.json", tmp_path / "weights.h5"), expected, sequence)
    with pytest.raises(exact.UnknownLayer, match="without a model"):
        exact.read_keras_file(tmp_path / "weights.h5")


def keras_1_file(folder, suffix):
    """A convolution and a dense layer as Keras 1 saved them, weights' names ending in `suffix`; both kernels."""
    rng = np.random.default_rng(3)
    kernel, dense = rng.normal(size=(5, 1, 4, 6)).astype(np.float32), rng.normal(size=(6, 2)).astype(np.float32)
    layers = [("Convolution1D", "conv", {"nb_filter": 6, "filter_length": 5, "border_mode": "valid", "bias": True,
                                         "activation": "relu", "batch_input_shape": [None, LENGTH, 4]}),
              ("GlobalMaxPooling1D", "pool", {}), ("Dense", "dense", {"output_dim": 2, "activation": "sigmoid"})]
    (folder / "model.json").write_text(json.dumps({
        "class_name": "Sequential", "keras_version": "1.2.1",
        "config": [{"class_name": kind, "config": {"name": name, **config}} for kind, name, config in layers]}))
    with h5py.File(folder / "weights.h5", "w") as file:
        file.attrs["layer_names"] = [name.encode() for _, name, _ in layers]
        for name, arrays in {"conv": [kernel, np.zeros(6, np.float32)], "pool": [],
                             "dense": [dense, np.zeros(2, np.float32)]}.items():
            group = file.create_group(name)
            names = [f"{name}_{letter}{suffix}" for letter in "Wb"[:len(arrays)]]
            group.attrs["weight_names"] = [each.encode() for each in names]
            for each, array in zip(names, arrays, strict=True):
                group[each] = array
    return exact.read_keras_file(folder / "model.json", folder / "weights.h5"), kernel[:, 0], dense


@pytest.mark.parametrize("suffix, turned", [(":0", 1), ("", -1)])
def test_kernels_that_theano_saved_are_turned_round(tmp_path, suffix, turned):
    """Files of Keras 1 do not say what saved them, but TensorFlow's weights have another kind of name."""
    graph, kernel, dense = keras_1_file(tmp_path, suffix)
    sequence = sequence_of(LENGTH)
    one_hot = one_hot_mutants(sequence)
    scores = sum(one_hot[:, k:LENGTH - 4 + k] @ row for k, row in enumerate(kernel[::turned]))
    expected = 1 / (1 + np.exp(-(np.maximum(scores, 0).max(1) @ dense)))
    assert_same(graph, expected, sequence)


def test_theano_in_files_of_keras_2(tmp_path):
    """They do say it; what Theano computes in another way is refused by its name."""
    tf_keras = pytest.importorskip("tf_keras")
    k = tf_keras.layers
    model = tf_keras.Sequential([k.Input((LENGTH, 4, 1)), k.Conv2D(6, (5, 4), activation="relu", name="first"),
                                 k.MaxPooling2D((2, 1)), k.Conv2D(3, (3, 1), padding="same"), k.Flatten(), k.Dense(2)])
    randomize(model)
    model.save(tmp_path / "model.h5", save_format="h5")
    sequence = sequence_of(LENGTH)
    expected = predicted(model, one_hot_mutants(sequence).reshape(-1, LENGTH, 4, 1))
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        file.attrs["backend"] = file["model_weights"].attrs["backend"] = "theano"
        kernels = []
        file["model_weights"].visititems(lambda name, item: kernels.append(item) if item.name.endswith("kernel:0")
                                         and item.ndim == 4 else None)
        for kernel in kernels:
            kernel[...] = kernel[...][::-1, ::-1]
    assert_same(exact.read_keras_file(tmp_path / "model.h5"), expected, sequence)
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        first, = (each["config"] for each in config["config"]["layers"] if each["config"]["name"] == "first")
        first["padding"] = "same"
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(exact.UnknownLayer, match="layer first is of class Conv2D saved with Theano"):
        exact.read_keras_file(tmp_path / "model.h5")


@pytest.mark.skipif(not TAL_GATA.is_dir(), reason="the TAL1 and GATA networks are not at hand (not in the repository)")
def test_a_network_that_theano_saved_finds_its_motifs():
    """Of TF-MoDISco's simulated sequences it tells those with motifs from those without, as its authors' labels do."""
    metrics = pytest.importorskip("sklearn.metrics")
    name = "tfmodisco_record_5_model_PQzyq_model"
    graph = exact.read_keras_file(TAL_GATA / f"{name}Json.json", TAL_GATA / f"{name}Weights.h5")
    with gzip.open(TAL_GATA / "tfmodisco_sequences.simdata.gz", "rt") as file:
        rows = [line.rstrip("\n").split("\t") for line in list(file)[1:600]]
    sequences = np.array([np.frombuffer(row[1].encode(), np.uint8) for row in rows])
    (scores,) = exact.outputs_of(graph, dna.one_hot(sequences)).values()
    for task in range(3):
        assert metrics.roc_auc_score([int(row[3 + task]) for row in rows], scores[:, task]) > 0.98


def in_order(x):
    """A function of TensorFlow, which Keras 3 cannot follow and tf_keras can; the engine does not know it."""
    return __import__("tensorflow").sort(x, axis=1)


@pytest.mark.parametrize("name, layer", [
    ("lstm", lambda k: k.LSTM(4, return_sequences=True)),
    ("wrapped", lambda k: k.TimeDistributed(k.BatchNormalization())), ("lambda", lambda k: k.Lambda(in_order))])
def test_an_unknown_layer_is_named(framework, name, layer):
    k = framework.layers
    unknown = layer(k)
    model = framework.Sequential([k.Input((LENGTH, 4)), k.Conv1D(4, 3), unknown, k.GlobalAveragePooling1D()])
    with pytest.raises(exact.UnknownLayer, match=f"{unknown.name}.*({type(unknown).__name__}|another axis|sort)"):
        exact.read_keras(model)


def squeeze_and_excitation(k, x):
    gate = k.Dense(x.shape[-1], activation="sigmoid")(k.GlobalAveragePooling1D()(x))
    return k.Multiply(name="gated")([x, k.Reshape((1, x.shape[-1]))(gate)])


def transformer_block(k, x):
    y = k.LayerNormalization()(x)
    x = k.Add()([x, k.MultiHeadAttention(2, 3, name="attention")(y, y)])
    return k.Add()([x, k.Dense(x.shape[-1])(k.Dense(9, activation="gelu")(k.LayerNormalization()(x)))])


SPLIT = {
    "lstm": ("memory", lambda k, x: k.LSTM(4, return_sequences=True, name="memory")(x)),
    "gru, both ways": ("both", lambda k, x: k.Bidirectional(k.GRU(3, return_sequences=True), name="both")(x)),
    "a second result": ("memory", lambda k, x: k.RepeatVector(3)(k.GRU(5, return_state=True, name="memory")(x)[1])),
    "transformer block": ("attention", transformer_block),
    "squeeze and excitation": ("after", lambda k, x: k.ReLU(name="after")(squeeze_and_excitation(k, x))),
    "normalised over positions": ("after", lambda k, x: k.ReLU(name="after")(k.LayerNormalization(axis=1)(x))),
    "a function of its own": ("own", lambda k, x: k.Lambda(in_order, name="own")(x)),
}


@pytest.mark.parametrize("name", SPLIT)
def test_what_is_not_known_is_computed_by_the_model_itself(framework, name):
    """With a known output before the cut, one after it, and one that takes both."""
    k, (layer, unknown) = framework.layers, SPLIT[name]
    first = k.Input((LENGTH, 4))
    x = k.MaxPooling1D(3)(k.Conv1D(8, 6, activation="relu")(first))
    early = k.GlobalAveragePooling1D()(x)
    late = k.GlobalMaxPooling1D()(unknown(k, k.Conv1D(6, 3, padding="same")(x)))
    model = framework.Model(first, [k.Dense(2, name="early")(early), k.Dense(2, name="late")(late),
                                    k.Dense(3, name="both_ends")(k.Concatenate()([early, late]))])
    sequence = sequence_of(LENGTH)
    randomize(model)
    expected = predicted(model, one_hot_mutants(sequence))
    graph = exact.read_keras(model, split=True)
    assert layer in graph.rest.why and len(graph.outputs) == 3
    assert_same(graph, expected, sequence)
    np.testing.assert_allclose(exact.Engine(graph, threads=2).mutants(sequence, [3, 4, 40])[4:7],
                               exact.Engine(graph).mutants(sequence)[13:16], rtol=0, atol=1e-5)
    assert all(len(each._inbound_nodes) == 1 for each in model.layers if each.name != "add"), "the model is as it was"
    with pytest.raises(exact.UnknownLayer, match=layer):
        exact.read_keras(model)


def test_summaries_of_an_output_after_the_cut(framework):
    k = framework.layers
    first = k.Input((LENGTH, 4))
    x = k.GRU(3, return_sequences=True, name="profile")(k.Conv1D(8, 6, activation="relu")(first))
    model = framework.Model(first, x)
    sequence = sequence_of(LENGTH)
    expected = np.asarray(model.predict_on_batch(one_hot_mutants(sequence)))
    graph = exact.read_keras(model, split=True)
    found = exact.Engine(graph, [exact.Output("profile", "max", (3, 20)), exact.Output("profile", "average")])
    np.testing.assert_allclose(found.mutants(sequence), np.concatenate(
        [expected[:, 3:20].max(1), expected.mean(1)], axis=1), rtol=0, atol=1e-5)


@pytest.mark.parametrize("at", ["conv", "memory"])
def test_weights_that_are_no_numbers_are_refused_by_name(framework, at):
    k = framework.layers
    model = framework.Sequential([k.Input((LENGTH, 4)), k.Conv1D(3, 5, name="conv"), k.LSTM(4, name="memory")])
    kernel, *others = model.get_layer(at).get_weights()
    kernel[-1] = np.nan
    model.get_layer(at).set_weights([kernel, *others])
    with pytest.raises(exact.UnknownLayer, match=rf"layer {at} .*no numbers \(NaN\)"):
        exact.read_keras(model, split=True)


def test_nothing_is_split_where_nothing_is_known(framework):
    k = framework.layers
    model = framework.Sequential([k.Input((LENGTH, 4)), k.LSTM(4, name="memory"), k.Dense(2)])
    with pytest.raises(exact.UnknownLayer, match="memory"):
        exact.read_keras(model, split=True)


def test_a_model_class_of_its_own_is_refused(framework):
    class Own(framework.Model):
        def call(self, x):
            return x

    with pytest.raises(exact.UnknownLayer, match="Own"):
        exact.read_keras(Own())


def own_network(framework, memory=False, looks=False):
    """A model of a class of its own, with a function, operators and layers of classes of their own in it."""
    k = framework.layers

    class Block(k.Layer):
        def __init__(self, dilation, memory=False):
            super().__init__()
            self.conv = k.Conv1D(8, 3, padding="same", dilation_rate=dilation, activation="relu")
            self.norm, self.memory = k.BatchNormalization(), k.GRU(8, return_sequences=True) if memory else None

        def call(self, x):
            y = self.norm(self.conv(x))
            return x + (self.memory(y) if self.memory else y)

    class Net(framework.Model):
        def __init__(self):
            super().__init__()
            self.first, self.blocks = k.Conv1D(8, 5, activation="elu"), [Block(2), Block(3, memory)]
            self.both, self.pool = k.Lambda(lambda x: x[:, ::-1] + 2 * x), k.GlobalMaxPooling1D()
            self.last = k.Dense(2)

        def call(self, x, training=None):
            x = self.first(x)
            if looks and x[0, 0, 0] > 0:
                return self.last(self.pool(x))
            for block in self.blocks:
                x = block(x)
            return self.last(self.pool(self.both(x)))

    return Net()


@pytest.mark.parametrize("memory", [False, True])
def test_classes_of_ones_own_are_followed(framework, memory):
    """What a model, a layer and a function of one's own call stands in their places, and is as unknown as it is."""
    model = own_network(framework, memory)
    sequence = sequence_of(LENGTH)
    one_hot = one_hot_mutants(sequence)
    model(one_hot[:2])
    randomize(model)
    expected = predicted(model, one_hot)
    graph = exact.read_keras(model, split=memory, shape=(LENGTH, 4))
    assert not memory or "is of class GRU" in graph.rest.why
    assert_same(graph, expected, sequence)
    assert not model.first._inbound_nodes and not model.blocks[0].conv._outbound_nodes, "it is as it was"


def test_a_class_of_its_own_that_looks_at_its_input_is_refused(framework):
    model = own_network(framework, looks=True)
    with pytest.raises(exact.UnknownLayer, match="model is of class Net, whose code cannot be followed"):
        exact.read_keras(model, split=True, shape=(LENGTH, 4))


def test_a_layer_that_says_nothing_is_named():
    """It has no configuration; its class is all that there is."""
    k = keras.layers
    model = keras.Sequential([k.Input((LENGTH, 4)), k.Conv1D(4, 3), Own(2), k.GlobalAveragePooling1D()])
    with pytest.raises(exact.UnknownLayer, match=f"layer {model.layers[1].name} is of class Own"):
        exact.read_keras(model)
    assert "get_config" not in vars(model.layers[1])


def test_an_array_between_layers(framework):
    k = framework.layers
    first = k.Input((LENGTH, 4))
    x = k.Conv1D(3, 5)(first) * np.array([1.0, -2.0, 0.5], np.float32)
    assert_model(framework.Model(first, k.GlobalMaxPooling1D()(x)))


def test_the_examples_members():
    sequence = sequence_of(100)
    for member in range(1, 6):
        model = keras.saving.load_model(EXAMPLES / "tf_cooperativity" / str(member) / "model.keras", compile=False)
        assert_same(exact.read_keras(model), predicted(model, one_hot_mutants(sequence)), sequence)


@pytest.mark.skipif(not MPRA.is_dir(), reason="MPRA-DragoNN's weights are not at hand (they are not in the repository)")
def test_the_zoos_mpra_dragonn():
    """Its own JSON and weights, read without Keras, against tf_keras."""
    tf_keras = pytest.importorskip("tf_keras")
    model = tf_keras.models.model_from_json((MPRA / "model.json").read_text())
    model.load_weights(MPRA / "pretrained.hdf5")
    sequence = sequence_of(145)
    graph = exact.read_keras_file(MPRA / "model.json", MPRA / "pretrained.hdf5")
    assert_same(graph, predicted(model, one_hot_mutants(sequence)), sequence, 2e-6)


def bpnet_graph(member=1):
    """A TensorFlow 1 BPNet from its own file: eight inputs of bias, held at zero, and outputs through Lambda layers."""
    zeros = {f"bias/{mark}/{head}": 0.0 for mark in ("Oct4", "Sox2", "Nanog", "Klf4") for head in ("profile", "counts")}
    return exact.read_keras_file(BPNET / str(member) / "bpnet.model.h5", sequence_input="seq", constants=zeros)


def test_bpnets_own_file():
    """Against tf_keras, in which a Lambda of Python 3.7 can only be replaced, not read."""
    tf_keras = pytest.importorskip("tf_keras")

    class Identity(tf_keras.layers.Layer):
        @classmethod
        def from_config(cls, config):
            return cls(name=config["name"])

        def call(self, x):
            return x

    graph = bpnet_graph()
    model = tf_keras.models.load_model(BPNET / "1" / "bpnet.model.h5", compile=False,
                                       custom_objects={"Lambda": Identity})
    assert graph.outputs == tuple(model.output_names)
    sequence = sequence_of(graph.length)
    one_hot = one_hot_mutants(sequence)
    shapes = [tuple(n or graph.length for n in model_input.shape[1:]) for model_input in model.inputs[1:]]
    expected = predicted(model, [one_hot, *(np.zeros((len(one_hot), *shape), np.float32) for shape in shapes)])
    assert_same(graph, expected, sequence)
    counts = [name for name in graph.outputs if name.endswith("counts")]
    columns = np.cumsum([0] + [np.prod(shape[1:]) for shape in model.output_shape])
    kept = np.concatenate([np.arange(columns[i], columns[i + 1]) for i, name in enumerate(graph.outputs)
                           if name in counts]).astype(int)
    found = exact.Engine(graph, counts, threads=2).mutants(sequence)
    np.testing.assert_allclose(found, expected[:, kept], rtol=0, atol=1e-5 * np.abs(expected[:, kept]).max())


def test_a_lambda_that_does_something_is_refused(tmp_path):
    """The same file with the bytecode of another function."""
    copy = tmp_path / "bpnet.h5"
    copy.write_bytes((BPNET / "1" / "bpnet.model.h5").read_bytes())
    with h5py.File(copy, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        layer = next(layer for layer in config["config"]["layers"] if layer["class_name"] == "Lambda")
        code = base64.b64decode(layer["config"]["function"][0])
        assert b"|\x00S\x00" in code
        other = base64.b64encode(code.replace(b"\x04\x00\x00\x00|\x00S\x00", b"\x06\x00\x00\x00|\x00\x0b\x00S\x00"))
        layer["config"]["function"][0] = other.decode()
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(exact.UnknownLayer, match=layer["name"]):
        exact.read_keras_file(copy, constants=dict.fromkeys(
            (entry["name"] for entry in config["config"]["layers"] if entry["name"].startswith("bias")), 0.0))
