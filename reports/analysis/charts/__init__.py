"""Series for the charts of a report, thinned to what can be seen."""
