"""Questions with ground truth and difficulty levels. Importing this package registers its tasks."""

from superalign.tasks import cities as cities
