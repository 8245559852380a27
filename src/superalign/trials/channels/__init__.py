"""Hidden channels measured: scripted senders of known capacity, and collusion organisms beside their twins."""
