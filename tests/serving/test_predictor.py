"""The packed model: from raw rows to answers, each fault in its own row."""

import io
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from entailment.configuration.loading import load_configuration
from entailment.errors import DataError, EntailmentError
from entailment.files import read_json, write_json
from entailment.model.features import configured_featurizer
from entailment.model.head import build_head
from entailment.model.training import TrainedHead
from entailment.serving.package import write_package
from entailment.serving.predictor import Predictor
from entailment.task import LABELS, probability_columns
from tests.encoders.random_modules import write_random_modules

PROBABILITY = probability_columns(LABELS)

SIZE = 32


def picture(seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    return write_random_modules(tmp_path_factory.mktemp("modules"))


def predictor(folder, modules, inputs="multimodal", encode="each"):
    configuration = load_configuration(
        None,
        overrides={
            "inputs": inputs,
            "images.size": SIZE,
            "ingest.max_text_bytes": 50,
            "encoders.text.encoder": modules["text"],
            "encoders.text.preprocessor": modules["preprocessor"],
            "encoders.text.sequence_length": 16,
            "encoders.text.encode": encode,
            "encoders.image.encoder": modules["image"],
        },
    )
    featurizer = configured_featurizer(configuration, folder, folder / "features")
    from entailment.records.reading import Row

    black = np.zeros((SIZE, SIZE, 3), np.uint8)
    sample = featurizer.rows([Row(("", ""), {"text": ("a", "b"), "image": (black, black)}, 0)])
    head = build_head({name: array.shape[1] for name, array in sample.items()}, configuration.head, 3)
    return Predictor(write_package(folder / "package", TrainedHead(head, 0), configuration, folder))


@pytest.fixture(scope="module")
def multimodal(tmp_path_factory, modules):
    return predictor(tmp_path_factory.mktemp("multimodal"), modules)


def rows(**columns):
    full = {
        "text_1": ["one"] * 3,
        "text_2": ["two"] * 3,
        "image_1": [picture(1)] * 3,
        "image_2": [picture(2)] * 3,
    }
    return pd.DataFrame(full | columns, index=[7, 3, 5])


def test_answers_are_complete_and_in_order(multimodal):
    answers = multimodal.predict(rows(text_2=["two", "three", "two"]))
    assert list(answers.columns) == ["label", *PROBABILITY, "error"]
    assert answers.index.tolist() == [7, 3, 5]
    values = answers[list(PROBABILITY)].to_numpy()
    np.testing.assert_allclose(values.sum(axis=1), 1, rtol=1e-5)
    assert answers["label"].tolist() == [LABELS[i] for i in values.argmax(axis=1)]
    np.testing.assert_allclose(values[0], values[2], atol=1e-6)
    assert abs(values[0] - values[1]).max() > 1e-6


@pytest.mark.parametrize("absent", [None, "", float("nan"), pd.NA])
def test_an_absent_value_is_absent_however_it_is_written(multimodal, absent):
    with_value = multimodal.predict(rows(text_1=[absent] * 3, image_2=[absent] * 3))
    without_column = multimodal.predict(rows().drop(columns=["text_1", "image_2"]))
    pd.testing.assert_frame_equal(with_value, without_column)
    assert (with_value["error"] == "").all()


def test_a_faulty_row_costs_only_itself(multimodal):
    good = multimodal.predict(rows())
    mixed = multimodal.predict(
        rows(image_1=[picture(1), b"no picture", picture(1)], text_2=["two", "two", "x" * 51])
    )
    assert mixed["error"].tolist()[0] == ""
    assert (
        mixed["error"].iloc[1].startswith("image_1: ")
        and "text_2: longer than 50 bytes" in mixed["error"].iloc[2]
    )
    assert mixed["label"].tolist()[1:] == ["", ""]
    assert mixed[list(PROBABILITY)].iloc[1:].isna().all(axis=None)
    np.testing.assert_allclose(mixed["p_implies"].iloc[0], good["p_implies"].iloc[0], atol=1e-6)


def test_a_row_without_anything_gets_an_error_and_no_label(multimodal):
    nothing = {
        "text_1": ["", "\u200b ", "one"],
        "text_2": [None, "\n\0\ufe0f", ""],
        "image_1": [b""] * 3,
        "image_2": [None] * 3,
    }
    answers = multimodal.predict(rows(**nothing))
    assert answers["label"].tolist()[:2] == ["", ""] and answers["label"].iloc[2] in LABELS
    assert "text_1, text_2, image_1, image_2 are absent" in answers["error"].iloc[0]


def test_a_misspelt_column_is_refused_with_the_nearest_name(multimodal):
    with pytest.raises(ValueError, match=r"There is no column 'text1'\. Did you mean 'text_1'"):
        multimodal.predict(rows().rename(columns={"text_1": "text1"}))
    with pytest.raises(ValueError, match="At least one of the columns text_1, text_2, image_1, image_2"):
        multimodal.predict(pd.DataFrame({"title": ["one"]}))
    ignored = multimodal.predict(rows().assign(label="Implies", id_1="7"))
    pd.testing.assert_frame_equal(ignored, multimodal.predict(rows()))


def test_half_a_surrogate_pair_fails_nothing(multimodal):
    half = pd.Series(["\ud83d", "one", "one"], index=[7, 3, 5], dtype=object)
    assert multimodal.predict(rows().assign(text_1=half))["error"].tolist() == ["", "", ""]


def test_no_rows_give_no_answers(multimodal):
    answers = multimodal.predict(rows().head(0))
    assert len(answers) == 0 and list(answers.columns) == ["label", *PROBABILITY, "error"]


def test_batches_do_not_change_answers(multimodal, monkeypatch):
    frame = pd.concat([rows(text_2=[f"t{i}", f"u{i}", "v"]) for i in range(3)])
    whole = multimodal.predict(frame)
    monkeypatch.setattr(sys.modules[type(multimodal._reader).__module__], "ROWS_AT_ONCE", 2)
    pd.testing.assert_frame_equal(multimodal.predict(frame), whole, atol=1e-5)


def test_text_alone_ignores_images(tmp_path, modules):
    model = predictor(tmp_path, modules, "text")
    pd.testing.assert_frame_equal(
        model.predict(rows(image_1=[b"no picture"] * 3)),
        model.predict(rows().drop(columns=["image_1", "image_2"])),
    )


@pytest.mark.parametrize("inputs", ["multimodal", "text"])
def test_packed_pairs_as_in_the_example(tmp_path, modules, inputs):
    answers = predictor(tmp_path, modules, inputs, "pair").predict(rows(text_1=["one", "one", None]))
    # Texts alone that lack one have nothing that the encoder could see.
    lacking = "both of text_1 and text_2 are needed" if inputs == "text" else ""
    assert (answers["error"].iloc[:2] == "").all() and lacking in answers["error"].iloc[2]
    assert answers[list(PROBABILITY)].notna().all(axis=1).tolist() == [True, True, inputs == "multimodal"]


def test_a_text_in_which_nothing_is_to_be_seen_is_absent(multimodal):
    blank = multimodal.predict(rows(text_1=["\u200b\ufeff", "\0 \xad", "\u3000\n"]))
    pd.testing.assert_frame_equal(blank, multimodal.predict(rows(text_1=[""] * 3)))


class Nameless:
    def __str__(self):
        raise RuntimeError("no name")


@pytest.mark.parametrize(
    "odd", [[1], {"a": 1}, (1, 2), np.zeros(3), Nameless(), 10**5000, pd.DataFrame()], ids=type
)
def test_what_is_no_text_is_told_so_and_the_other_rows_are_answered(multimodal, odd):
    frame = rows()
    frame["text_1"] = pd.Series(["one", odd, 10**40], index=frame.index, dtype=object)
    answers = multimodal.predict(frame)
    assert answers["error"].iloc[1].startswith("text_1: must be a text. Received: ")
    assert answers["error"].iloc[[0, 2]].tolist() == ["", ""]


def test_whatever_is_in_one_row_the_others_are_answered(multimodal):
    odd = [np.zeros(3), 3.5, b"one", object(), True, float("nan"), None, "9" * 400]
    images = [picture(1), *odd[:7], ""]
    frame = pd.DataFrame(
        {"text_1": ["one", *odd], "text_2": "two", "image_1": images, "image_2": [picture(2)] * 9}
    )
    answers = multimodal.predict(frame)
    alone = multimodal.predict(frame.iloc[:1])
    np.testing.assert_allclose(
        answers[list(PROBABILITY)].iloc[0], alone[list(PROBABILITY)].iloc[0], atol=1e-6
    )
    wanted = "image_1: must be the bytes of an image file, in JSON and CSV as base64"
    assert answers["error"].iloc[2] == f"{wanted}. Received: float"
    assert answers["error"].iloc[8] == "text_1: longer than 50 bytes"
    assert (answers["error"].iloc[[0, 6, 7]] == "").all()


def test_where_no_row_can_be_encoded_the_machine_is_at_fault_and_is_no_answer(multimodal, monkeypatch):
    """Else the gate would record a champion that answers nothing; a request says it in its rows."""
    reader = multimodal._reader

    def without(limit, encode=reader._encode):
        def encoded(values):
            if len(values["text"]) > limit:
                raise MemoryError("no room for a tensor")
            return encode(values)

        return encoded

    monkeypatch.setattr(reader, "_encode", without(1))
    assert (multimodal.predict(rows())["error"] == "").all()
    monkeypatch.setattr(reader, "_encode", without(0))
    with pytest.raises(EntailmentError, match=r"answers none of 3 rows.*no room for a tensor"):
        multimodal.predict(rows())
    assert (reader.predict(rows())["error"] == "cannot be encoded: no room for a tensor").all()


def test_where_all_rows_have_values_that_cannot_be_encoded_they_are_at_fault(multimodal, monkeypatch):
    reader = multimodal._reader

    def encoded(values, encode=reader._encode):
        if any("bad" in pair for pair in values["text"]):
            raise DataError("text_1 or text_2: 'bad' cannot be encoded")
        return encode(values)

    monkeypatch.setattr(reader, "_encode", encoded)
    answers = multimodal.predict(rows(text_1=["bad"] * 3))
    assert (answers["error"] == "cannot be encoded: text_1 or text_2: 'bad' cannot be encoded").all()


def test_with_a_store_nothing_is_encoded_twice_and_the_answers_are_the_same(tmp_path, modules):
    made = tmp_path / "made"
    predictor(made, modules)
    first = Predictor(made / "package", tmp_path / "store")
    answers = first.predict(rows())
    assert (first.usage.hits, first.usage.misses) == (0, 4)
    later = Predictor(made / "package", tmp_path / "store")
    pd.testing.assert_frame_equal(later.predict(rows()), answers)
    assert (later.usage.hits, later.usage.misses) == (4, 0)


def test_the_graph_answers_as_the_keras_model(tmp_path, modules):
    from entailment.model.head import load_head

    model = predictor(tmp_path, modules)
    head = load_head(tmp_path / "package" / "head.keras")
    random = np.random.default_rng(2)
    inputs = {t.name: random.normal(size=(40, t.shape[1])).astype(np.float32) for t in head.inputs}
    expected = head.predict(inputs, batch_size=256, verbose=0)
    np.testing.assert_allclose(model._reader._head(inputs).numpy(), expected, rtol=0, atol=1e-6)


def test_a_package_needs_no_keras_model_and_nothing_of_this_project(tmp_path, modules):
    predictor(tmp_path, modules)
    program = (
        "import importlib, sys, json, pandas\n"
        "from pathlib import Path\n"
        "folder = Path(sys.argv[1])\n"
        "sys.path.append(str(folder / 'reader'))\n"
        "name = json.loads((folder / 'package.json').read_text())['reader']\n"
        "reader = importlib.import_module(name + '.serving.reader').Reader(folder)\n"
        "answers = reader.predict(pandas.DataFrame({'text_1': ['one'], 'text_2': ['two']}))\n"
        "assert answers['error'].tolist() == [''], answers\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(loaded & {'entailment', 'mlflow', 'tensorflow_hub'}))\n"
    )
    moved = tmp_path / "elsewhere"
    (tmp_path / "package" / "head.keras").unlink()
    (tmp_path / "package").rename(moved)
    command = [sys.executable, "-I", "-c", program, str(moved)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=True)
    assert done.stdout.strip() == "[]"


def test_two_packages_in_one_process_answer_each_with_its_own_reader(tmp_path, modules):
    """The second one's reader is another program, as a later version's would be."""
    predictor(tmp_path, modules)
    folder, settings = tmp_path / "package", read_json(tmp_path / "package" / "package.json")
    shutil.copytree(folder, tmp_path / "later")
    changed = tmp_path / "later" / "reader" / settings["reader"]
    module = changed / "serving" / "reader.py"
    module.write_text(module.read_text().replace("nothing to judge", "nothing there"))
    changed.rename(changed.with_name("entailment_reader_later"))
    write_json(tmp_path / "later" / "package.json", settings | {"reader": "entailment_reader_later"})
    empty = pd.DataFrame({"text_1": [""]})
    said = [
        Predictor(tmp_path / name).predict(empty)["error"].iloc[0] for name in ("package", "later", "package")
    ]
    assert [words.partition(":")[0] for words in said] == [
        "nothing to judge",
        "nothing there",
        "nothing to judge",
    ]


def test_a_package_of_a_newer_format_is_refused_in_words(tmp_path, modules):
    predictor(tmp_path, modules)
    settings = tmp_path / "package" / "package.json"
    write_json(settings, read_json(settings) | {"format": 4})
    with pytest.raises(DataError, match=r"package\.json is of format 4, and this version reads up to 3"):
        Predictor(tmp_path / "package")
