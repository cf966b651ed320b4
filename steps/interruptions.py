"""What ZenML raises in a step that is told to end: exceptions like any other, which must not pass for a failure."""

from typing import Final

from zenml.exceptions import RunInterruptedException, RunStoppedException

INTERRUPTIONS: Final = (RunInterruptedException, RunStoppedException)
