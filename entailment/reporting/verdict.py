"""What a difference of two figures says, in words."""


def compared_with(
    other: str, difference: float, low: float, high: float, confidence: float | None = None
) -> str:
    """Whether something is better than `other`, by a difference and the ends of its interval; behind "it is".

    `confidence`: the level of the interval, where it is not told elsewhere.

    >>> compared_with("words alone (0.643)", 0.32, 0.197, 0.435, 0.95)
    'really better than words alone (0.643): +0.320 (95%: +0.197 to +0.435)'
    """
    verdict = "NOT shown to be better than"
    if low > 0 or high < 0:
        verdict = "really better than" if low > 0 else "REALLY WORSE than"
    # Adding 0 makes 0 of -0, which would be written so.
    level = f"{confidence:.0%}: " if confidence else ""
    return f"{verdict} {other}: {difference + 0.0:+.3f} ({level}{low + 0.0:+.3f} to {high + 0.0:+.3f})"
