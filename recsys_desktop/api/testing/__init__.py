"""The conformance kit: what every algorithm must hold, as a test class to subclass."""

from recsys_desktop.api.testing.conformance import AlgorithmConformance
from recsys_desktop.api.testing.kit_run import KitRun
from recsys_desktop.api.testing.measure import Measurement, measure_fit, measure_fits

__all__ = ["AlgorithmConformance", "KitRun", "Measurement", "measure_fit", "measure_fits"]
