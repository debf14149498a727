"""The errors a user can meet. Each carries one sentence: what, which value, what is allowed, what to do."""

import errno
import re

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Of a disk that takes no more: no fault of a file that is read at the time."""
LONGEST_MESSAGE, LONGEST_WORD, LONGEST_VALUE = 1200, 300, 120
"""Characters of a message, of a word in it (a path, say) and of a value shown in one: a sentence that echoes a whole
file tells nobody anything."""


class CellsimError(Exception):
    """Base of all errors raised on purpose by cellsim and mdcoeffs."""

    def __str__(self) -> str:
        """The message, its middle left out where it is longer than anybody reads."""
        text = shortened(super().__str__(), 20 * LONGEST_MESSAGE)
        return shortened(
            re.sub(rf"\S{{{LONGEST_WORD},}}", lambda word: shortened(word.group(), LONGEST_VALUE), text),
            LONGEST_MESSAGE,
        )


def shortened(text: str, longest: int) -> str:
    """A text of at most `longest` characters; what a longer one loses is its middle."""
    if len(text) <= longest:
        return text
    left_out = f" ... ({len(text)} characters) ... "
    kept = longest - len(left_out)
    return text[: kept - kept // 3] + left_out + text[len(text) - kept // 3 :]


def shown(value: object) -> str:
    """A value as a message shows it: as Python writes it, and never long."""
    try:
        return shortened(repr(value), LONGEST_VALUE)
    except (ValueError, RecursionError):  # Python writes no integer of more than 4300 digits
        return f"a {type(value).__name__} too long to be written here"


def interrupted(error: BaseException | None) -> bool:
    """Whether an error is Ctrl-C; out of numba's code it mostly comes as a SystemError that it caused (25 of 30)."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__
    return error is not None


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
