"""The main job with an encoder that is trained: the registered model holds the tuned one."""

import json
import subprocess
import sys

import pandas as pd
import pytest

from tests.encoders.random_modules import write_random_modules
from tests.pipelines.workspace import Workspace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TRAINED = ("--inputs", "text", "--epochs", "1", "--set", "encoders.text.trainable=1")


def test_the_registered_model_answers_as_evaluation_did(tmp_path):
    workspace = Workspace(tmp_path)
    workspace.write_config(write_random_modules(tmp_path / "modules"))
    rate = ("--set", "training.encoder_learning_rate=0.01")
    result = workspace.result(*TRAINED, *rate)
    script = f"""
import json, mlflow, pandas as pd
mlflow.set_tracking_uri({workspace.tracking_uri!r})
model = mlflow.pyfunc.load_model("models:/multimodal-entailment@champion")
run = mlflow.MlflowClient().get_run({result["run_id"]!r})
expected = pd.read_parquet(mlflow.artifacts.download_artifacts(f"runs:/{{run.info.run_id}}/predictions.parquet"))
texts = pd.read_csv({str(tmp_path / "data" / "pairs.csv")!r}, dtype=str).set_index("id_1").loc[expected.id_1]
answers = model.predict(texts[["text_1", "text_2"]].reset_index(drop=True))
names = ["p_contradictory", "p_implies", "p_no_entailment"]
card = mlflow.artifacts.download_artifacts(f"runs:/{{run.info.run_id}}/model_card.md")
print(json.dumps([float(abs(answers[names] - expected[names]).max().max()), open(card).read()]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=workspace.environment(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    difference, card = json.loads(done.stdout.splitlines()[-1])
    assert difference < 1e-4
    assert "With the head was trained: of" in card and "the last layer" in card
    assert workspace.steps_run(*TRAINED, *rate) == set()
    assert not workspace.left_in_scratch()
    # Another rate is another model, and a comparison trains encoders too.
    assert workspace.steps_run(*TRAINED) == {"train", "evaluate", "register"}
    compared = workspace.run("compare", *TRAINED, "--loss", "focal", "--json")
    assert compared.returncode == 0, compared.stderr
    (variant,) = json.loads(compared.stdout)["variants"]
    assert pd.notna(variant["metrics"]["test/macro_f1"])
