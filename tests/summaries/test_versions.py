"""What `versions` prints."""

import pytest

from summaries.versions import versions_table
from tracking.versions import Pruned


@pytest.mark.parametrize(
    ("pruned", "above"),
    [
        (None, ""),
        (Pruned([], 0), ""),
        (Pruned([], 2_000_000), "Removed 0 version(s): none; 2.0 MB.\n"),
        (Pruned([3, 1], 1_000_000), "Removed 2 version(s): 3, 1; 1.0 MB.\n"),
    ],
)
def test_without_versions_it_is_said_once(pruned, above):
    assert versions_table("mine", [], None, pruned) == f"{above}There is no version of mine yet: train first."
