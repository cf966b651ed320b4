import threading
from pathlib import Path

import numpy as np
import pytest

from entailment.encoders import precision
from entailment.encoders.image import ImageEncoder
from entailment.encoders.precision import computing_in, device_kind, format_of, processor_flags
from entailment.encoders.text import TextEncoder
from entailment.errors import ConfigurationError

NOWHERE = Path("never written")


@pytest.fixture
def capable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that says it can: one that cannot emulates the format, which suffices for a test."""
    monkeypatch.setattr(precision, "processor_flags", lambda: frozenset({"avx512_bf16"}))


def call_options():
    from tensorflow.python.eager import context

    return context.context().function_call_options.config_proto_serialized


def test_auto_is_float32_on_a_processor_and_mixed_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "device_kind", lambda: "cpu")
    assert format_of("auto") == format_of("float32") == "float32"
    monkeypatch.setattr(precision, "device_kind", lambda: "gpu")
    assert format_of("auto") == "mixed_float16"
    assert format_of("float32") == "float32"
    with pytest.raises(ConfigurationError, match=r"encoders\.precision: bfloat16.*GPU.*auto"):
        format_of("bfloat16")


@pytest.mark.parametrize("flag", ["amx_bf16", "avx512_bf16"])
def test_bfloat16_where_the_processor_has_it(flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "device_kind", lambda: "cpu")
    monkeypatch.setattr(precision, "processor_flags", lambda: frozenset({"avx2", flag}))
    assert format_of("bfloat16") == "bfloat16"


def test_bfloat16_elsewhere_is_refused_with_the_key(random_modules, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "processor_flags", lambda: frozenset({"avx2", "avx512f"}))
    said = r"encoders\.precision: bfloat16 needs.*amx_bf16 or avx512_bf16.*Set encoders\.precision to auto"
    with pytest.raises(ConfigurationError, match=said):
        ImageEncoder(random_modules["image"], NOWHERE, 24, "bfloat16")
    with pytest.raises(ConfigurationError, match=said):
        TextEncoder(random_modules["text"], random_modules["preprocessor"], NOWHERE, precision="bfloat16")


def test_flags_are_read_from_cpuinfo(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu avx512_bf16 sse\n\nprocessor\t: 1\nflags\t\t: fpu\n")
    assert processor_flags(cpuinfo) == {"fpu", "avx512_bf16", "sse"}
    cpuinfo.write_text("processor\t: 0\nFeatures\t: fp asimd\n")
    assert processor_flags(cpuinfo) == frozenset()
    assert processor_flags(tmp_path / "absent") == frozenset()


def test_options_hold_in_the_block_and_in_its_thread_only() -> None:
    import tensorflow as tf

    before, public = call_options(), tf.config.optimizer.get_experimental_options()
    seen: list[bytes] = []
    with pytest.raises(KeyError), computing_in("bfloat16"):
        assert call_options() != before
        assert tf.config.optimizer.get_experimental_options() == public
        thread = threading.Thread(target=lambda: seen.append(call_options()))
        thread.start()
        thread.join()
        raise KeyError
    assert call_options() == before
    assert seen == [before]


@pytest.mark.parametrize("inputs", ["text", "image"])
def test_encoding_leaves_the_options_as_they_were(random_modules, capable, inputs: str) -> None:
    before = call_options()
    if inputs == "text":
        TextEncoder(
            random_modules["text"], random_modules["preprocessor"], NOWHERE, precision="bfloat16"
        ).encode(["a", "b"])
    else:
        encoder = ImageEncoder(random_modules["image"], NOWHERE, 24, "bfloat16")
        encoder.encode(np.zeros((3, 24, 24, 3), np.uint8))
    assert call_options() == before


def test_the_format_is_part_of_the_fingerprint(random_modules, capable) -> None:
    if device_kind() == "gpu":
        pytest.skip("bfloat16 is for processors")
    for encoders in (
        [ImageEncoder(random_modules["image"], NOWHERE, 24, p) for p in ("auto", "float32", "bfloat16")],
        [
            TextEncoder(random_modules["text"], random_modules["preprocessor"], NOWHERE, precision=p)
            for p in ("auto", "float32", "bfloat16")
        ],
    ):
        auto, plain, short = (encoder.fingerprint for encoder in encoders)
        assert auto == plain != short


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_bfloat16_stays_close_and_is_not_float32(built_folder: Path) -> None:
    if device_kind() == "gpu" or not precision.BFLOAT16_FLAGS & processor_flags():
        pytest.skip("this machine does not multiply bfloat16")
    texts = ["A man plays the guitar.", "no", "Interest rates rose again, said the bank. " * 4]
    full, short = (
        TextEncoder("minilm", "bert-uncased-preprocess", built_folder, precision=p)
        for p in ("float32", "bfloat16")
    )
    first, second = full.encode(texts), short.encode(texts)
    cosine = (first * second).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
    assert cosine.min() > 0.999
    assert abs(first - second).max() > 1e-4
    np.testing.assert_allclose(np.concatenate([short.encode([t]) for t in texts]), second, atol=0.02)
    assert full.encode(texts).tobytes() == first.tobytes()
