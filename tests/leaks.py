"""What may never stand in a log, a metric, a URL or an error: everybody of the sample, searched."""

import re

from xunlou.community import Community

HEALTH = "易跌倒"
"""The one health note of the sample (xunlou/seed.py)."""


def personal(community: Community) -> set[str]:
    """Names, numbers and ways in of everybody in the register. Numbers without the plus, which is
    written in several ways."""
    people = [*community.duty, *community.street, *community.district]
    found: set[str] = set()
    for building in community.buildings:
        people += [steward.person for steward in building.stewards] + [building.substitute]
        for flat in building.flats:
            resident = flat.resident
            if resident is None:
                continue
            found |= {resident.name, resident.access_notes}
            if resident.health_flag:
                found.add(HEALTH)
            people += [p for p in (resident.befriender, resident.family) if p is not None]
            if resident.key_holder is not None:
                people.append(resident.key_holder.person)
                found.add(resident.key_holder.key_where)
    found |= {p.name for p in people} | {p.phone.lstrip("+") for p in people}
    return found - {""}


def leaks(text: str, community: Community) -> list[str]:
    """Which of them stand in the text, each with what is around it."""
    if not (some := [word for word in personal(community) if word in text]):
        return []
    return [text[max(0, m.start() - 80) : m.end() + 40] for w in some
            for m in list(re.finditer(re.escape(w), text))[:1]]  # fmt: skip
