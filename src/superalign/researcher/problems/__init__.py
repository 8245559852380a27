"""Well-scoped problems with sealed evaluation, registered by name."""

from superalign.researcher.problems import drift as drift
from superalign.researcher.problems import effort as effort
from superalign.researcher.problems import judging as judging
from superalign.researcher.problems import location as location
from superalign.researcher.problems import pgr as pgr
from superalign.researcher.problems import proof as proof
from superalign.researcher.problems import recall as recall
from superalign.researcher.problems import transfer as transfer
