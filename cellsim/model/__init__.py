"""The physics, once: equations, closed forms, the steady state by quadrature, and what a protocol will do."""
