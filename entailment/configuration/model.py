"""Every setting that shapes a model: what a training depends on, and nothing else."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from entailment.configuration.dataset import Dataset, Tweets
from entailment.configuration.head import Head
from entailment.configuration.inputs import InputsConfiguration
from entailment.configuration.section import broken_rule
from entailment.configuration.split import Split
from entailment.configuration.task import Task
from entailment.configuration.training import Training


class ModelConfiguration(InputsConfiguration):
    """What shapes a model. `zenml_config.yaml` documents each key."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 42
    dataset: Dataset = Dataset()
    tweets: Tweets = Tweets()
    split: Split = Split()
    head: Head = Head()
    training: Training = Training()

    def of_trials(self) -> Self:
        """What shapes a model that is trained on given records: names, and what shapes the records, have defaults."""
        defaults = type(self)()
        kept = {
            "task": Task(labels=self.task.labels),
            "split": Split(validation_fraction=self.split.validation_fraction),
            "encoders": self.encoders.seen(self.inputs),
        }
        names = ("dataset", "tweets", "ingest", "images", "records")
        return self.model_copy(update=kept | {name: getattr(defaults, name) for name in names})

    @model_validator(mode="after")
    def _check_weights(self) -> Self:
        weights, labels = self.training.class_weights, self.task.labels
        if weights and len(weights) != len(labels):
            raise broken_rule(
                "training.class_weights",
                f"must be one for each of the {len(labels)} labels. Received: {len(weights)}",
            )
        return self
