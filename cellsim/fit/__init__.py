"""Transport sets from measurements: parameters, likelihood, estimate, what is not identified, and experiment design.

The way of a fit: `recipe` reads its file; `problem` makes of parameters whitened residuals; `estimate` finds the best
point; `identifiability`, `likelihood_profile` and `posterior` say what it is worth; `result` writes the set.
"""
