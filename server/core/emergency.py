"""The clock of 15 minutes: when the care centre is to call 120 instead of waiting for a neighbour.

Pure. In Guangdan the doctor said that 15 minutes later would have been too late; that clock runs
from the press to a person *at the door*. It prompts a person at the desk, and calls nobody itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.core.alert import Alert
from server.core.messages import Subject, who
from server.core.words import Kind, Role, State, Template

AT_THE_DOOR = timedelta(minutes=15)
"""From the press to a person at the door, at most."""
ANSWERED = timedelta(minutes=8)
"""Nobody has said "I am going" by then: who sets out now is hardly there in time."""
LOOK_AGAIN = timedelta(seconds=60)
"""How often an SOS past its 15 minutes is looked at: whoever was at the door may have left."""


@dataclass(frozen=True, slots=True)
class Emergency:
    """`begins_at`: when the desk is (or was) to call 120 while nothing else happens; None when it
    need not. `look_at`: when to judge again; None when this alert never needs it any more."""

    begins_at: datetime | None
    look_at: datetime | None

    def prompts(self, now: datetime) -> bool:
        """Whether the desk is to call 120 at `now`."""
        return self.begins_at is not None and self.begins_at <= now


def emergency(alert: Alert, now: datetime, *, test: bool = False) -> Emergency:
    """When 120 is to be called for this alert: nobody at the door 15 minutes after the press, or
    nobody on the way after 8; what a press waited for a line counts. A test press and whatever is
    no SOS never ask for it."""
    if alert.kind is not Kind.SOS or test or alert.state is State.RESOLVED:
        return Emergency(None, None)
    pressed_at = alert.pressed_at or alert.opened_at
    if alert.state is State.ON_SCENE:
        return Emergency(None, max(now, pressed_at + AT_THE_DOOR) + LOOK_AGAIN)
    wait = AT_THE_DOOR if alert.responders else ANSWERED
    begins_at = pressed_at + wait
    return Emergency(begins_at, begins_at if now < begins_at else now + LOOK_AGAIN)


def told_to(
    template: Template, role: Role, alert: Alert, now: datetime, *, test: bool
) -> Template:
    """The words for somebody in `role` who is told of `alert` now. The care centre is asked to call
    120 as soon as that is to be done: not every desk has its eyes on the wall. The offices above it
    are not: one call is enough."""
    if (template, role) != (Template.DUTY, Role.DUTY):
        return template
    return Template.CALL_120 if emergency(alert, now, test=test).prompts(now) else template


def street(community: Mapping[str, str], house: Mapping[str, str]) -> dict[str, str]:
    """The address of a house in both languages, each a mapping {zh, en}: its own where it has one,
    else its community's. Where one language is missing the other stands: whoever calls 120 can
    read out something. Empty when nobody has registered any."""
    own = house if any(house.values()) else community
    return {"zh": own["zh"] or own["en"], "en": own["en"] or own["zh"]}


def read_out(
    subject: Subject, community: str, address: Mapping[str, str], *, fall: bool = False
) -> dict[str, str]:
    """What whoever calls 120 reads out, in both languages, largest first: the address in the city,
    the house and the door, then who needs help. `address`: of `street`. No name."""
    floor, label = subject.floor, subject.label
    zh = [
        address["zh"], "" if community in address["zh"] else community,
        f"{subject.building}栋{floor}楼{label}", who(subject, "zh"), "跌倒" if fall else "",
    ]  # fmt: skip
    en = [
        address["en"] or community, f"building {subject.building}",
        f"floor {floor}", f"flat {label}", who(subject, "en"), "a fall" if fall else "",
    ]  # fmt: skip
    return {
        "zh": ",".join(part for part in zh if part),
        "en": ", ".join(part for part in en if part),
    }
