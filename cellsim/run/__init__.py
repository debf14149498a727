"""From a case file to a run folder: case, simulation, many runs at once, report and figures."""
