"""The errors a user can meet. Each carries one sentence: what, which value, what is allowed, what to do."""


class CellsimError(Exception):
    """Base of all errors raised on purpose by cellsim and mdcoeffs."""


class InputError(CellsimError):
    """Bad input, found before any work is done (exit code 2)."""


class RangeError(CellsimError):
    """A property was asked for outside its range of validity.

    Attributes
    ----------
    variable : str
        The range variable, ``"c"``, ``"m"`` or ``"r"``.
    value : float
        The offending value [SI].
    """

    def __init__(self, message: str, variable: str = "c", value: float = float("nan")) -> None:
        super().__init__(message)
        self.variable = variable
        self.value = value


class ConvergenceError(CellsimError):
    """A numerical method did not converge; the message says where and what to try."""
