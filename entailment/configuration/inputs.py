"""Every setting that shapes what a model is given: records and features."""

from typing import Self

from entailment.configuration.dataset import Ingest
from entailment.configuration.encoders import Encoders
from entailment.configuration.images import Images
from entailment.configuration.records import Records
from entailment.configuration.section import Section
from entailment.configuration.task import Inputs, Task


class InputsConfiguration(Section):
    """What shapes records and features, apart from the data. `zenml_config.yaml` documents each key."""

    inputs: Inputs = "multimodal"
    task: Task = Task()
    ingest: Ingest = Ingest()
    images: Images = Images()
    records: Records = Records()
    encoders: Encoders = Encoders()

    def of_records(self) -> "InputsConfiguration":
        """What shapes the records of given pairs: the rest has its defaults."""
        task = Task(labels=self.task.labels)
        return InputsConfiguration(inputs=self.inputs, task=task, images=self.images, records=self.records)

    def of_features(self) -> "InputsConfiguration":
        """What shapes the features of given records: the rest has its defaults."""
        return InputsConfiguration(inputs=self.inputs, encoders=self.encoders.seen(self.inputs))

    def with_image_size(self, size: int) -> Self:
        """The same with images of that many pixels a side, as records have them."""
        return self.model_copy(update={"images": self.images.model_copy(update={"size": size})})
