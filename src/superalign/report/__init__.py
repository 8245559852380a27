"""The report of a run, drawn from its `Summary` alone: one HTML file, and a few lines for the terminal."""
