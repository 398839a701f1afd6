"""Networks and functions of this process as members: read as Kipoi's models are, and left as they are."""

import copy

import numpy as np
import pytest

from kipoi_deepmr import dna
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.models import Ensemble
from kipoi_deepmr.models.host.live import FunctionModel, TorchModel
from kipoi_deepmr.mutagenesis import engines, trust

LENGTH = 40
MARKS = ("GATA", "TAL1", "DNase")


def torch_network(seed):
    torch = pytest.importorskip("torch")
    torch.manual_seed(seed)
    nn = torch.nn
    return nn.Sequential(nn.Conv1d(4, 8, 5), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.MaxPool1d(2),
                         nn.Flatten(), nn.Linear(8 * 18, 3))


def keras_network(seed, several=False):
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(seed)
    k = keras.layers
    first = k.Input((LENGTH, 4))
    x = k.GlobalMaxPooling1D()(k.Conv1D(8, 5, activation="relu")(first))
    return keras.Model(first, [k.Dense(1, name="GATA")(x), k.Dense(1, name="TAL1")(x)] if several else k.Dense(3)(x))


def function(seed):
    weights = np.random.default_rng(seed).normal(size=(LENGTH, 4, 2))
    return lambda one_hot: np.einsum("nla,lam->nm", one_hot, weights)


def sequences(n=3):
    return dna.BASES[np.random.default_rng(0).integers(0, 4, (n, LENGTH))]


def state_of(network):
    """All of a module that prediction could change."""
    torch = pytest.importorskip("torch")
    modules = list(network.modules())
    return ([module.training for module in modules], [dict(module._forward_hooks) for module in modules],
            {name: value.clone() for name, value in network.state_dict().items()},
            [parameter.requires_grad for parameter in network.parameters()], torch.get_rng_state())


def assert_same_state(ours, theirs):
    assert ours[:2] == theirs[:2] and ours[3] == theirs[3]
    assert all((value == theirs[2][name]).all() for name, value in ours[2].items()) and (ours[4] == theirs[4]).all()


@pytest.mark.parametrize("options", [{}, {"mc_dropout": 2, "augment": ["rc"]}], ids=["plain", "dropout"])
def test_torch_modules_by_the_exact_engine_are_left_as_they_are(options):
    """In training but for one layer, which stays so; the graph's mutants are those of the module in `eval` mode."""
    torch = pytest.importorskip("torch")
    networks = [torch_network(k) for k in range(2)]
    networks[0][1].eval()
    before = [state_of(network) for network in networks]
    expected = [copy.deepcopy(network).eval() for network in networks]
    ensemble = Ensemble.from_torch(networks, marks=MARKS, length=LENGTH, **options)
    assert ensemble.marks == MARKS and ensemble.recipe is None and ensemble.length == LENGTH
    found = ensemble.predict(sequences())
    chosen = engines.choose(ensemble)
    mutants = chosen.mutants(sequences()[0])
    for network, state in zip(networks, before, strict=True):
        assert_same_state(state_of(network), state)
    if options:
        assert ensemble.names[:2] == ("member1:dropout1", "member1:dropout1,rc") and len(ensemble.names) == 8
        assert len(np.unique(found[:, 0, 0])) == 8
        return
    one_hot = torch.from_numpy(dna.one_hot(sequences()).swapaxes(1, 2).copy())
    with torch.no_grad():
        np.testing.assert_allclose(found, [network(one_hot).numpy() for network in expected], rtol=1e-5, atol=1e-6)
    assert [choice.engine for choice in chosen.choices] == ["exact", "exact"]
    naive = engines.naive(ensemble).mutants(sequences()[0])
    assert np.abs(mutants - naive).max() <= trust.PREDICTIONS * np.abs(naive).max()


