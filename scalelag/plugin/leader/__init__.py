"""The process that leads a run: lifecycle, workers, probes, record and report."""
