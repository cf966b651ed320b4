"""Every setting that shapes a model: what a training depends on, and nothing else."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from entailment.configuration.dataset import Dataset, Ingest, Tweets
from entailment.configuration.encoders import Encoders
from entailment.configuration.head import Head
from entailment.configuration.images import Images
from entailment.configuration.records import Records
from entailment.configuration.section import Section
from entailment.configuration.split import Split
from entailment.configuration.task import Inputs, Task
from entailment.configuration.training import Training


class ModelConfiguration(Section):
    """What shapes a model. `zenml_config.yaml` documents each key."""

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 42
    inputs: Inputs = "multimodal"
    task: Task = Task()
    dataset: Dataset = Dataset()
    tweets: Tweets = Tweets()
    ingest: Ingest = Ingest()
    images: Images = Images()
    split: Split = Split()
    records: Records = Records()
    encoders: Encoders = Encoders()
    head: Head = Head()
    training: Training = Training()

    def of_trials(self) -> Self:
        """What shapes a model that is trained on given records: what shapes the records has its defaults."""
        defaults = type(self)()
        kept = {"split": Split(validation_fraction=self.split.validation_fraction)}
        names = ("dataset", "tweets", "ingest", "images", "records")
        return self.model_copy(update=kept | {name: getattr(defaults, name) for name in names})

    def of_records(self) -> Self:
        """What shapes the records of given pairs: the rest has its defaults."""
        task = Task(labels=self.task.labels)
        return type(self)(inputs=self.inputs, task=task, images=self.images, records=self.records)

    def of_features(self) -> Self:
        """What shapes the features of given records: the rest has its defaults."""
        return type(self)(inputs=self.inputs, encoders=self.encoders)

    def with_image_size(self, size: int) -> Self:
        """The same with images of that many pixels a side, as records have them."""
        return self.model_copy(update={"images": self.images.model_copy(update={"size": size})})

    @model_validator(mode="after")
    def _check_weights(self) -> Self:
        weights, labels = self.training.class_weights, self.task.labels
        if weights and len(weights) != len(labels):
            raise ValueError(
                f"training.class_weights must be one for each of the {len(labels)} labels. Received: {len(weights)}"
            )
        return self
