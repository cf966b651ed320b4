"""The number format that encoders compute in: it follows from the configuration and the kind of device alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from entailment.configuration import Precision
from entailment.errors import ConfigurationError

Device = Literal["cpu", "gpu"]
Format = Literal["float32", "bfloat16", "mixed_float16"]

BFLOAT16_FLAGS: Final = frozenset({"amx_bf16", "avx512_bf16"})
"""A processor that multiplies bfloat16 has one of these; another one would emulate it, slowly."""

_REWRITE: Final = {
    "bfloat16": "auto_mixed_precision_onednn_bfloat16",
    "mixed_float16": "auto_mixed_precision",
}
"""By format the pass of TensorFlow's graph optimiser that brings a float32 graph to it.

Products and convolutions take the short format and add up in float32; weights stay float32 as they are stored.
"""


def device_kind() -> Device:
    """The kind of device that TensorFlow computes on here."""
    import tensorflow as tf

    return "gpu" if tf.config.list_physical_devices("GPU") else "cpu"


def format_of(precision: Precision) -> Format:
    """The format that `encoders.precision` means on this machine.

    Raises ConfigurationError where this machine cannot compute in it.
    """
    device = device_kind()
    if precision == "auto":
        return "float32" if device == "cpu" else "mixed_float16"
    if precision == "bfloat16" and device == "gpu":
        raise ConfigurationError(
            "encoders.precision: bfloat16 is for processors, and this machine computes on a GPU. "
            "Set encoders.precision to auto (mixed float16 there) or float32."
        )
    if precision == "bfloat16" and not BFLOAT16_FLAGS & processor_flags():
        raise ConfigurationError(
            f"encoders.precision: bfloat16 needs a processor with {' or '.join(sorted(BFLOAT16_FLAGS))}, which "
            "/proc/cpuinfo does not list here. Set encoders.precision to auto or float32."
        )
    return precision


def processor_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """What the processor says it can do; nothing where the system does not say."""
    if not cpuinfo.is_file():
        return frozenset()
    flags = (line for line in cpuinfo.read_text().splitlines() if line.startswith("flags"))
    return frozenset(next(flags, "").partition(":")[2].split())


@contextmanager
def computing_in(format: Format) -> Iterator[None]:
    """What this thread calls in the block is computed in `format`; afterwards, and in other threads, as before.

    `tf.config.optimizer.set_experimental_options` would hold for the whole process: a head that is trained or
    called by another thread meanwhile would be rewritten too.
    """
    if format == "float32":
        yield
        return
    import tensorflow as tf
    from tensorflow.core.protobuf.rewriter_config_pb2 import RewriterConfig
    from tensorflow.python.eager import context

    eager = context.context()
    before = eager.function_call_options
    config = tf.compat.v1.ConfigProto.FromString(before.config_proto_serialized)
    setattr(config.graph_options.rewrite_options, _REWRITE[format], RewriterConfig.ON)
    eager.function_call_options = context.FunctionCallOptions(before.executor_type, config)
    try:
        yield
    finally:
        eager.function_call_options = before
