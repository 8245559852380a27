"""Questions with ground truth and difficulty levels. Importing this package registers its tasks."""

from superalign.tasks import arithmetic as arithmetic
from superalign.tasks import cities as cities
from superalign.tasks import elements as elements
from superalign.tasks import passage as passage
