"""Sealed, blinded stress tests; their statistics; the decision. The only package where hidden labels meet verdicts."""
