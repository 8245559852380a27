"""From what we can supervise to what we cannot, with statistics that hold."""
