"""Turning a weaker judge into a training signal. Importing this package registers its overseers."""

from superalign.oversight import amplification as amplification
from superalign.oversight import constitution as constitution
from superalign.oversight import consultancy as consultancy
from superalign.oversight import critique as critique
from superalign.oversight import debate as debate
from superalign.oversight import decoupled as decoupled
from superalign.oversight import direct as direct
from superalign.oversight import distillation as distillation
from superalign.oversight import few_labels as few_labels
from superalign.oversight import human as human
from superalign.oversight import process as process
from superalign.oversight import prover_estimator as prover_estimator
from superalign.oversight import recursive_reward_modelling as recursive_reward_modelling
from superalign.oversight import reward_model as reward_model
from superalign.oversight import weak_model as weak_model
