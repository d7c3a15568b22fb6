"""Claims about the two names of a handover."""

import pytest

from server.core.handover import Flaw, Names, names


@pytest.mark.parametrize(
    ("outgoing", "incoming", "expected"),
    [
        ("周明", "李文静", Names("周明", "李文静")),
        ("  Zhou  Ming ", "Li", Names("Zhou Ming", "Li")),
        ("", "李文静", "no_outgoing"),
        ("   ", "李文静", "no_outgoing"),
        ("周明", "", "no_incoming"),
        ("周明", " 周明", "same_person"),
        ("Zhou Ming", "zhou  ming", "same_person"),
        ("周" * 41, "李文静", "name_too_long"),
        ("周明", "李" * 41, "name_too_long"),
        ("周" * 40, "李" * 40, Names("周" * 40, "李" * 40)),
    ],
)
def test_a_handover_has_two_names(outgoing: str, incoming: str, expected: Names | Flaw) -> None:
    """Tidied where there are two people, refused with a reason where there are not."""
    assert names(outgoing, incoming) == expected
