"""What a scheduled run costs over the same run in one process, in seconds for each step.

`python benchmarks/schedule_overhead.py` needs Airflow running in this home (`make airflow`). It retrains on 200
generated pairs of texts with `--no-cache`: once untimed, so that there is a champion to be compared with, then in one
process (imports included), then by a schedule, from the moment that Airflow starts the run until the last step has
ended; the schedule is removed.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.measuring import finish
from entailment.data.sample import write_sample
from entailment.workspace import PROJECT

NAME = "overhead-benchmark"
STEPS = 10
"""Of a retraining; with `--no-cache` nothing is looked at before."""
PATIENCE = 1800
"""Seconds that the scheduled run may take."""


def answer(*arguments: str) -> dict[str, Any]:
    """What a command of the program gives with `--json`; ends this one when it fails."""
    program = [sys.executable, str(PROJECT / "run_pipeline.py"), *arguments, "--json"]
    done = subprocess.run(program, stdout=subprocess.PIPE, text=True, check=False)
    given = json.loads(done.stdout.splitlines()[-1])
    if done.returncode:
        raise SystemExit(given["error"])
    return given


def state() -> dict[str, Any]:
    """The schedule as it is now."""
    return next(each for each in answer("schedule", "--list")["schedules"] if each["name"] == NAME)


def wait_for(found: Callable[[dict[str, Any]], Any]) -> Any:
    """What `found` sees in the schedule's state as soon as it sees something."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if value := found(state()):
            return value
        time.sleep(20)
    raise SystemExit(f"The scheduled run took more than {PATIENCE} s.")


def scheduled_seconds(options: list[str]) -> float:
    """How long one scheduled run takes."""
    soon = datetime.now(UTC) + timedelta(minutes=2)
    answer("schedule", "--cron", f"{soon.minute} {soon.hour} * * *", "--name", NAME, *options)
    try:
        begun = wait_for(lambda seen: seen["last_run"])
        ended = wait_for(lambda seen: [run["end"] for run in seen["runs"] if run["status"] == "completed"])
    finally:
        answer("schedule", "--delete", NAME)
    return (datetime.fromisoformat(ended[-1]) - datetime.fromisoformat(begun)).total_seconds()


def main() -> None:
    """Measures and prints both sides."""
    with tempfile.TemporaryDirectory() as folder:
        write_sample(Path(folder), pairs=200, seed=1)
        options = ["--dataset", f"{folder}/pairs.csv", "--inputs", "text", "--epochs", "3", "--no-cache"]
        answer("retrain", *options)
        start = time.monotonic()
        answer("retrain", *options)
        whole = time.monotonic() - start
        scheduled = scheduled_seconds(options)
    more = (scheduled - whole) / STEPS
    print(f"one process {whole:6.1f} s   scheduled {scheduled:6.1f} s   {more:5.1f} s a step more")
    finish("schedule_overhead", whole / scheduled, {"scheduled": scheduled, "one process": whole}, "s")


if __name__ == "__main__":
    main()
