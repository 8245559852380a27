"""Well-scoped problems with sealed evaluation, registered by name."""
