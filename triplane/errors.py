"""What an operator is told when a command cannot do its work: one line, cause and remedy."""


class CommandError(Exception):
    """The command failed for a reason outside this program; exit code 1.

    `cause` and `remedy` are one clause each, without a final stop.
    """

    exit_code = 1

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}; {remedy}")
        self.cause = cause
        self.remedy = remedy


class UsageError(CommandError):
    """What was asked makes no sense, whatever the state of the machine; exit code 2."""

    exit_code = 2
