"""Alarms on trial: recall on kinds of attack that they have not learnt from."""
