"""The one exception that means 'what you gave cannot be used'."""


class InputError(Exception):
    """A mistake in the input, not in the program.

    The message names the file, row, column or argument and says what to do. The command line prints it
    as one line and exits with code 2; in a notebook it reads as the last line of the traceback.
    """
