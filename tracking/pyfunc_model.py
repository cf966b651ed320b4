"""The registered model as MLflow loads it: a script, so that nothing is pickled."""

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE


class RawPairsModel(mlflow.pyfunc.PythonModel):
    """Takes raw texts and image bytes, answers label, probabilities and error."""

    def load_context(self, context: mlflow.pyfunc.PythonModelContext) -> None:
        """Loads the package with the reader that it brings, a module named by its hash."""
        package = Path(context.artifacts["package"])
        name = json.loads((package / "package.json").read_text(encoding="utf-8"))["reader"]
        sys.path.append(str(package / "reader"))
        importlib.invalidate_caches()
        self._reader = importlib.import_module(f"{name}.serving.reader").Reader(package)

    def predict(
        self,
        context: mlflow.pyfunc.PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Predictions for each row of `model_input`; where a row could not be scored its probabilities are None.

        Raises MlflowException where a column is misspelt or none is known.
        """
        try:
            answers = self._reader.predict(model_input)
        except ValueError as error:
            # MLflow's server says of any other error that it was unexpected.
            raise MlflowException(str(error), INVALID_PARAMETER_VALUE) from None
        if (answers["error"] == "").all():
            return answers
        # NaN is no JSON.
        return answers.astype(object).where(answers.notna(), None)


mlflow.models.set_model(RawPairsModel())
