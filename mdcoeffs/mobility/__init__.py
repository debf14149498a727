"""Translation, rotation, and whether cations move with the turning of their cage."""
