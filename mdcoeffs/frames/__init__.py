"""The pass over a trajectory: opening, checking, unwrapping, one frame after another to any number of accumulators."""
