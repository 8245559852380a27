"""Well-scoped problems with sealed evaluation, registered by name."""

from superalign.researcher.problems import proof

__all__ = ["proof"]
