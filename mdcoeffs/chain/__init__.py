"""From Onsager matrices to a transport set, and from trajectories to a polarised cell."""
