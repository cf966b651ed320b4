"""The contract of every materializer: what is loaded equals what was saved, in open files, with a stable hash."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from zenml.artifact_stores import LocalArtifactStore
from zenml.artifact_stores.local_artifact_store import LocalArtifactStoreConfig
from zenml.enums import StackComponentType

from entailment.configuration.head import Head
from entailment.configuration.model import ModelConfiguration
from entailment.errors import DataError
from entailment.files import sha256_of_folder
from entailment.model.head import build_head
from entailment.model.training import TrainedHead
from entailment.records.manifest import RecordsFolder
from entailment.records.reading import read_rows
from entailment.records.writing import write_records
from materializers.head import HeadMaterializer
from materializers.page import PageMaterializer
from materializers.pairs import PairsMaterializer
from materializers.records import RecordsMaterializer
from materializers.report import ReportMaterializer

OPEN_FORMATS = {".parquet", ".json", ".tfrecord", ".arrow", ".keras", ".html", ".csv", ".md"}


@pytest.fixture
def store(tmp_path):
    from datetime import UTC, datetime
    from uuid import uuid4

    (tmp_path / "store").mkdir()
    now = datetime.now(UTC)
    return LocalArtifactStore(
        name="test",
        id=uuid4(),
        config=LocalArtifactStoreConfig(path=str(tmp_path / "store")),
        flavor="local",
        type=StackComponentType.ARTIFACT_STORE,
        user=None,
        created=now,
        updated=now,
    )


def pairs(tmp_path):
    return pd.DataFrame(
        {"id_1": ["1375936088968200205", "007"], "text_1": ["a 🌉", 'b "c"\nd'], "label_index": [0, 2]}
    ).astype({"id_1": "str", "text_1": "str"})


def report(tmp_path):
    return {"counts": {"a": 1}, "share": 0.25, "none": None, "list": [1, "é"]}


def page(tmp_path):
    return "<!doctype html>\r\n<p>é"


def records(tmp_path):
    frame = pd.DataFrame(
        {
            **{name: ["x", "y", "z"] for name in ("id_1", "id_2", "text_1", "text_2")},
            **{name: [""] * 3 for name in ("image_path_1", "image_path_2")},
            **{name: ["missing"] * 3 for name in ("image_status_1", "image_status_2")},
            "label_index": [0, 1, 2],
            "split": ["train", "validation", "test"],
        }
    )
    write_records(
        frame,
        tmp_path / "written",
        ModelConfiguration.model_validate(
            {"inputs": "text", "images": {"size": 32, "max_pixels": 10_000}, "records": {"rows_per_shard": 2}}
        ),
    )
    return RecordsFolder.at(tmp_path / "written")


def head(tmp_path):
    widths = {"text": 4, "text_present": 1}
    return TrainedHead(build_head(widths, Head(projection_units=4), 3), 1, {"train/loss": [0.5, 0.25]})


def head_with_encoder(tmp_path):
    module = tmp_path / "text-tuned"
    (module / "variables").mkdir(parents=True)
    for name in ("module.json", "variables/weights.json"):
        (module / name).write_text(f'"{name}"')
    return replace(head(tmp_path), modules={"text": module})


def content(value):
    """What must be the same after a round trip."""
    if isinstance(value, TrainedHead) and value.modules:
        hashes = {role: sha256_of_folder(module) for role, module in value.modules.items()}
        return hashes, content(replace(value, modules={}))
    if isinstance(value, TrainedHead):
        inputs = {"text": np.ones((2, 4), np.float32), "text_present": np.ones((2, 1), np.float32)}
        return value.best_epoch, value.history, value.model.predict(inputs, verbose=0).tolist()
    if isinstance(value, RecordsFolder):
        return [list(read_rows(value.path, split)) for split in ("train", "validation", "test")]
    if isinstance(value, pd.DataFrame):
        return value.dtypes.astype(str).to_dict(), value.to_dict("list")
    return value


@pytest.mark.parametrize(
    ("materializer", "make"),
    [
        (PairsMaterializer, pairs),
        (ReportMaterializer, report),
        (PageMaterializer, page),
        (RecordsMaterializer, records),
        (HeadMaterializer, head),
        (HeadMaterializer, head_with_encoder),
    ],
)
def test_round_trip(materializer, make, store, tmp_path):
    data = make(tmp_path)
    expected = content(data)
    folder = tmp_path / "store" / "artifact"
    folder.mkdir()
    content_hash = materializer(str(folder), store).compute_content_hash(data)
    materializer(str(folder), store).save(data)
    loaded = materializer(str(folder), store).load(type(data))
    assert content(loaded) == expected
    assert materializer(str(folder), store).compute_content_hash(loaded) == content_hash
    shown = materializer(str(folder), store).save_visualizations(loaded)
    assert shown and all(Path(path).is_relative_to(folder) and Path(path).is_file() for path in shown)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files and {path.suffix for path in files} <= OPEN_FORMATS


@pytest.mark.parametrize(("materializer", "make"), [(PairsMaterializer, pairs), (ReportMaterializer, report)])
def test_an_artifact_without_a_format_is_read_and_one_of_a_newer_version_is_refused(
    materializer, make, store, tmp_path, monkeypatch
):
    data, folder = make(tmp_path), tmp_path / "store"
    if materializer is PairsMaterializer:
        data.to_parquet(folder / "pairs.parquet", index=False)
    else:
        (folder / "report.json").write_text(json.dumps(data))
    assert content(materializer(str(folder), store).load(type(data))) == content(data)
    with monkeypatch.context() as newer:
        newer.setattr(f"{materializer.__module__}._FORMAT", 2)
        materializer(str(folder), store).save(data)
    with pytest.raises(DataError, match=r"(parquet|json) is of format 2.* newer version"):
        materializer(str(folder), store).load(type(data))


@pytest.mark.parametrize("make", [records, head, head_with_encoder])
def test_a_store_elsewhere_gets_copies(make, store, tmp_path, monkeypatch):
    """As on S3: the store is not local, so that files are copied there and back."""
    monkeypatch.setattr("materializers.folder.LocalArtifactStore", type("Other", (), {}))
    materializer = RecordsMaterializer if make is records else HeadMaterializer
    data = make(tmp_path)
    expected = content(data)
    folder = tmp_path / "store" / "artifact"
    folder.mkdir()
    materializer(str(folder), store).save(data)
    loaded = materializer(str(folder), store).load(type(data))
    assert content(loaded) == expected
    if isinstance(loaded, RecordsFolder):
        assert not loaded.path.is_relative_to(folder)


def test_zenml_shows_the_first_rows_of_a_table_and_the_metrics_of_a_report(store, tmp_path):
    folder = tmp_path / "store"
    table = pd.DataFrame({"id_1": [str(row) for row in range(250)], "text_1": 'a "b", c'})
    (path,) = PairsMaterializer(str(folder), store).save_visualizations(table)
    assert Path(path).name == "first_100_of_250_rows.csv"
    pd.testing.assert_frame_equal(pd.read_csv(path, dtype="str"), table.head(100), check_dtype=False)
    table["text_1"] = "=HYPERLINK(1)"  # a spreadsheet would run it
    (path,) = PairsMaterializer(str(folder), store).save_visualizations(table)
    assert set(pd.read_csv(path)["text_1"]) == {"'=HYPERLINK(1)"}
    materializer, data = ReportMaterializer(str(folder), store), {"metrics": {"test_macro_f1": 0.5}}
    materializer.save(data)
    assert [Path(path).name for path in materializer.save_visualizations(data)] == [
        "report.json",
        "metrics.md",
    ]
    assert "| test_macro_f1 | 0.5000 |" in (folder / "metrics.md").read_text()


def test_a_changed_table_changes_the_hash(store, tmp_path):
    materializer = PairsMaterializer(str(tmp_path), store)
    table = pairs(tmp_path)
    assert materializer.compute_content_hash(table) != materializer.compute_content_hash(
        table.assign(label_index=1)
    )


def test_every_step_s_output_has_a_materializer_of_ours():
    import steps

    ours = set(path.stem for path in (Path(steps.__file__).parents[1] / "materializers").glob("*.py"))
    for name in steps.__all__:
        outputs = getattr(steps, name).configuration.outputs
        assert outputs
        for output in outputs.values():
            sources = [source.module for source in output.materializer_source]
            assert sources and all(
                m.partition(".")[0] == "materializers" and m.rpartition(".")[2] in ours for m in sources
            )
