"""Image encoding against Keras `predict` of the same network: same weights, same images, same cores, in turns.

`python benchmarks/image_encoding.py` encodes noise, 128 x 128 pixels. The other side is EfficientNet-Lite0 written
layer by layer in Keras, its batch normalisations as published. It is measured with `predict`'s own batch of 32
images, which is the ratio of the last line, and with the one of several that is fastest here. Both sides get the
pixels as uint8 and bring them to the network's scale themselves.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import click
import numpy as np

from benchmarks.measuring import alternate, finish, matmul_peak, ratio
from entailment.configuration.configuration import Configuration
from entailment.encoders.build import LITE0_STRIDES
from entailment.workspace import workspace

BATCHES: Final = (8, 16, 64, 128)
OURS: Final = "ours"
KERAS: Final = "Keras predict"
PEAK: Final = "matrix multiply"


class KerasLite0:
    """The network in plain Keras layers, and what one image costs."""

    def __init__(self, weights: Mapping[str, np.ndarray], size: int) -> None:
        """Builds it for images of this size, uint8."""
        import keras

        self._weights, self.flops = weights, 0.0
        images = keras.Input((size, size, 3), dtype="uint8")
        x = keras.layers.Rescaling(1 / 128, offset=-127 / 128)(images)
        x = self._convolved(x, "_conv_stem", "_bn0", 2)
        for number, stride in enumerate(LITE0_STRIDES):
            block, y = f"_blocks.{number}.", x
            if f"{block}_expand_conv.weight" in weights:
                y = self._convolved(y, f"{block}_expand_conv", f"{block}_bn0")
            y = self._convolved(y, f"{block}_depthwise_conv", f"{block}_bn1", stride)
            y = self._convolved(y, f"{block}_project_conv", f"{block}_bn2", active=False)
            x = keras.layers.Add()([x, y]) if stride == 1 and x.shape[-1] == y.shape[-1] else y
        x = self._convolved(x, "_conv_head", "_bn1")
        self.model = keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))

    def _convolved(self, x: Any, name: str, norm: str, stride: int = 1, active: bool = True) -> Any:
        from keras import layers

        kernel = self._weights[f"{name}.weight"]  # as PyTorch has it: out, in, height, width
        options = {"strides": stride, "padding": "same", "use_bias": False}
        if name.endswith("_depthwise_conv"):
            layer, axes = layers.DepthwiseConv2D(kernel.shape[2], **options), (2, 3, 0, 1)
        else:
            layer, axes = layers.Conv2D(len(kernel), kernel.shape[2], **options), (2, 3, 1, 0)
        x = layer(x)
        layer.set_weights([kernel.transpose(axes)])
        self.flops += 2 * kernel.size * x.shape[1] * x.shape[2]
        normalisation = layers.BatchNormalization(epsilon=1e-3)
        x = normalisation(x)
        parts = ("weight", "bias", "running_mean", "running_var")
        normalisation.set_weights([self._weights[f"{norm}.{part}"] for part in parts])
        return layers.ReLU(max_value=6)(x) if active else x


def fastest_batch(predict: Callable[[int], object]) -> int:
    """The batch of BATCHES with which Keras is fastest here; each was run once before it counts."""
    seconds = {}
    for batch in BATCHES:
        predict(batch)
        start = time.perf_counter()
        predict(batch)
        seconds[batch] = time.perf_counter() - start
    return min(seconds, key=seconds.__getitem__)


@click.command(help=__doc__)
@click.option("--count", type=click.IntRange(1), default=512, show_default=True, help="Images.")
@click.option("--rounds", type=click.IntRange(1), default=9, show_default=True)
def main(count: int, rounds: int) -> None:
    """Runs both sides and prints the table."""
    from safetensors.numpy import load_file

    from entailment.encoders.image import ImageEncoder

    config, encoders = Configuration(), workspace().encoders
    size = config.images.size
    ours = ImageEncoder(config.encoders.image.encoder, encoders, size)
    keras = KerasLite0(load_file(encoders / "weights" / "efficientnet-lite0.safetensors"), size)
    images = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)

    def predict(batch: int) -> np.ndarray:
        vectors: np.ndarray = keras.model.predict(images, batch_size=batch, verbose=0)
        return vectors

    distance = float(abs(ours.encode(images) - predict(32)).max())
    print(f"largest difference of a feature: {distance:.1e}")
    if distance > 1e-4:
        raise SystemExit("Keras gives other features than ours: these are not the same networks")
    best = fastest_batch(predict)
    named = {KERAS: 32, f"{KERAS}, batches of {best}": best}
    peaks: list[float] = []
    sides: dict[str, Callable[[], object]] = {OURS: lambda: ours.encode(images)}
    for name, batch in named.items():
        sides[name] = lambda batch=batch: predict(batch)
    sides[PEAK] = lambda: peaks.append(matmul_peak())
    seconds = alternate(sides, rounds)

    cores, peak = len(os.sched_getaffinity(0)), median(peaks)
    rates = {name: count / median(seconds[name]) for name in (OURS, *named)}
    print(f"{count} images of {size} x {size} pixels, {keras.flops / 1e9:.3f} GFLOP each, {cores} cores")
    print(f"{PEAK}: {peak:.0f} GFLOP/s (float32, {cores} cores)")
    for name, rate in rates.items():
        share = rate * keras.flops / 1e9 / peak
        faster = "" if name == OURS else f"; ours is {ratio(seconds, OURS, name):.2f} x as fast"
        print(f"{name:<28} {rate:7.1f} images/s, {share:.0%} of the matrix-multiply peak{faster}")
    finish("image_encoding", ratio(seconds, OURS, KERAS), {n: rates[n] for n in (OURS, KERAS)}, "images/s")


if __name__ == "__main__":
    main()
