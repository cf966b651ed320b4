import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from entailment.configuration.head import Head
from entailment.configuration.training import Training
from entailment.encoders.text import TextEncoder
from entailment.errors import EncoderError
from entailment.files import write_json
from entailment.inputs.text import text_channel
from entailment.model.features import Featurizer, SplitFeatures
from entailment.model.training import train_head
from entailment.records.reading import Row
from tests.encoders.encoder_contract import TEXTS, check_text_encoder, same_bits


@pytest.fixture(scope="module")
def any_length(random_modules: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("any_length") / "text"
    shutil.copytree(random_modules["text"], folder)
    write_json(folder / "module.json", {"any_length": True})
    return {**random_modules, "text": str(folder)}


def encoder_of(modules: dict[str, str], **options) -> TextEncoder:
    return TextEncoder(modules["text"], modules["preprocessor"], Path("never written"), **options)


def test_contract_module_of_other_origin(random_modules: dict[str, str]) -> None:
    check_text_encoder(lambda: encoder_of(random_modules, sequence_length=50))


def test_contract_module_of_any_length(any_length: dict[str, str]) -> None:
    check_text_encoder(lambda: encoder_of(any_length))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_contract_built_in(built_folder: Path) -> None:
    check_text_encoder(lambda: TextEncoder("minilm", "bert-uncased-preprocess", built_folder))


def lengths_seen(encoder: TextEncoder) -> list[tuple[int, int]]:
    assert encoder.width  # tries the module
    seen, module = [], encoder._module

    def spy(inputs):
        seen.append(tuple(inputs["input_word_ids"].shape))
        return module(inputs)

    encoder._module = spy
    encoder.encode(TEXTS)
    return seen


def test_only_modules_that_say_so_get_other_lengths(random_modules, any_length) -> None:
    assert {length for _, length in lengths_seen(encoder_of(random_modules))} == {128}
    seen = lengths_seen(encoder_of(any_length))
    lengths = [length for _, length in seen]
    assert len(set(lengths)) > 3
    assert max(lengths) == 128
    assert all(length % 8 == 0 and rows * length % 24 == 0 and rows * length <= 768 for rows, length in seen)


def test_a_batch_holds_texts_of_one_length(any_length) -> None:
    encoder = encoder_of(any_length)
    packed = {name: ids.numpy() for name, ids in encoder.pack(TEXTS).items()}
    lengths = -(-packed["input_mask"].sum(axis=1) // 8) * 8
    batches = list(encoder._batches(packed))
    assert sorted(np.concatenate([rows for rows, _ in batches])) == list(range(len(TEXTS)))
    for rows, inputs in batches:
        for name, ids in inputs.items():
            np.testing.assert_array_equal(ids, np.resize(packed[name][rows, : ids.shape[1]], ids.shape))
            assert ids.shape[1] == lengths[rows].max()
    assert all((lengths[rows] == lengths[rows[0]]).all() for rows, _ in batches)
    longest = [lengths[rows].max() for rows, _ in batches]
    assert longest == sorted(longest, reverse=True)


def test_windows_and_batches_change_nothing(any_length, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = encoder_of(any_length)
    vectors = encoder.encode(TEXTS)
    monkeypatch.setattr("entailment.encoders.text.WINDOW", 7)
    monkeypatch.setattr("entailment.encoders.text.TOKENS", 64)
    assert same_bits(encoder.encode(TEXTS), vectors)


@pytest.mark.parametrize("pair", [False, True])
def test_what_a_store_held_before_changes_no_feature_and_no_metric(any_length, pair: bool, tmp_path) -> None:
    texts = TEXTS[-40:]
    rows = [
        Row((f"{n}a", f"{n}b"), {"text": (texts[n % 40], texts[n * 7 % 40] + " again" * (n % 9))}, n % 3)
        for n in range(120)
    ]
    train, validation = rows[:90], rows[90:]
    orders = {"empty": [], "other rows first": [rows[60:], rows[45:75][::-1], rows[3:4]]}
    features, histories = [], []
    for name, before in orders.items():
        featurizer = Featurizer([text_channel(encoder_of(any_length), pair=pair)], store=tmp_path / name)
        for others in before:
            featurizer.rows(others)
        splits = [split_of(featurizer, part) for part in (train, validation)]
        features.append(splits)
        training = Training(epochs=2, patience=0)
        histories.append(train_head(*splits, Head(projection_units=8), training, 1).history)
    for first, second in zip(*features, strict=True):
        assert all(same_bits(first.inputs[name], second.inputs[name]) for name in first.inputs)
    assert histories[0] == histories[1]


def split_of(featurizer: Featurizer, rows: list[Row]) -> SplitFeatures:
    ids = pd.DataFrame([row.ids for row in rows], columns=["id_1", "id_2"])
    return SplitFeatures(featurizer.rows(rows), np.array([row.label for row in rows]), ids)


def test_pack_cuts_a_pair_in_turn(random_modules) -> None:
    packed = encoder_of(random_modules).pack(["abcdef", "a"], ["xy", "uvwxyz"], length=8)
    # [CLS] a ##b ##c [SEP] x ##y [SEP]: five places, the longer text gives way first.
    np.testing.assert_array_equal(
        packed["input_type_ids"], [[0, 0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1, 1]]
    )
    np.testing.assert_array_equal(packed["input_mask"], np.ones((2, 8)))
    assert all(ids.dtype == "int32" for ids in packed.values())


def test_fingerprint_follows_all_that_matters(random_modules, any_length, tmp_path: Path) -> None:
    changed = tmp_path / "preprocessor"
    shutil.copytree(random_modules["preprocessor"], changed)
    (changed / "assets" / "added.txt").write_text("x")
    encoders = [
        encoder_of(random_modules),
        encoder_of(any_length),
        encoder_of({**random_modules, "preprocessor": str(changed)}),
        encoder_of(random_modules, sequence_length=64),
    ]
    assert len({encoder.fingerprint for encoder in encoders}) == len(encoders)


def test_copied_modules_have_the_same_fingerprint(random_modules, tmp_path: Path) -> None:
    for name in ("text", "preprocessor"):
        shutil.copytree(random_modules[name], tmp_path / name)
    copied = encoder_of({name: str(tmp_path / name) for name in ("text", "preprocessor")})
    assert copied.fingerprint == encoder_of(random_modules).fingerprint


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"output": "sequence_output"}, r"Received: \[1, 128, 16\]"),
        ({"output": "nothing"}, "nothing"),
        ({"sequence_length": 1000}, "cannot be called"),
    ],
)
def test_wrong_output_or_length_is_said(random_modules, options, said: str) -> None:
    with pytest.raises(EncoderError, match=said):
        _ = encoder_of(random_modules, **options).width


def test_handles_mixed_up(random_modules) -> None:
    with pytest.raises(EncoderError, match="not mixed up"):
        _ = encoder_of(
            {"text": random_modules["image"], "preprocessor": random_modules["preprocessor"]}
        ).width
    with pytest.raises(EncoderError, match="not mixed up"):
        _ = encoder_of({"text": random_modules["text"], "preprocessor": random_modules["image"]}).width
