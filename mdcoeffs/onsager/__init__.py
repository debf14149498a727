"""Onsager coefficients: summed displacements, their spectrum, the estimate with its error bars."""
