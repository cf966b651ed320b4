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
        _shoot(browser, f"{run}/model-metrics", "val_macro_f1", PICTURES / "mlflow_run.png")
        confusion = "confusion_matrix.png"
        _shoot(browser, f"{run}/artifacts/{confusion}", confusion, PICTURES / "mlflow_artifacts.png")
        browser.quit()
    finally:
        server.terminate()
        server.wait()


def _browser() -> webdriver.Chrome:
    options = webdriver.ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    return webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))


def _shoot(browser: webdriver.Chrome, address: str, word: str, path: Path) -> None:
    browser.get(address)
    deadline = time.monotonic() + 60
    while word not in browser.find_element(By.TAG_NAME, "body").text:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{address} never showed '{word}'.")
        time.sleep(0.5)
    time.sleep(4)  # the plots are drawn after the words
    browser.save_screenshot(str(path))


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
