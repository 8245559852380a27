"""Questions with ground truth and difficulty levels. Importing this package registers its tasks."""

from importlib.util import find_spec

from superalign.tasks import advice as advice
from superalign.tasks import arithmetic as arithmetic
from superalign.tasks import cities as cities
from superalign.tasks import elements as elements
from superalign.tasks import ordering as ordering
from superalign.tasks import passage as passage
from superalign.tasks import proof as proof
from superalign.tasks import same_country as same_country
from superalign.tasks import sum_chain as sum_chain
from superalign.tasks import table_chain as table_chain

if find_spec("reasoning_gym"):  # the extra reasoning-gym
    from superalign.tasks import chain_sum as chain_sum
