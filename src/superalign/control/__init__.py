"""What an agent may do: a sandbox, monitors, approvals and budgets."""
