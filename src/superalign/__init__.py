"""superalign: take a language model through the superalignment plan and find out whether the plan works on it."""

__version__ = "0.1.0"
