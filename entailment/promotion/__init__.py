"""Whether a new model takes the champion's place, and whether new rows drifted."""
