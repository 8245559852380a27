"""Thousands of agents watched at once: streams of events are counted block by block, and tests whose false alarms are
bounded for the whole run bet on the counts.
"""
