"""The configuration: one validated object, read from `zenml_config.yaml`, a preset and `--set` options.

Later sources win: defaults here, then the file, then the preset, then the command line.
"""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from entailment.errors import ConfigurationError

DEFAULT_FILE: Final = "zenml_config.yaml"
MAX_DECODED_BYTES: Final = 512_000_000
"""Default of `images.max_decoded_bytes`."""

Inputs = Literal["multimodal", "text", "image"]
Loss = Literal["cross_entropy", "weighted", "focal"]
MissingImages = Literal["mask", "drop", "error"]
Trainable = Literal["all"] | Annotated[int, Field(ge=0, strict=True)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Dataset(_Section):
    """Where the pairs come from."""

    source: str = "sample"
    images: str | None = None
    sample_pairs: Annotated[int, Field(ge=20)] = 1400


class Tweets(_Section):
    """Where the real tweets are downloaded from, and how they are verified."""

    csv_url: str = (
        "https://raw.githubusercontent.com/sayakpaul/Multimodal-Entailment-Baseline/main/csvs/tweets.csv"
    )
    csv_sha256: str | None = "9b545c03122d56dd8400877de4eef2c4a7e053ecfc29d1e32045feb6c3073ef9"
    archive_url: str = (
        "https://github.com/sayakpaul/Multimodal-Entailment-Baseline/releases/download/"
        "v1.0.0/tweet_images.tar.gz"
    )
    archive_sha256: str | None = None
    max_bytes: Count = 8_000_000_000
    max_files: Count = 20_000


class Ingest(_Section):
    """What a row of the table may be."""

    max_text_bytes: Count = 20_000


class Images(_Section):
    """How images are resolved and decoded."""

    missing: MissingImages = "mask"
    size: Annotated[int, Field(ge=32, le=1024)] = 128
    max_pixels: Count = 64_000_000
    max_decoded_bytes: Count = MAX_DECODED_BYTES


class Split(_Section):
    """How rows are divided into train, validation and test."""

    method: Literal["stratified", "hash"] = "stratified"
    test_fraction: Fraction = 0.10
    validation_fraction: Fraction = 0.05
    on_leak: Literal["warn", "error"] = "warn"


class Records(_Section):
    """How TFRecord files are written."""

    rows_per_shard: Count = 512


class TextEncoder(_Section):
    """The text encoder: TF-Hub handles, local folders or built-in names."""

    encoder: str = "minilm"
    preprocessor: str = "bert-uncased-preprocess"
    output: str = "pooled_output"
    sequence_length: Annotated[int, Field(ge=8, le=512)] = 128
    encode: Literal["each", "pair"] = "each"
    trainable: Trainable = 0


class ImageEncoder(_Section):
    """The image encoder: a network of Keras, a TF-Hub handle, a local folder or a built-in name."""

    encoder: str = "efficientnet-lite0"
    trainable: Trainable = 0


class Encoders(_Section):
    """The networks that turn texts and images into features."""

    text: TextEncoder = TextEncoder()
    image: ImageEncoder = ImageEncoder()

    def handles(self, inputs: Inputs) -> dict[str, str]:
        """The modules that `inputs` needs: `text` and `preprocessor`, `image`, each with its handle."""
        text = {"text": self.text.encoder, "preprocessor": self.text.preprocessor}
        image = {"image": self.image.encoder}
        return {**(text if inputs != "image" else {}), **(image if inputs != "text" else {})}

    def trained(self, inputs: Inputs) -> dict[str, Trainable]:
        """The encoders that `inputs` needs and that are trained, `text` or `image`, each with how much of it."""
        amounts = {"text": self.text.trainable, "image": self.image.trainable}
        return {role: amounts[role] for role in self.handles(inputs) if amounts.get(role)}


class Head(_Section):
    """The network trained on the features."""

    pair_features: bool = True
    projection_layers: Annotated[int, Field(ge=0, le=16)] = 1
    projection_units: Count = 256
    dropout: Share = 0.1
    modality_dropout: Share = 0.0
    attention: Literal["none", "cross"] = "none"
    attention_dropout: Share = 0.2


class Training(_Section):
    """How the head is trained."""

    loss: Loss = "cross_entropy"
    focal_gamma: Annotated[float, Field(ge=0)] = 2.0
    class_weights: tuple[Positive, Positive, Positive] | None = None
    label_smoothing: Share = 0.0
    logit_adjustment: Annotated[float, Field(ge=0)] = 0.0
    epochs: Count = 40
    batch_size: Count = 32
    learning_rate: Positive = 0.001
    encoder_learning_rate: Positive = 0.00002
    patience: Annotated[int, Field(ge=0)] = 10
    keep: Literal["best", "last"] = "best"


class Evaluation(_Section):
    """How the test split is judged."""

    bootstrap_samples: Count = 2000
    confidence: Fraction = 0.95
    sample_rows: Annotated[int, Field(ge=1, le=20)] = 6


class Promotion(_Section):
    """When a retrained model takes the champion's place."""

    confidence: Fraction = 0.90
    min_rows: Count = 100
    max_loss: Share = 0.05
    min_slice_rows: Count = 30
    max_ece: Share = 0.15


class Drift(_Section):
    """When new rows count as unlike the champion's training rows."""

    action: Literal["warn", "stop"] = "warn"
    min_rows: Count = 30
    max_rows: Count = 2000
    permutations: Annotated[int, Field(ge=100)] = 200
    confidence: Fraction = 0.99
    text_length: Share = 0.15
    unseen_words: Share = 0.05
    vocabulary: Share = 0.05
    image_size: Share = 0.15
    missing_images: Share = 0.10
    features: Annotated[float, Field(ge=0.5, lt=1)] = 0.65
    predicted_labels: Share = 0.10


class Schedule(_Section):
    """How the steps of a scheduled run are run; `alert_url` is hidden wherever the configuration is shown."""

    retries: Annotated[int, Field(ge=0, le=10)] = 2
    retry_delay: Annotated[int, Field(ge=0)] = 60
    step_timeout: Count = 14_400
    alert_url: SecretStr | None = None


class Configuration(_Section):
    """Every setting of a run. `zenml_config.yaml` documents each key."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 42
    inputs: Inputs = "multimodal"
    dataset: Dataset = Dataset()
    tweets: Tweets = Tweets()
    ingest: Ingest = Ingest()
    images: Images = Images()
    split: Split = Split()
    records: Records = Records()
    encoders: Encoders = Encoders()
    head: Head = Head()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    promotion: Promotion = Promotion()
    drift: Drift = Drift()
    schedule: Schedule = Schedule()


PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "default": {},
    "keras_example": {
        "seed": 42,
        "images.size": 128,
        "split.method": "stratified",
        "split.test_fraction": 0.10,
        "split.validation_fraction": 0.05,
        "encoders.text.encoder": "https://tfhub.dev/tensorflow/small_bert/bert_en_uncased_L-2_H-256_A-4/1",
        "encoders.text.preprocessor": "https://tfhub.dev/tensorflow/bert_en_uncased_preprocess/3",
        "encoders.text.output": "pooled_output",
        "encoders.text.sequence_length": 128,
        "encoders.text.encode": "pair",
        "encoders.text.trainable": 0,
        "encoders.image.encoder": "keras:ResNet50V2",
        "encoders.image.trainable": 0,
        "head.pair_features": False,
        "head.projection_layers": 1,
        "head.projection_units": 256,
        "head.dropout": 0.1,
        "head.modality_dropout": 0.0,
        "head.attention": "none",
        "training.loss": "cross_entropy",
        "training.epochs": 10,
        "training.batch_size": 32,
        "training.learning_rate": 0.001,
        "training.patience": 0,
        "training.keep": "last",
    },
}
"""Named sets of overrides. `keras_example` is the Keras example "Multimodal entailment" (Sayak Paul, 2021)."""


def load_configuration(
    file: Path | None = None, preset: str = "default", overrides: Mapping[str, Any] | None = None
) -> Configuration:
    """Reads and validates the configuration.

    `overrides` maps dotted keys ("training.epochs") to values and wins over the preset and the file.

    Raises:
        ConfigurationError: no such file, not YAML, an unknown key (named with the nearest right one) or a
            value out of its range.
    """
    nested = _read_yaml(file) if file else {}
    origin = str(file) if file else "the configuration"
    given = {**PRESETS[preset], **(overrides or {})}
    for key, value in given.items():
        _put(nested, key, value)
    try:
        return Configuration.model_validate(nested)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, origin, given)) from None


def parse_assignments(assignments: Iterable[str]) -> dict[str, Any]:
    """Turns `a.b=value` texts (of `--set`) into dotted overrides; values are read as YAML.

    Raises:
        ConfigurationError: no `=`, an unknown key or a value that is no YAML.
    """
    overrides: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigurationError(
                f"--set must be KEY=VALUE, as in training.epochs=5. Received: {assignment}"
            )
        if key not in dotted(Configuration()):
            raise ConfigurationError(
                f"--set: there is no key '{key}'.{_nearest(key, dotted(Configuration()))}"
            )
        try:
            overrides[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigurationError(f"--set {key}: '{value}' is not a YAML value ({error}).") from None
    return overrides


def dotted(section: BaseModel, prefix: str = "") -> dict[str, Any]:
    """All settings below `section` as a flat mapping with dotted keys; a secret is shown as asterisks."""
    flat: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        value = str(value) if isinstance(value, SecretStr) else value
        flat |= dotted(value, f"{prefix}{name}.") if isinstance(value, BaseModel) else {prefix + name: value}
    return flat


def with_values(configuration: Configuration, values: Mapping[str, Any]) -> Configuration:
    """The configuration with other values for some dotted keys. Raises ConfigurationError as `load_configuration`."""
    nested = configuration.model_dump()
    for key, value in values.items():
        _put(nested, key, value)
    try:
        return Configuration.model_validate(nested)
    except ValidationError as error:
        raise ConfigurationError(_explain(error, "the configuration", values)) from None


def as_yaml(configuration: Configuration, comment: str) -> str:
    """Every key as YAML that `load_configuration` reads back to an equal configuration, below a comment."""
    lines = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    return f"{lines}\n{yaml.safe_dump(configuration.model_dump(mode='json'), sort_keys=False)}"


def _read_yaml(file: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"There is no configuration file {file}. Give one with --config FILE."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The configuration file {file} cannot be read: {error}.") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{file} is not valid YAML: {error}.") from None
    if not isinstance(content or {}, dict):
        raise ConfigurationError(f"{file} must hold keys and values, as zenml_config.yaml does.")
    return _without_empty_sections(content or {})


def _without_empty_sections(content: dict[str, Any]) -> dict[str, Any]:
    """A section whose keys are all deleted reads as None: its defaults hold."""
    sections = {key.rpartition(".")[0] for key in dotted(Configuration())} | {"encoders"}
    kept: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, dict):
            kept[key] = {k: v for k, v in value.items() if v is not None or f"{key}.{k}" not in sections}
        elif value is not None or key not in sections:
            kept[key] = value
    return kept


def _put(nested: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        if not isinstance(nested.get(parent), dict):
            nested[parent] = {}
        nested = nested[parent]
    nested[last] = value


def _explain(error: ValidationError, file: str, given: Mapping[str, Any]) -> str:
    lines = []
    for fault in error.errors():
        key = ".".join(str(part) for part in fault["loc"])
        origin = "the command line" if key in given else file
        if not key:
            lines.append(f"{file}: {fault['ctx']['error']}")
        elif fault["type"] == "extra_forbidden":
            lines.append(f"{origin}: there is no key '{key}'.{_nearest(key, _all_keys())}")
        else:
            lines.append(f"{origin}: {key}: {fault['msg']}. Received: {fault['input']!r}.")
    return "\n".join(lines)


def _all_keys() -> list[str]:
    keys = list(dotted(Configuration()))
    return keys + sorted({key.rpartition(".")[0] for key in keys} - {""})


def _nearest(key: str, keys: Iterable[str]) -> str:
    by_last_part = {name.rpartition(".")[2]: name for name in keys}
    close = difflib.get_close_matches(key, list(keys), n=1, cutoff=0.5)
    close = close or [
        by_last_part[n] for n in difflib.get_close_matches(key.rpartition(".")[2], by_last_part, n=1)
    ]
    return f" Did you mean '{close[0]}'?" if close else " zenml_config.yaml lists every key."
