"""The one exception that is the user's to read: scripts print its message and exit with code 2."""


class UserError(Exception):
    """A wrong option, value, file or picture: one message that names it and says what to do.

    Raised anywhere in the package; the entry scripts print the message without a traceback and exit with code 2.
    """
