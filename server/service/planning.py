"""The community's rounds as staff edit them."""

from collections.abc import Sequence

from server.core import rounds
from server.database import Tx
from server.service.refusals import Refused
from server.store import journal, people


def set_rounds(tx: Tx, plans: Sequence[rounds.Plan], *, who: str, why: str) -> None:
    """Watch by these rounds from now on; everybody's next deadline is planned anew, in bulk.

    Whoever has missed a round already stays missed. Raises Refused when the plans clash, leave a
    class without a round, or there is no community.
    """
    community = people.community(tx.conn)
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
    people.set_plans(tx.conn, community.id, kept)
    for risk_class in sorted(rounds.CLASSES):
        own = rounds.owed_by(kept, risk_class)
        next_ = rounds.current(own, community.zone, tx.now)
        following = rounds.next_deadline(own, community.zone, next_.deadline)
        people.plan_anew(tx.conn, risk_class, tx.now, next_, following)
    journal.note(
        tx, "rounds_set", rounds=[people.plan_to_json(p) for p in kept], by=who, why=why
    )
