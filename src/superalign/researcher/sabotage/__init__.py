"""Hostile candidates and proposals, run against the researcher's own defences: what was prevented, detected, missed."""
