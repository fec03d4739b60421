"""Saved state: everything that may be stored comes back as it was; everything that is damaged is refused in words."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import csr_matrix

from recsys_desktop.api import (
    AlgorithmSpec,
    Capabilities,
    Dataset,
    Family,
    Forecast,
    Params,
    Query,
    Recommender,
    Serves,
    StateError,
    Vocabulary,
    param,
    state,
)


class ShelfParams(Params):
    depth: int = param(1, help="Has no effect.", ge=1, le=9)


SHELF = AlgorithmSpec(
    id="shelf",
    name="Shelf",
    family=Family.BASELINE,
    summary="Keeps what is put on it.",
    implementation=f"{__name__}:Shelf",
    params=ShelfParams,
    capabilities=Capabilities(serves=Serves.EVERYONE),
)


class Shelf(Recommender):
    """A model whose state is whatever a test puts there."""

    spec = SHELF

    def estimate(self, shape):
        return Forecast(1, 0.0)

    def _fit(self, train, run):
        self.content_ = None

    def _score(self, query, items):
        return np.zeros((len(query), self.n_items if items is None else len(items)))


DATA = Dataset(Vocabulary(["ann", "bob"]), Vocabulary(["x", "007", "ü"]), [0, 1, 1], [0, 1, 2], [1.0, 2.0, 3.0])


def shelf(content=None, **params):
    model = Shelf(ShelfParams(**params)).fit(DATA)
    model.content_ = content
    return model


def resolve(algorithm):
    if algorithm != "shelf":
        raise StateError(f"no installed plugin has an algorithm '{algorithm}'")
    return SHELF


def there_and_back(content, folder):
    shelf(content).save(folder)
    return Recommender.load(folder, resolve).content_


def assert_same(first, second):
    assert type(first) is type(second)
    if isinstance(first, np.ndarray):
        assert first.dtype == second.dtype
        assert first.shape == second.shape
        np.testing.assert_array_equal(first, second)
    elif isinstance(first, list | tuple):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    elif isinstance(first, dict):
        assert list(first) == list(second)
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, float) and math.isnan(first):
        assert math.isnan(second)
    else:
        assert first == second


arrays = st.one_of(
    hnp.arrays(
        st.sampled_from(
            [np.bool_, np.int8, np.uint8, np.int32, np.int64, np.uint32, np.float16, np.float32, np.float64]
        ),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    )
)
trees = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text() | arrays,
    lambda children: (
        st.lists(children, max_size=4)
        | st.lists(children, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=8) | st.sampled_from(["$array", "$model", "$dict"]), children, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150)
@given(trees)
def test_any_tree_comes_back_as_it_was(tmp_path_factory, content):
    assert_same(content, there_and_back(content, tmp_path_factory.mktemp("model")))


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12).reshape(3, 4).T,
        np.arange(20, dtype=np.float32)[::3],
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array(5.5),
        np.empty((0, 3), dtype=np.float32),
        np.broadcast_to(np.arange(3), (2, 3)),
    ],
    ids=["transposed", "strided", "fortran", "no dimension", "empty", "broadcast"],
)
def test_arrays_keep_shape_and_values_however_they_lie_in_memory(array, tmp_path):
    assert_same(np.array(array), there_and_back(array, tmp_path))


def test_sparse_matrices_come_back(tmp_path):
    matrix = csr_matrix(np.array([[0, 1.5, 0], [2, 0, 0]], dtype=np.float32))
    found = there_and_back(matrix, tmp_path)
    assert isinstance(found, csr_matrix)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.toarray(), matrix.toarray())


def test_tensors_come_back(tmp_path):
    torch = pytest.importorskip("torch")
    found = there_and_back({"weight": torch.arange(6, dtype=torch.float32).reshape(2, 3)}, tmp_path)
    assert torch.equal(found["weight"], torch.arange(6, dtype=torch.float32).reshape(2, 3))


def test_numpy_scalars_come_back_as_numbers(tmp_path):
    assert there_and_back([np.float32(0.5), np.int64(7), np.bool_(True), np.float64("nan")], tmp_path)[:3] == [
        0.5,
        7,
        True,
    ]


def test_nested_models_come_back_with_their_parameters(tmp_path):
    inner = shelf({"deep": [shelf(np.arange(3), depth=4)]}, depth=3)
    found = there_and_back((inner, [inner]), tmp_path)
    assert isinstance(found[0], Shelf)
    assert found[0].params.depth == 3
    deepest = found[0].content_["deep"][0]
    assert deepest.params.depth == 4
    assert deepest.content_.tolist() == [0, 1, 2]
    assert deepest.item_vocabulary is found[0].item_vocabulary
    assert found[0].score(_anybody()).shape == (1, 3)


def _anybody():
    return Query.of_history([0])


def test_ids_and_scale_come_back(tmp_path):
    shelf().save(tmp_path)
    found = Recommender.load(tmp_path, resolve)
    assert list(found.item_vocabulary) == ["x", "007", "ü"]
    assert list(found.user_vocabulary) == ["ann", "bob"]
    assert found.rating_scale == DATA.rating_scale
    assert found.known_users_.tolist() == [True, True]
    assert found.is_fitted


def test_user_ids_can_be_left_out(tmp_path):
    shelf().save(tmp_path, include_users=False)
    assert "ann" not in (tmp_path / state.MANIFEST).read_text(encoding="utf-8")
    assert len(Recommender.load(tmp_path, resolve).user_vocabulary) == 0


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (np.array(["text"], dtype=object), "array of object"),
        (np.array(["text"]), "only numbers can be stored"),
        (np.array([1j]), "array of complex128"),
        ({1: "a"}, "keys that are not text"),
        ({"a": [object()]}, r"'content_\['a'\]\[0\]' is a object"),
        ({1, 2}, "is a set, which cannot be stored"),
        (lambda: None, "is a function"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_name(content, says, tmp_path):
    with pytest.raises(StateError, match=says):
        shelf(content).save(tmp_path)


def test_a_nested_model_of_other_data_is_refused(tmp_path):
    other = Shelf().fit(Dataset(Vocabulary("ab"), Vocabulary("cd"), [0, 1], [0, 1]))
    with pytest.raises(StateError, match="nested model 'shelf' has another vocabulary"):
        shelf(other).save(tmp_path)


def saved(folder, content=None):
    shelf({"array": np.arange(1000.0)} if content is None else content).save(folder)
    return folder / state.MANIFEST, folder / state.TENSORS


def load(folder):
    return Recommender.load(folder, resolve)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(StateError, match=r"manifest\.json is missing"):
        load(tmp_path)
    _, tensors = saved(tmp_path)
    tensors.unlink()
    with pytest.raises(StateError, match=r"tensors\.safetensors is missing"):
        load(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("which", [0, 1])
def test_a_file_cut_short_is_damaged(which, share, tmp_path):
    path = saved(tmp_path)[which]
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(StateError, match="damaged"):
        load(tmp_path)


def test_a_newer_format_asks_for_an_update(tmp_path):
    edit(saved(tmp_path)[0], lambda manifest: manifest.update(format=state.FORMAT + 1))
    with pytest.raises(StateError, match=r"newer version .* update the application"):
        load(tmp_path)


def test_a_newer_algorithm_asks_for_an_update(tmp_path):
    edit(saved(tmp_path)[0], lambda manifest: manifest["model"].update(state_version=2))
    with pytest.raises(StateError, match=r"newer 'shelf' .* update the plugin"):
        load(tmp_path)


def test_an_unknown_algorithm_is_named(tmp_path):
    edit(saved(tmp_path)[0], lambda manifest: manifest["model"].update(algorithm="drawer"))
    with pytest.raises(StateError, match="no installed plugin has an algorithm 'drawer'"):
        load(tmp_path)


def test_parameters_that_are_not_valid_any_more_are_named(tmp_path):
    edit(saved(tmp_path)[0], lambda manifest: manifest["model"].update(params={"depth": 12}))
    with pytest.raises(StateError, match=r"saved parameters of 'shelf' are not valid any more.*'depth'"):
        load(tmp_path)


def edit(path, change):
    manifest = json.loads(path.read_text(encoding="utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")


def _set_content(value):
    return lambda manifest: manifest["model"]["state"].update(content_=value)


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.pop("items"),
        lambda manifest: manifest.pop("model"),
        lambda manifest: manifest.update(items=["x", "x", "y"]),
        lambda manifest: manifest.update(items=[1, 2, 3]),
        lambda manifest: manifest.update(model=[]),
        lambda manifest: manifest["model"].pop("state"),
        lambda manifest: manifest["model"].update(state_version="one"),
        lambda manifest: manifest["model"].update(params=3),
        _set_content({"$array": "99"}),
        _set_content({"$csr": ["0", "0", "0"], "shape": [3, 3]}),
        _set_content({"$csr": ["0"], "shape": [3, 3]}),
        _set_content({"$float": "much"}),
        _set_content({"$unknown": 1}),
        _set_content({"$model": {"algorithm": "shelf"}}),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(change, tmp_path):
    edit(saved(tmp_path)[0], change)
    with pytest.raises(StateError):
        load(tmp_path)


@pytest.mark.parametrize("name", ["score", "params", "_cache_", "__class__", "spec"])
def test_a_manifest_sets_nothing_but_fitted_attributes(name, tmp_path):
    edit(saved(tmp_path)[0], lambda manifest: manifest["model"]["state"].update({name: 1}))
    with pytest.raises(StateError, match=f"'{name}' is no fitted attribute"):
        load(tmp_path)


@pytest.mark.parametrize("text", ["[]", "null", '{"format": "1"}', "{}", "not json", "\ufeff{}"])
def test_a_file_that_is_no_manifest_is_refused(text, tmp_path):
    saved(tmp_path)[0].write_text(text, encoding="utf-8")
    with pytest.raises(StateError):
        load(tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    saved(tmp_path)[0].write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StateError, match="damaged"):
        load(tmp_path)


def test_an_older_state_is_migrated(tmp_path, monkeypatch):
    saved(tmp_path, [1, 2])
    monkeypatch.setattr(Shelf, "state_version", 2)
    monkeypatch.setattr(
        Shelf,
        "migrate_state",
        lambda self, fitted, version: {**fitted, "content_": ("migrated from", version, fitted["content_"])},
    )
    assert load(tmp_path).content_ == ("migrated from", 1, [1, 2])


def test_an_older_state_without_a_migration_is_refused(tmp_path, monkeypatch):
    saved(tmp_path)
    monkeypatch.setattr(Shelf, "state_version", 2)
    with pytest.raises(StateError, match="no migration from state version 1"):
        load(tmp_path)


def test_the_manifest_is_read_without_the_arrays(tmp_path):
    _, tensors = saved(tmp_path)
    tensors.unlink()
    manifest = state.read_manifest(tmp_path)
    assert manifest["items"] == ["x", "007", "ü"]
    assert manifest["model"]["algorithm"] == "shelf"


def test_loading_runs_no_code_of_the_file(tmp_path):
    manifest, tensors = saved(tmp_path)
    for path in (manifest, tensors):
        path.write_bytes(b"\x80\x04\x95\x1f\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x8c\x06system\x93")
        with pytest.raises(StateError):
            load(tmp_path)
        saved(tmp_path)
