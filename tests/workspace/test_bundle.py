"""A model as one file: there and back, damaged, hostile, from a newer release."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from recsys_desktop.workspace import (
    BUNDLE_SUFFIX,
    ArtifactDamaged,
    BundleInvalid,
    ModelRecord,
    Workspace,
    WorkspaceError,
    WorkspaceFull,
    WorkspaceTooNew,
    bundle,
    export_model,
    import_model,
)

Publish = Callable[..., ModelRecord]


@pytest.fixture
def exported(workspace: Workspace, publish: Publish, tmp_path: Path) -> Path:
    """A bundle of ease@1, which stays in the workspace."""
    record = publish(
        workspace, seed=7, metrics={"ndcg@10": 0.26}, fit_seconds=1.5, peak_memory_bytes=10, note="the note"
    )
    return export_model(workspace, record, tmp_path / "ease")


def rewrite(source: Path, change: Callable[[dict[str, bytes]], None], compression: int = zipfile.ZIP_STORED) -> None:
    """Write a bundle anew after ``change`` has had its way with the entries."""
    with zipfile.ZipFile(source) as reader:
        entries = {info.filename: reader.read(info) for info in reader.infolist()}
    change(entries)
    with zipfile.ZipFile(source, "w", compression) as writer:
        for name, content in entries.items():
            writer.writestr(name, content)


def describe(source: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Change the description inside a bundle."""

    def change_entries(entries: dict[str, bytes]) -> None:
        description = json.loads(entries["bundle.json"])
        change(description)
        entries["bundle.json"] = json.dumps(description).encode()

    rewrite(source, change_entries)


def assert_refused(workspace: Workspace, source: Path, said: str) -> None:
    before, files = workspace.models(), sorted(workspace.path.parent.rglob("*"))
    with pytest.raises(BundleInvalid, match=said) as refusal:
        import_model(workspace, source)
    assert str(source) in str(refusal.value)
    assert workspace.models() == before
    assert sorted(workspace.path.parent.rglob("*")) == files


def test_model_goes_to_another_workspace_and_keeps_everything(
    workspace: Workspace, exported: Path, tmp_path: Path
) -> None:
    (original,) = workspace.models()
    assert exported.name == f"ease{BUNDLE_SUFFIX}"
    with Workspace.open(tmp_path / "other") as other:
        record = import_model(other, exported)
        assert (record.name, record.version, record.active) == ("ease", 1, True)
        for field in ("algorithm", "params", "seed", "metrics", "fit_seconds", "peak_memory_bytes", "note"):
            assert getattr(record, field) == getattr(original, field), field
        assert record.id != original.id
        other.verify(record)
        for name in ("manifest.json", "member/weights.safetensors", "checksums.json"):
            assert (other.folder_of(record) / name).read_bytes() == (workspace.folder_of(original) / name).read_bytes()


def test_a_file_is_written_under_the_name_asked_for(workspace: Workspace, exported: Path) -> None:
    (record,) = workspace.models()
    target = exported.with_name("for a colleague.zip")
    assert export_model(workspace, record, target) == target
    assert import_model(workspace, target).label == "ease@2"


def test_import_takes_the_next_version_or_another_name(workspace: Workspace, exported: Path) -> None:
    assert import_model(workspace, exported).label == "ease@2"
    assert import_model(workspace, exported, name="copy").label == "copy@1"


def test_bundle_is_stored_uncompressed(exported: Path) -> None:
    with zipfile.ZipFile(exported) as reader:
        assert {info.compress_type for info in reader.infolist()} == {zipfile.ZIP_STORED}
        assert reader.testzip() is None


def test_damaged_model_is_not_exported(workspace: Workspace, exported: Path, tmp_path: Path) -> None:
    (record,) = workspace.models()
    (workspace.folder_of(record) / "manifest.json").write_text("{}")
    before = exported.read_bytes()
    with pytest.raises(ArtifactDamaged, match=r"manifest\.json"):
        export_model(workspace, record, exported)
    assert exported.read_bytes() == before


