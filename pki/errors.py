"""The one error this package raises for what the world got wrong."""


class PkiError(Exception):
    """Something on disk prevents a sound set of certificates; says what, and what to do about it.

    `cause` and `remedy` are one clause each, without a final stop. Neither ever holds key material.
    """

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(f"{cause}; {remedy}")
        self.cause = cause
        self.remedy = remedy
