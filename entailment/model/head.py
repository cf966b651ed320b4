"""The network trained on top of the encoders' features, after the Keras example "Multimodal entailment"."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from entailment.configuration.head import Head
from entailment.errors import DataError
from entailment.task import columns_of

if TYPE_CHECKING:
    import keras

LOGITS: Final = "logits"
TEMPERATURE: Final = "temperature"


def build_head(widths: Mapping[str, int], config: Head, classes: int) -> "keras.Model":
    """Builds the head: a projection for each modality, concatenated.

    The logits are divided by a temperature (1 until it is set), then softmax.

    Args:
        widths: width of each input, as in SplitFeatures: a kind of input, `text`, or its two sides, `text_1` and
            `text_2`, each with a `*_present` of width 1.
        config: dimensions and options.
        classes: how many there are.

    Returns:
        A functional model: a dict of float32 [n, width] in, probabilities [n, classes] out.

    Raises:
        DataError: there is no input.
    """
    import keras
    from keras import layers

    from entailment.model.layers import Temperature

    inputs = {name: keras.Input((width,), name=name) for name, width in widths.items()}
    seen = _after_modality_dropout(inputs, config)
    branches = []
    for modality in kinds_among(widths):
        names = [name for name in (modality, *columns_of(modality)) if name in widths]
        joined = _join([seen[n] for n in names], [seen[f"{n}_present"] for n in names], modality, config)
        branches.append(_project(joined, modality, config))
    if not branches:
        raise DataError(
            "The rows have none of the inputs that the model is to see. Choose others with --inputs."
        )
    joined = _merge(branches, config) if len(branches) > 1 else branches[0]
    logits = layers.Dense(classes, name=LOGITS)(joined)
    calibrated = Temperature(name=TEMPERATURE)(logits)
    return keras.Model(inputs, layers.Softmax(name="label")(calibrated), name="head")


def kind_of(name: str) -> str:
    """The kind of input that an input of the head is of.

    >>> kind_of("image_1_present")
    'image'
    """
    return name.partition("_")[0]


def kinds_among(names: Iterable[str]) -> list[str]:
    """The kinds of input among the head's inputs, in the order of their branches."""
    return sorted(set(map(kind_of, names)))


def _after_modality_dropout(
    inputs: "dict[str, keras.KerasTensor]", config: Head
) -> "dict[str, keras.KerasTensor]":
    from entailment.model.layers import ModalityDropout

    names = [[name for name in inputs if kind_of(name) == modality] for modality in kinds_among(inputs)]
    if not config.modality_dropout or len(names) < 2:
        return inputs
    layer = ModalityDropout(config.modality_dropout, name="modality_dropout")
    kept = layer([[inputs[name] for name in group] for group in names])
    return {
        name: tensor
        for group, tensors in zip(names, kept, strict=True)
        for name, tensor in zip(group, tensors, strict=True)
    }


def _merge(branches: "Sequence[keras.KerasTensor]", config: Head) -> "keras.KerasTensor":
    """The modalities side by side and, with attention, what each makes of the others.

    Attention is Luong's (dot product, scaled by a learned factor), as the Keras example tries it, but over the
    modalities of a row: given two matrices, Keras would take the rows of the batch for a sequence.
    """
    from keras import layers

    both = layers.Concatenate(name="both")(list(branches))
    if config.attention != "cross":
        return both
    sequence = [layers.Reshape((1, config.projection_units))(branch) for branch in branches]
    tokens = layers.Concatenate(axis=1, name="modalities")(sequence)
    attention = layers.Attention(use_scale=True, dropout=config.attention_dropout, name="attention")
    attended = layers.Flatten(name="attended")(attention([tokens, tokens]))
    return layers.Concatenate(name="both_attended")([both, attended])


def logits_model(head: "keras.Model") -> "keras.Model":
    """The same network and weights up to the logits, float32 [n, classes]: what a loss is computed from."""
    import keras

    return keras.Model(head.input, head.get_layer(LOGITS).output)


def temperature_of(head: "keras.Model") -> float:
    """The number that a head divides its logits by before the softmax; 1: not calibrated."""
    return float(head.get_layer(TEMPERATURE).temperature)


def set_temperature(head: "keras.Model", temperature: float) -> None:
    """Makes a head divide its logits by `temperature`; raises ValueError unless it is above 0."""
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0. Received: {temperature}")
    head.get_layer(TEMPERATURE).temperature.assign(temperature)


def load_head(file: Path) -> "keras.Model":
    """Loads a head from a `.keras` file; nothing in it is executed. Raises DataError when it is not one."""
    import keras

    from entailment.model import layers  # noqa: F401  (registers our layers)

    try:
        return keras.models.load_model(file, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError) as error:
        raise DataError(f"{file} is not a trained head that can be loaded: {error}") from None


def _join(
    vectors: "Sequence[keras.KerasTensor]", present: "Sequence[keras.KerasTensor]", name: str, config: Head
) -> "keras.KerasTensor":
    """One vector from a pair's: [u, v], or [u, v, |u-v|, u*v] where the last two need both sides."""
    from keras import layers

    from entailment.model.layers import PairFeatures

    if len(vectors) == 1:
        return vectors[0]
    if config.pair_features:
        return PairFeatures(name=f"{name}_pair")([*vectors, *present])
    return layers.Concatenate(name=f"{name}_pair")(list(vectors))


def _project(joined: "keras.KerasTensor", name: str, config: Head) -> "keras.KerasTensor":
    """The example's projection: Dense, then n times {GELU, Dense, Dropout, residual add, LayerNormalization}."""
    from keras import layers

    projected = layers.Dense(config.projection_units, name=f"{name}_projection")(joined)
    for number in range(1, config.projection_layers + 1):
        hidden = layers.Activation("gelu", name=f"{name}_gelu_{number}")(projected)
        hidden = layers.Dense(config.projection_units, name=f"{name}_dense_{number}")(hidden)
        hidden = layers.Dropout(config.dropout, name=f"{name}_dropout_{number}")(hidden)
        hidden = layers.Add(name=f"{name}_residual_{number}")([projected, hidden])
        projected = layers.LayerNormalization(name=f"{name}_norm_{number}")(hidden)
    return projected
