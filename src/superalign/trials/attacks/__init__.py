"""Detectors under attack: what their scores are worth on other questions, in other words, and trained against."""
