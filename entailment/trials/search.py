"""A search for a better configuration, judged on folds of the rows that are not the test split's.

The sampler is the tree-structured Parzen estimator (Bergstra et al., Algorithms for hyper-parameter optimization,
2011); a trial whose validation macro-F1 stays below the median of the finished ones at the same epoch of the same
fold is stopped. Both are Optuna's (Akiba et al., 2019), which keeps every trial in an SQLite file, so that a search
goes on where it ended.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from entailment.configuration.configuration import Configuration
from entailment.configuration.loading import with_values
from entailment.configuration.section import dotted
from entailment.data.split import FoldRows
from entailment.errors import EntailmentError, reason
from entailment.metric_names import VALIDATION_MACRO_F1
from entailment.model.end_to_end import Workplace
from entailment.model.features import SplitFeatures
from entailment.task import KINDS
from entailment.trials.cross_validation import FoldAnswers, cross_validation
from entailment.trials.search_space import SPACE, starting_values, suggested
from entailment.trials.trial import train_and_answer
from entailment.trials.variant_summary import mean_curves

if TYPE_CHECKING:
    import optuna

OBJECTIVE: Final = "macro_f1"
"""What is maximised: of the answers to all folds together."""
_UNPRUNED_TRIALS: Final = 5
"""Finished trials before any is stopped early: fewer have no median worth the name."""
_UNPRUNED_EPOCHS: Final = 5
"""Epochs before a trial may be stopped."""
_HANDLES: Final = (*(f"encoders.{kind}.encoder" for kind in KINDS), "encoders.text.preprocessor")
"""Where an encoder lies changes no trial; what it gives, or what it is, is part of a study's name."""
_LOG = logging.getLogger(__name__)

State = Literal["complete", "pruned", "failed"]
FoldEpochSink = Callable[[int, int, Mapping[str, float]], None]
"""Called after each epoch with the fold's number and the epoch's (both from 0) and its figures."""
Objective = Callable[[Configuration, FoldEpochSink], Mapping[str, float]]
"""Judges a configuration: figures by name, OBJECTIVE among them."""


@dataclass(frozen=True)
class Trial:
    """One configuration that was tried."""

    number: int
    state: State
    configuration: Configuration
    value: float | None = None
    """Its macro-F1 on the validation folds; None unless it is complete."""
    metrics: dict[str, float] = field(default_factory=dict)
    """What the objective gave; empty unless complete, or when read from an earlier search."""
    curves: dict[str, list[float]] = field(default_factory=dict)
    ended: list[float] = field(default_factory=list)
    """By name one value an epoch, the mean over the folds; empty when read from an earlier search."""
    error: str = ""
    """Why it failed."""


@dataclass(frozen=True)
class Search:
    """All trials of a study, and how many of them were there before."""

    trials: list[Trial]
    earlier: int

    @property
    def best(self) -> Trial:
        """The trial with the largest value, the first of equals. Raises EntailmentError when none is complete."""
        complete = [trial for trial in self.trials if trial.value is not None]
        if not complete:
            last = next((f": {trial.error}" for trial in reversed(self.trials) if trial.error), ".")
            raise EntailmentError(f"No trial of the search came to an end{last}")
        return max(complete, key=lambda trial: (trial.value, -trial.number))


def study_name(
    configuration: Configuration,
    fixed: Collection[str],
    folds: int,
    features: str,
    records: str,
    encoders: Mapping[str, str],
) -> str:
    """Names a search after all that its trials' values depend on, and nothing else: so it is found again.

    `features`: SHA-256 of their index, which holds rows, labels and what frozen encoders give. Only trials that
    train encoders read the records, of that SHA-256, and the modules of these fingerprints.
    """
    model = configuration.of_model().of_trials()
    trained = model.encoders.trained(model.inputs)
    # A search judges on its folds, whatever `validation_fraction` is.
    settings = {
        key: value
        for key, value in dotted(model).items()
        if key not in _HANDLES and not key.startswith("split.")
    }
    read = [features, *((records, dict(encoders)) if trained else ())]
    space = [(d.key, d.choices, d.low, d.high, d.log) for d in SPACE]
    stay = sorted(dimension.key for dimension in SPACE if dimension.key in fixed)
    described = json.dumps([settings, stay, folds, read, space], sort_keys=True)
    return f"{configuration.inputs}-{hashlib.sha256(described.encode()).hexdigest()[:16]}"


