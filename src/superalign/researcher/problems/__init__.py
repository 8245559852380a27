"""Well-scoped problems with sealed evaluation, registered by name."""

from superalign.researcher.problems import effort as effort
from superalign.researcher.problems import location as location
from superalign.researcher.problems import recall as recall
from superalign.researcher.problems import proof

__all__ = ["proof"]
