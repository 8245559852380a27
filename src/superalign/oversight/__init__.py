"""Turning a weaker judge into a training signal. Importing this package registers its overseers."""

from superalign.oversight import constitution as constitution
from superalign.oversight import consultancy as consultancy
from superalign.oversight import critique as critique
from superalign.oversight import debate as debate
from superalign.oversight import decoupled as decoupled
from superalign.oversight import direct as direct
from superalign.oversight import few_labels as few_labels
from superalign.oversight import human as human
from superalign.oversight import process as process
from superalign.oversight import reward_model as reward_model