def search(
    storage: Path,
    name: str,
    start: Configuration,
    trials: int,
    objective: Objective,
    *,
    fixed: Collection[str] = (),
    on_trial: Callable[[Trial], None] = lambda trial: None,
    interruptions: tuple[type[Exception], ...] = (),
) -> Search:
    """Tries `trials` more configurations; `on_trial` is called after each. The first of a study is `start` itself.

    What is tried depends on the trials before and `start.seed` alone, not on how they were divided into searches.
    A trial that fails is kept with its reason; an interrupted one too, then the interruption goes on.

    Args:
        storage: the SQLite file, made if absent.
        name: the study in it that is begun or gone on with. No other process may be working on it.
        fixed: keys that are not to be changed.
        interruptions: exceptions that end the search, as Ctrl-C does, instead of failing a trial.
    """
    study = _opened(storage, name)
    earlier = len(study.get_trials(deepcopy=False))
    if not any(trial.state.name != "FAIL" for trial in study.get_trials(deepcopy=False)):
        study.enqueue_trial(starting_values(start, fixed))
    for _ in range(trials):
        on_trial(_tried(study, start, fixed, objective, interruptions))
    return Search([_kept(trial, start) for trial in study.get_trials()], earlier)


def judged_on_folds(
    features: SplitFeatures,
    folds: Sequence[FoldRows],
    configuration: Configuration,
    place: Workplace,
    on_epoch: FoldEpochSink,
) -> dict[str, float]:
    """Trains on each fold's training rows and answers its fold: `Metrics.as_dict()` of all answers together.

    The fold also decides which epoch is kept, which flatters every trial; the test split is there to judge the last.
    """
    evaluation = configuration.evaluation
    answers: dict[int, FoldAnswers | str] = {}
    for number, rows in enumerate(folds):
        train, validation, test = (features.select(part) for part in (rows.train, rows.validation, rows.test))
        result = train_and_answer(train, validation, test, configuration, place, partial(on_epoch, number))
        answers[number] = FoldAnswers(result.labels, result.probabilities, tuple(result.train_counts))
    return cross_validation(
        answers,
        features.classes,
        bootstrap_samples=evaluation.bootstrap_samples,
        confidence=evaluation.confidence,
        seed=configuration.seed,
    ).pooled


def _opened(storage: Path, name: str) -> "optuna.Study":
    """The study, made if absent; trials of a process that was killed count as failed."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{storage}",
        study_name=name,
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(_UNPRUNED_TRIALS, _UNPRUNED_EPOCHS),
    )
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return study


def _tried(
    study: "optuna.Study",
    start: Configuration,
    fixed: Collection[str],
    objective: Objective,
    interruptions: tuple[type[Exception], ...],
) -> Trial:
    import optuna

    states = optuna.trial.TrialState
    # A sampler of its own for each trial: what it draws does not depend on which trials this process has run.
    study.sampler = optuna.samplers.TPESampler(seed=start.seed + len(study.get_trials(deepcopy=False)))
    trial = study.ask()
    configuration = suggested(trial, start, fixed)
    epochs, course = configuration.training.epochs, _Course()
    ends: tuple[type[BaseException], ...] = (KeyboardInterrupt, SystemExit, *interruptions)

    def on_epoch(fold: int, epoch: int, figures: Mapping[str, float]) -> None:
        course.add(fold, figures)
        trial.report(figures[VALIDATION_MACRO_F1], fold * epochs + epoch - 1)
        if trial.should_prune():
            raise optuna.TrialPruned

    def ended(state: State, **what: Any) -> Trial:
        return Trial(trial.number, state, configuration, curves=course.curves(), ended=course.ended(), **what)

    try:
        metrics = dict(objective(configuration, on_epoch))
    except optuna.TrialPruned:
        study.tell(trial, state=states.PRUNED)
        return ended("pruned")
    except ends:
        trial.set_user_attr("error", "interrupted")
        study.tell(trial, state=states.FAIL)
        raise
    except Exception as error:  # one trial must not end the search
        _LOG.exception("Trial %d failed.", trial.number)
        trial.set_user_attr("error", reason(error))
        study.tell(trial, state=states.FAIL)
        return ended("failed", error=reason(error))
    study.tell(trial, metrics[OBJECTIVE])
    return ended("complete", value=metrics[OBJECTIVE], metrics=metrics)


class _Course:
    """The figures of every epoch so far, fold by fold."""

    def __init__(self) -> None:
        self._histories: list[dict[str, list[float]]] = []
        self._ended: list[list[float]] = []

    def add(self, fold: int, figures: Mapping[str, float]) -> None:
        if fold == len(self._histories):
            self._histories.append({})
            self._ended.append([])
        self._ended[fold].append(time.time())
        for name, value in figures.items():
            self._histories[fold].setdefault(name, []).append(float(value))

    def curves(self) -> dict[str, list[float]]:
        return mean_curves(self._histories) if self._histories else {}

    def ended(self) -> list[float]:
        """When each epoch ended, in seconds since 1970: of the fold that trained longest."""
        return max(self._ended, key=len, default=[])


def _kept(trial: "optuna.trial.FrozenTrial", start: Configuration) -> Trial:
    names: dict[str, State] = {"COMPLETE": "complete", "PRUNED": "pruned"}
    state = names.get(trial.state.name, "failed")
    value = trial.value if state == "complete" else None
    error = "" if state != "failed" else trial.user_attrs.get("error", "its process was ended")
    return Trial(trial.number, state, with_values(start, trial.params), value, error=error)
