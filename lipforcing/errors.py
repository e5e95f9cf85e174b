"""The one exception type for problems a user can cause and fix."""


class InputError(ValueError):
    """Something is wrong with what the user gave.

    The message is one sentence that names the input, says what was found and what to do about it. The command line
    prints it and exits with code 2; nodes show it as the node's error.
    """


class NoFaceError(InputError):
    """No frame shows a face; whoever asked knows what else could have been said of where it is."""
