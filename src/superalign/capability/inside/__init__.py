"""Run as a process of its own, with nothing of the project but the standard library."""
