"""Heterodyne X-ray photon correlation spectroscopy: correlation functions forward, and back to velocities."""
