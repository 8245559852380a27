"""Control protocols on trial: safety against usefulness, with scripted agents and organisms."""
