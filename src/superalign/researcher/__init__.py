"""The automated alignment researcher: it proposes, runs and measures, and only a sealed evaluation is believed."""
