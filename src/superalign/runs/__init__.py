"""One run on disk: the plan, the manifest, the steps and their costs, and what is shown while it works."""
