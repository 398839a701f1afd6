"""Models named by a pattern."""

import pytest
from conftest import MODEL_YAML

from kipoi_deepmr.errors import InputError
from kipoi_deepmr.models.patterns import matching_models


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    """Directories basset/1, 2, 10, 10b and README (no model), bpnet (bpnet's own form), x[1] and a [1]/1, 2."""
    for name in ("basset/1", "basset/2", "basset/10", "basset/10b", "x[1]", "a [1]/1", "a [1]/2"):
        (tmp_path / name).mkdir(parents=True)
        described = MODEL_YAML.format(nan_start="", length=12, n_marks=2, marks="A, B", dataloader="")
        (tmp_path / name / ("model.yml" if name == "basset/2" else "model.yaml")).write_text(described)
    (tmp_path / "basset" / "README").mkdir()
    (tmp_path / "bpnet").mkdir()
    (tmp_path / "bpnet" / "seq_model.pkl").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("texts, expected", [
    (["basset/*"], ["basset/1", "basset/2", "basset/10", "basset/10b"]),
    (["basset/1*"], ["basset/1", "basset/10", "basset/10b"]),
    (["basset/[12]", "b*t"], ["basset/1", "basset/2", "bpnet"]),
    (["basset/?", "basset/10"], ["basset/1", "basset/2", "basset/10"]),
    (["basset/none", "basset/README"], ["basset/none", "basset/README"]),
    (["x[1]"], ["x[1]"]),
    (["a [1]/*"], ["a [1]/1", "a [1]/2"]),
    (["a [1]/[2]"], ["a [1]/2"]),
])
def test_directories(zoo, texts, expected):
    assert matching_models(texts, "dir") == expected


def test_absolute_paths(zoo):
    assert matching_models([f"{zoo}/basset/2*"], "dir") == [f"{zoo}/basset/2"]
    assert matching_models([f"{zoo}/a [1]/?"], "dir") == [f"{zoo}/a [1]/1", f"{zoo}/a [1]/2"]


@pytest.mark.parametrize("texts, said", [
    (["baset/*"], 'no model matches baset/* in --source dir; '),
    (["basset/R*"], 'did you mean "basset/2"?'),
    (["basset/README/*"], "there are no models there"),
    (["basset/1", "basset/*"], "model basset/1 is named twice"),
])
def test_no_match(zoo, texts, said):
    with pytest.raises(InputError) as raised:
        matching_models(texts, "dir")
    assert said in str(raised.value)


def test_models_of_a_source(zoo, monkeypatch):
    import kipoi
    from kipoi.sources import LocalSource

    monkeypatch.setitem(kipoi.config.model_sources(), "mine", LocalSource(str(zoo)))
    assert matching_models(["basset/1?"], "mine") == ["basset/10"]
    with pytest.raises(InputError, match='no model matches basst/. in --source mine; did you mean "basset/'):
        matching_models(["basst/?"], "mine")


def test_a_source_that_cannot_be_listed():
    with pytest.raises(InputError, match="--source nowhere: its models cannot be listed"):
        matching_models(["*"], "nowhere")
