"""A community's rounds as staff edit them."""

from collections.abc import Sequence

from sqlalchemy import Connection

from server.core import rounds
from server.database import Tx
from server.service.refusals import Refused, Unknown
from server.store import communities, journal, people
from server.store.communities import CommunityFacts


def set_rounds(
    tx: Tx, plans: Sequence[rounds.Plan], *, who: str, why: str, community_id: int | None = None
) -> None:
    """Watch a community (None: the first) by these rounds from now on; the next deadline of
    everybody in its houses is planned anew, in bulk.

    Whoever has missed a round already stays missed. Raises Refused when the plans clash or leave a
    class without a round, where there is no community at all; Unknown where there is not this one.
    """
    community = of(tx.conn, community_id)
    if community is None and community_id is not None:
        raise Unknown(f"there is no community {community_id}")
    if community is None:
        raise Refused("the register is empty; load a community first", zh="登记为空,请先导入社区。")
    kept: tuple[rounds.Plan, ...] = ()
    for plan in plans:
        if (problem := rounds.clash(kept, plan)) is not None:
            raise Refused(problem, zh=f"“{plan.name}”与另一轮重名或同一时间截止,请修改。")
        kept = (*kept, plan)
    if forgotten := sorted(rounds.CLASSES.difference(*(p.classes for p in kept))):
        listed = ", ".join(forgotten)
        raise Refused(f"class {listed} would owe no round at all; name it in one",
                      zh=f"{listed}类没有任何一轮要报平安,请至少安排一轮。")  # fmt: skip
    communities.set_plans(tx.conn, community.id, kept)
    for risk_class in sorted(rounds.CLASSES):
        own = rounds.owed_by(kept, risk_class)
        next_ = rounds.current(own, community.zone, tx.now)
        following = rounds.next_deadline(own, community.zone, next_.deadline)
        people.plan_anew(tx.conn, community.id, risk_class, tx.now, next_, following)
    journal.note(
        tx, "rounds_set", rounds=[communities.plan_to_json(p) for p in kept], by=who, why=why,
        **_named(community),
    )  # fmt: skip


def of(conn: Connection, community_id: int | None) -> CommunityFacts | None:
    """The community whose rounds are meant: None means the first."""
    if community_id is None:
        return communities.first(conn)
    return communities.by_id(conn, community_id)


def _named(community: CommunityFacts) -> dict[str, str]:
    """What the journal says of it, so that one community's rounds are told from another's."""
    return {"community": community.name} if community.series else {}
