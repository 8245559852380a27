"""Who thinks of solutions, registered by name. Importing this package registers them, and imports no optimizer."""

from superalign.researcher.proposers import cma_es as cma_es
from superalign.researcher.proposers import evolution as evolution
from superalign.researcher.proposers import hybrid as hybrid
from superalign.researcher.proposers import llm as llm
from superalign.researcher.proposers import random as random
from superalign.researcher.proposers import scripted as scripted
from superalign.researcher.proposers import tpe as tpe