def test_keras_models_by_the_exact_engine():
    """Shapes and the names of several outputs are the model's own."""
    networks = [keras_network(k, several=True) for k in range(2)]
    ensemble = Ensemble.from_keras({"fold0": networks[0], "fold1": networks[1]})
    assert (ensemble.marks, ensemble.names, ensemble.length) == (("GATA", "TAL1"), ("fold0", "fold1"), LENGTH)
    expected = [np.concatenate(network.predict_on_batch(dna.one_hot(sequences())), 1) for network in networks]
    np.testing.assert_allclose(ensemble.predict(sequences()), expected, rtol=1e-5)
    chosen = engines.choose(ensemble)
    assert [choice.engine for choice in chosen.choices] == ["exact", "exact"]


def test_functions_as_members():
    functions = [function(k) for k in range(3)]
    ensemble = Ensemble.from_function(functions, length=LENGTH, marks=MARKS[:2])
    expected = [f(dna.one_hot(sequences())) for f in functions]
    np.testing.assert_array_equal(ensemble.predict(sequences()), expected)
    assert engines.choose(ensemble).choices[0].engine == "naive"


def test_marks_by_number():
    """A dict chooses outputs, and makes means of several."""
    functions = [function(k) for k in range(2)]
    ensemble = Ensemble.from_function(functions, length=LENGTH, marks={"second": 1, "both": [0, 1]})
    expected = np.stack([f(dna.one_hot(sequences())) for f in functions])
    np.testing.assert_allclose(ensemble.predict(sequences()), np.stack([expected[..., 1], expected.mean(-1)], -1))


@pytest.mark.parametrize("layout, axes", [("L,4", (0, 1, 2)), ("4,1,L", None)])
def test_layouts_of_torch_modules(layout, axes):
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def __init__(self, seed):
            super().__init__()
            self.weights = torch.from_numpy(np.random.default_rng(seed).normal(size=(LENGTH, 4, 2)))

        def forward(self, x):
            assert x.shape[1:] == ((LENGTH, 4) if axes else (4, 1, LENGTH))
            x = x if axes else x[:, :, 0].transpose(1, 2)
            return torch.einsum("nla,lam->nm", x.double(), self.weights)

    ensemble = Ensemble.from_torch([Net(0), Net(1)], length=LENGTH, layout=layout)
    expected = [np.einsum("nla,lam->nm", dna.one_hot(sequences()), Net(k).weights.numpy()) for k in range(2)]
    np.testing.assert_allclose(ensemble.predict(sequences()), expected)


def test_profiles_with_log_counts_are_read_as_the_command_reads_them():
    """A module that answers with (profile, counts) of two tasks, as bpnet-lite's: the marks are the log counts."""
    torch = pytest.importorskip("torch")

    class Net(torch.nn.Module):
        def __init__(self, seed):
            super().__init__()
            torch.manual_seed(seed)
            self.profile, self.counts = torch.nn.Conv1d(4, 2, 7, padding=3), torch.nn.Linear(4 * LENGTH, 2)

        def forward(self, x):
            return self.profile(x), self.counts(x.flatten(1))

    networks = [Net(k) for k in range(2)]
    ensemble = Ensemble.from_torch(networks, length=LENGTH, marks=["CTCF", "SPI1"])
    one_hot = torch.from_numpy(dna.one_hot(sequences()).swapaxes(1, 2).copy())
    expected = [network(one_hot)[1].detach().numpy() for network in networks]
    np.testing.assert_allclose(ensemble.predict(sequences()), expected, rtol=1e-5, atol=1e-6)
    totals = Ensemble.from_torch(networks, length=LENGTH, mark_summary="profile_mean")
    assert totals.marks != ensemble.marks and len(totals.marks) == 2


def test_outputs_without_names_are_not_guessed_in_numbers():
    def many(k):
        return lambda one_hot: np.repeat(function(k)(one_hot), 30, axis=1)

    with pytest.raises(InputError, match=r'60 marks.*name them \(marks=\[\.\.\.\]\) or choose some \(marks='):
        Ensemble.from_function([many(0), many(1)], length=LENGTH)
    chosen = Ensemble.from_function([many(0), many(1)], length=LENGTH, marks={"first": 0, "last": 59})
    assert chosen.marks == ("first", "last")


