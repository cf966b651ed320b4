"""Makes the README's pictures of MLflow: `python docs/screenshots.py RUN_ID` (needs Chromium and `make dev`)."""

import argparse
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By

PROJECT = Path(__file__).resolve().parent.parent
PICTURES = PROJECT / "docs" / "pictures"
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--window-size=1400,1000", "--hide-scrollbars"),
)
# The cross of the panel that covers a third of the page.
_ASSISTANT_CLOSE = "(//*[contains(text(), 'MLflow Assistant')]/following::button)[3]"


def main() -> None:
    """Starts the UI, opens the run's pages and saves what is seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run_id")
    parser.add_argument("--port", type=int, default=5055)
    arguments = parser.parse_args()
    server = subprocess.Popen(
        [sys.executable, str(PROJECT / "run_pipeline.py"), "ui", "--port", str(arguments.port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = f"http://127.0.0.1:{arguments.port}"
        _wait_for(address)
        run = f"{address}/#/experiments/1/runs/{arguments.run_id}"
        browser = _browser()
        _open(browser, f"{run}/model-metrics", "test/macro_f1")
        for element in browser.find_elements(By.XPATH, _ASSISTANT_CLOSE)[:1]:
            element.click()
        search = browser.find_element(By.XPATH, "//input[@placeholder='Search metric charts']")
        search.send_keys("loss|val_|train_a")
        _shoot(browser, "val/macro_f1", PICTURES / "mlflow_run.png")
        _open(browser, f"{run}/artifacts/confusion_matrix.png", "confusion_matrix.png")
        _shoot(browser, "predictions.parquet", PICTURES / "mlflow_artifacts.png")
        browser.quit()
    finally:
        server.terminate()
        server.wait()


def _browser() -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))


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


def _wait_for(address: str) -> None:
    for _ in range(120):
        try:
            urllib.request.urlopen(address, timeout=2)
            return
        except OSError:
            time.sleep(0.5)
    raise TimeoutError(f"The UI never answered at {address}.")


if __name__ == "__main__":
    main()
