"""Makes the README's pictures of MLflow and of a comparison's page: `python docs/screenshots.py` (needs Chromium,
`make dev`, and in the home what `make run` and `python run_pipeline.py compare` leave there).

The newest run of each is shown.
"""

import argparse
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By

PROJECT = Path(__file__).resolve().parent.parent
PICTURES = PROJECT / "docs" / "pictures"
sys.path.insert(0, str(PROJECT))

from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import RunInfo  # noqa: E402

from entailment.configuration.loading import DEFAULT_FILE, load_configuration  # noqa: E402
from entailment.metric_names import BEST_VARIANT, MACRO_F1  # noqa: E402
from tests.chromium import chromium  # noqa: E402
from tracking.experiment import tracking_uri  # noqa: E402

# The cross of the panel that covers a third of the page.
_ASSISTANT_CLOSE = "(//*[contains(text(), 'MLflow Assistant')]/following::button)[3]"


def main() -> None:
    """Opens pages of the newest runs and saves what is seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=5055)
    port = parser.parse_args().port
    client = MlflowClient(tracking_uri())
    training, comparison = _newest(client, MACRO_F1), _newest(client, f"{BEST_VARIANT}macro_f1")
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(client.download_artifacts(comparison.run_id, "comparison.html", scratch))
        for name, width, height in (("comparison", 1280, 1420), ("comparison_phone", 390, 844)):
            with chromium(width, height) as browser:
                browser.get(page.as_uri())
                browser.save_screenshot(str(PICTURES / f"{name}.png"))
    with _ui(port) as address, chromium(1400, 1000) as browser:
        place, _, runs = address.partition("#")
        experiment = f"/experiments/{training.experiment_id}"
        run = f"{place}#{experiment}/runs/{training.run_id}"
        view = runs.partition("?")[2]
        _open(browser, f"{place}#{runs}", "Run Name")
        for element in browser.find_elements(By.XPATH, _ASSISTANT_CLOSE)[:1]:
            element.click()
        _shoot(browser, "Duration", PICTURES / "mlflow_runs.png")
        _open(browser, f"{run}/model-metrics?{view}", "majority_accuracy")
        search = browser.find_element(By.XPATH, "//input[@placeholder='Search metric charts']")
        search.send_keys("train/|val/")
        _shoot(browser, "train/loss", PICTURES / "mlflow_run.png")
        _open(browser, f"{run}/artifacts/confusion_matrix.png?{view}", "confusion_matrix.png")
        _shoot(browser, "predictions.parquet", PICTURES / "mlflow_artifacts.png")


def _newest(client: MlflowClient, metric: str) -> RunInfo:
    """The newest run that has a metric and stands below no other."""
    name = load_configuration(PROJECT / DEFAULT_FILE).task.name
    experiment = client.get_experiment_by_name(name)
    found = client.search_runs([experiment.experiment_id], f"metrics.`{metric}` >= 0") if experiment else []
    for run in found:
        if "mlflow.parentRunId" not in run.data.tags:
            return run.info
    sys.exit(f"No run in {tracking_uri()} has {metric}. First: make run, python run_pipeline.py compare")


@contextmanager
def _ui(port: int) -> Iterator[str]:
    """The address that `ui` prints, as soon as somebody answers there."""
    command = [sys.executable, str(PROJECT / "run_pipeline.py"), "ui", "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        address = server.stdout.readline().strip() if server.stdout else ""
        _wait_for(port)
        yield address
    finally:
        server.terminate()
        server.wait()


def _open(browser: webdriver.Chrome, address: str, word: str) -> None:
    browser.get(address)
    _wait_for_word(browser, word)


def _shoot(browser: webdriver.Chrome, word: str, path: Path) -> None:
    _wait_for_word(browser, word)
    time.sleep(4)  # the plots are drawn after the words
    browser.save_screenshot(str(path))


def _wait_for_word(browser: webdriver.Chrome, word: str) -> None:
    deadline = time.monotonic() + 60
    while word not in browser.find_element(By.TAG_NAME, "body").text:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{browser.current_url} never showed '{word}'.")
        time.sleep(0.5)


def _wait_for(port: int) -> None:
    for _ in range(240):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
            return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(f"The UI never answered on port {port}.")


if __name__ == "__main__":
    main()
