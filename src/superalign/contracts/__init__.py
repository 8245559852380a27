"""What every part agrees on: records, protocols, errors, registry. Needs pydantic and numpy, never torch."""
