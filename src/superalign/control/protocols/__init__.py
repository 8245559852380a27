"""Control protocols: what is executed of what an untrusted agent wants to do, given alarms, trust and audits."""
