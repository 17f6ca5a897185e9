"""The exception that means 'what you gave cannot be used', and the one that means 'asked to end, and saved'."""


class InputError(Exception):
    """A mistake in the input, not in the program.

    The message names the file, row, column or argument and says what to do. The command line prints it
    as one line and exits with code 2; in a notebook it reads as the last line of the traceback.
    """


class Preempted(KeyboardInterrupt):
    """The machine asked for the end (SIGTERM) and all that was done is saved. The command line exits with code 0."""