def test_full_disk_during_export_keeps_the_earlier_file(
    workspace: Workspace, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (record,) = workspace.models()
    before = exported.read_bytes()

    def no_space(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, "flush_file", no_space)
    with pytest.raises(WorkspaceFull, match="ease"):
        export_model(workspace, record, exported)
    assert exported.read_bytes() == before
    assert not list(exported.parent.glob(".*"))


def test_export_into_a_folder_that_is_not_there_says_so(workspace: Workspace, exported: Path) -> None:
    (record,) = workspace.models()
    with pytest.raises(WorkspaceError, match="There is no folder"):
        export_model(workspace, record, exported.parent / "nowhere" / "ease")


@pytest.mark.parametrize("kept", [0, 0.01, 0.5, 0.99])
def test_file_cut_short_is_refused(workspace: Workspace, exported: Path, kept: float) -> None:
    content = exported.read_bytes()
    exported.write_bytes(content[: int(kept * len(content))])
    assert_refused(workspace, exported, "cut short")


def test_flipped_bit_is_refused(workspace: Workspace, exported: Path) -> None:
    content = bytearray(exported.read_bytes())
    place = content.index(bytes(range(256)))
    content[place + 5] ^= 1
    exported.write_bytes(content)
    assert_refused(workspace, exported, "damaged")


def test_altered_file_with_a_valid_zip_is_refused(workspace: Workspace, exported: Path) -> None:
    def alter(entries: dict[str, bytes]) -> None:
        entries["files/manifest.json"] = entries["files/manifest.json"].replace(b"1", b"2")

    rewrite(exported, alter)
    assert_refused(workspace, exported, r"manifest\.json are not what was exported")


def test_other_files_are_refused(workspace: Workspace, exported: Path, tmp_path: Path) -> None:
    assert_refused(workspace, tmp_path / "nowhere.recsys-model", "No such file")
    text = tmp_path / "ratings.csv"
    text.write_text("user,item,rating\n" * 100)
    assert_refused(workspace, text, "another kind of file")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as other:
        other.writestr("a.jpg", b"1")
    assert_refused(workspace, tmp_path / "photos.zip", "another kind of file")


def test_bundle_of_a_newer_release_is_refused(workspace: Workspace, exported: Path) -> None:
    describe(exported, lambda description: description.update(format=2))
    with pytest.raises(WorkspaceTooNew, match="Update RecSys Desktop"):
        import_model(workspace, exported)
    assert len(workspace.models()) == 1


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "member/../../outside",
        "/etc/outside",
        "C:/outside",
        "C:outside",
        "..\\outside",
        "\\\\server\\share\\outside",
        "a//b",
        "./a",
        "a/",
        "nul",
        "member/COM1.txt",
        "trailing.",
        "trailing ",
        "checksums.json",
        "",
        "a\x00b",
    ],
)
def test_paths_that_leave_the_model_are_refused(workspace: Workspace, exported: Path, name: str) -> None:
    def smuggle(entries: dict[str, bytes]) -> None:
        description = json.loads(entries["bundle.json"])
        files = description["checksums"]["files"]
        files[name] = files["manifest.json"]
        entries["bundle.json"] = json.dumps(description).encode()
        entries["files/" + name] = entries["files/manifest.json"]

    rewrite(exported, smuggle)
    assert_refused(workspace, exported, "not a path inside the model")


@pytest.mark.parametrize("name", ["manifest.json", "member/weights.safetensors", "ü b/c-1_2.x"])
def test_ordinary_paths_are_safe(name: str) -> None:
    assert bundle.is_safe_path(name)


def drop_manifest(entries: dict[str, bytes]) -> None:
    del entries["files/manifest.json"]


def test_entries_that_are_not_listed_or_missing_are_refused(workspace: Workspace, exported: Path) -> None:
    original = exported.read_bytes()
    rewrite(exported, lambda entries: entries.update({"files/extra": b"1"}))
    assert_refused(workspace, exported, "'files/extra', which it does not list")
    exported.write_bytes(original)
    rewrite(exported, lambda entries: entries.update({"../evil": b"1"}))
    assert_refused(workspace, exported, "does not list")
    exported.write_bytes(original)
    rewrite(exported, drop_manifest)
    assert_refused(workspace, exported, r"manifest\.json is missing")


def test_compressed_entries_are_refused_so_that_none_can_swell(workspace: Workspace, exported: Path) -> None:
    rewrite(exported, lambda entries: None, zipfile.ZIP_DEFLATED)
    assert_refused(workspace, exported, "compressed")


def drop_checksums(description: dict[str, object]) -> None:
    del description["checksums"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda description: description.update(model=[]), "does not describe a model"),
        (lambda description: description["model"].update(params="l2=1"), '"params"'),
        (lambda description: description["model"].pop("algorithm"), '"algorithm"'),
        (lambda description: description.update(format="new"), "which format"),
        (drop_checksums, "checksums"),
    ],
)
def test_descriptions_of_another_form_are_refused(
    workspace: Workspace, exported: Path, change: Callable[[dict[str, object]], None], said: str
) -> None:
    describe(exported, change)
    assert_refused(workspace, exported, said)
