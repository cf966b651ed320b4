"""Figures of answers: confusion, intervals, differences, calibration."""
