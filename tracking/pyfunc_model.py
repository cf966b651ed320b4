"""The registered model as MLflow loads it: a script, so that nothing is pickled."""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd


class RawPairsModel(mlflow.pyfunc.PythonModel):
    """Takes raw texts and image bytes, answers label, probabilities and error."""

    def load_context(self, context: mlflow.pyfunc.PythonModelContext) -> None:
        """Loads encoders and head from the model's own files."""
        from entailment.serving.predictor import Predictor

        self._predictor = Predictor(Path(context.artifacts["package"]))

    def predict(
        self,
        context: mlflow.pyfunc.PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Predictions for each row of `model_input`."""
        return self._predictor.predict(model_input)


mlflow.models.set_model(RawPairsModel())
