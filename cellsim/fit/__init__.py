"""Transport sets from measurements: parameters, likelihood, estimate, what is not identified, and experiment design.

The way of a fit: `recipe` reads its file; `problem` makes of parameters whitened residuals; `estimate` finds the best
point; `likelihood_profile`, `posterior` and `checks` say what it is worth; `report` writes it down.
`rivals` asks which of several sets is right, `bands` what a set's uncertainty does to a prediction, and
`design` which experiment would tell more.
"""
