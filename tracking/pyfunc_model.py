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
        """Predictions for each row of `model_input`; NaN, in JSON null, where one could not be scored.

        Raises MlflowException, which is a ValueError too, where a column is misspelt or none is known.
        """
        try:
            return _Answers(self._reader.predict(model_input))
        except ValueError as error:
            if type(error).__name__ == "ColumnError":
                raise _RefusedError(str(error), INVALID_PARAMETER_VALUE) from None
            raise


class _RefusedError(MlflowException, ValueError):
    """MLflow's server says of any other error that it was unexpected."""


class _Answers(pd.DataFrame):
    """Answers that become JSON with null where a row could not be scored: NaN is none."""

    def to_dict(self, *arguments: Any, **options: Any) -> Any:
        """As of any frame, with None for NaN."""
        return pd.DataFrame(self).astype(object).where(self.notna(), None).to_dict(*arguments, **options)


mlflow.models.set_model(RawPairsModel())
