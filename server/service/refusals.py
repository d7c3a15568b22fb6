"""Why a person's wish can't be done, in words that say what to do instead."""


class Refused(Exception):
    """The act is not possible; the words say why and what to do instead: in English for programs
    (`str`), and in both languages for whoever reads them on a page."""

    def __init__(self, en: str, *, zh: str) -> None:
        super().__init__(en)
        self.words = {"zh": zh, "en": en}


class Beyond(Refused):
    """The act is for an account of more houses; the words say whom to ask."""


class Unknown(Exception):
    """There is no such alert, person or resident."""
