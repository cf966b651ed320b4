"""Every setting of a run."""

from entailment.configuration.drift import Drift
from entailment.configuration.evaluation import Evaluation
from entailment.configuration.model import ModelConfiguration
from entailment.configuration.promotion import Promotion
from entailment.configuration.schedule import Schedule


class Configuration(ModelConfiguration):
    """What shapes a model, how it is judged and promoted, and how a schedule runs."""

    evaluation: Evaluation = Evaluation()
    promotion: Promotion = Promotion()
    drift: Drift = Drift()
    schedule: Schedule = Schedule()

    def of_model(self) -> ModelConfiguration:
        """The part that shapes a model."""
        return ModelConfiguration(**{name: getattr(self, name) for name in ModelConfiguration.model_fields})