@pytest.mark.parametrize("precision", ["float64", "bfloat16"])
def test_torch_modules_compute_in_their_own_precision(precision):
    torch = pytest.importorskip("torch")
    networks = [torch_network(k).to(getattr(torch, precision)) for k in range(2)]
    ensemble = Ensemble.from_torch(networks, length=LENGTH, strict=False)
    assert ensemble.described[0].precision == precision and next(networks[0].parameters()).dtype == getattr(
        torch, precision)


def test_checksums_follow_all_that_answers_depend_on():
    """Weights, buffers, attributes, classes and, of a function, what it answers; a copy has the same."""
    torch = pytest.importorskip("torch")

    def checksum(change=lambda network: None):
        network = torch_network(0)
        change(network)
        return TorchModel(network, None).checksum()

    assert checksum() == checksum() == checksum(lambda network: network.eval())
    changes = [lambda network: network[0].weight.data.mul_(1.001), lambda network: network[1].running_mean.add_(1),
               lambda network: setattr(network[1], "eps", 0.1), lambda network: network.__setitem__(2, torch.nn.GELU()),
               lambda network: setattr(network, "scale", np.ones(3))]
    found = [checksum(change) for change in changes]
    assert len({checksum(), *found}) == 1 + len(changes)
    assert FunctionModel(function(0), LENGTH).checksum() == FunctionModel(function(0), LENGTH).checksum()
    assert FunctionModel(function(0), LENGTH).checksum() != FunctionModel(function(1), LENGTH).checksum()


def test_a_network_that_was_trained_on_is_refused():
    networks = [torch_network(k) for k in range(2)]
    ensemble = Ensemble.from_torch(networks, length=LENGTH)
    networks[1].train()
    ensemble.check_unchanged()
    networks[1][0].weight.data += 0.01
    with pytest.raises(InputError, match="member2 has changed since the ensemble was made"):
        engines.choose(ensemble)


@pytest.mark.parametrize("models, options, message", [
    ([], {}, "the list of models is empty"),
    (3, {}, "3 is no function, nor a list of them"),
    ([function(0), 3], {}, "model 1 of the list is a int, not a function"),
    ([function(0), function(0)], {}, "member1 and member2 are the same model"),
    ([function(0), function(1)], {"names": ["a", "a"]}, r"names: 2 names \(1 different\) for 2 models"),
    ([function(0), function(1)], {"length": LENGTH + 1}, r"given an array \(batch, 41, 4\): is that what it takes"),
    ([function(0), function(1)], {"length": 4.5}, "length: a whole number of bases is needed, not 4.5"),
    ([function(0), function(1)], {"marks": ["a"]}, "member1: marks="),
    ([function(0), function(1)], {"marks": "a"}, "'a' is one text"),
    ([function(0), function(1)], {"mark_names": ["a"]}, "here it is marks="),
    ([function(0), function(1)], {"mark_table": "marks.tsv"}, "here it is marks="),
    ([function(0), function(1)], {"python": "3.7"}, "not of models in memory"),
    ([function(0), function(1)], {"batchsize": 2}, 'did you mean "batch_size"'),
    ([function(0), lambda one_hot: None], {}, "member2: the model returned nothing"),
    ([function(0), lambda one_hot: 1 / 0], {}, "member2 failed to predict 4 sequences: ZeroDivisionError"),
    ([lambda one_hot: np.random.default_rng().normal(size=(len(one_hot), 2)), function(0)], {},
     "answers the same sequence differently each time"),
])
def test_what_cannot_be_a_member_is_named(models, options, message):
    with pytest.raises(InputError, match=message):
        Ensemble.from_function(models, **{"length": LENGTH, **options})


def test_networks_of_the_wrong_kind():
    networks = [keras_network(k) for k in range(2)]
    with pytest.raises(InputError, match=r"is a Functional, not a torch.nn.Module"):
        Ensemble.from_torch(networks, length=LENGTH)
    with pytest.raises(InputError, match="is a network, a Functional: use Ensemble.from_keras"):
        Ensemble.from_function(networks, length=LENGTH)
    with pytest.raises(InputError, match="member1: length= 41, but its network takes 40 bases"):
        Ensemble.from_keras(networks, length=LENGTH + 1)
