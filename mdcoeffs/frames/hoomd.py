"""GSD files of HOOMD-blue for MDAnalysis: its reader, with the box vectors and velocities that it leaves out.

References
----------
GSD documentation, "HOOMD schema": configuration/box is Lx, Ly, Lz and the tilt factors xy, xz, yz; particles/velocity.
HOOMD-blue documentation, "Box": the vectors are (Lx, 0, 0), (xy Ly, Ly, 0), (xz Lz, yz Lz, Lz).
"""

from __future__ import annotations

from typing import Any

import MDAnalysis.coordinates.GSD
import numpy as np


class GsdReader(MDAnalysis.coordinates.GSD.GSDReader):
    """MDAnalysis' reader; ``ts.data["vectors"]`` are the box vectors, where it takes tilt factors for cosines."""

    def _read_frame(self, frame: int) -> Any:
        with np.errstate(invalid="ignore"):
            ts = super()._read_frame(frame)
        x, y, z, xy, xz, yz = np.asarray(self._chunk(frame, "configuration/box"), dtype=np.float64)
        ts.data["vectors"] = np.array([[x, 0, 0], [xy * y, y, 0], [xz * z, yz * z, z]])
        velocities = self._chunk(frame, "particles/velocity")
        if velocities is not None:
            ts.velocities = velocities
        return ts

    def _chunk(self, frame: int, name: str) -> Any:
        """A part of a frame; what a frame leaves out is that of the first one, and None where that has none."""
        file = self._file.file
        here = next((k for k in (int(frame), 0) if file.chunk_exists(frame=k, name=name)), None)
        return None if here is None else file.read_chunk(frame=here, name=name)
