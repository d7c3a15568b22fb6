"""Putting people behind the targets of a ladder, and taking them off.

A building keeps two stewards and the community somebody on duty: a steward is never just taken
off, but replaced. Each change is in the journal, with who and why.
"""

from dataclasses import dataclass

from server.core.access import EVERYWHERE, Scope
from server.core.words import Role
from server.database import Tx
from server.service import history, notes
from server.service.history import Via
from server.service.refusals import Refused, Unknown
from server.store import assigning, communities, journal, people, rosters, scopes

PLACES = {
    Role.STEWARD: "building_id", Role.SUBSTITUTE: "building_id",
    Role.KEY_HOLDER: "resident_id", Role.BEFRIENDER: "resident_id", Role.FAMILY: "resident_id",
    Role.DUTY: "community_id", Role.STREET: "community_id", Role.DISTRICT: "community_id",
    Role.REHEARSAL: "community_id",
}  # fmt: skip
ROLES = tuple(PLACES)
POSITIONS = (1, 2)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Who shall stand where. `person_id`, or a new contact by name, phone (E.164) and language;
    `building` is a number; `position` 1 or 2 for a steward; `community_id`: of a desk, None means
    the first community's."""

    role: Role
    person_id: int | None = None
    name: str = ""
    phone: str = ""
    lang: str = "zh"
    building: int | None = None
    resident_id: int | None = None
    position: int = 0
    key_place: str = ""
    community_id: int | None = None


def assign(
    tx: Tx, wanted: Wanted, *, who: str, why: str, via: str = Via.API, scope: Scope = EVERYWHERE
) -> int:
    """Put a person behind a target; returns the assignment's id. A steward's place that is taken
    passes to the new one. Raises Unknown or Refused; a refusal names nobody beyond `scope`."""
    if wanted.role not in PLACES:
        raise Refused(f"nobody is put behind {wanted.role}; choose one of {', '.join(ROLES)}",
                      zh="这个角色不能登记。")  # fmt: skip
    place = _place(tx, wanted)
    standing = assigning.behind(tx.conn, wanted.role, place)
    position = 0
    if wanted.role is Role.STEWARD:
        if wanted.position not in POSITIONS:
            raise Refused("a steward has position 1 (the building's head) or 2; send it",
                          zh="楼管员要注明位置:1 为楼长,2 为另一位。")  # fmt: skip
        position = wanted.position
    person_id = _person(tx, wanted, scope)
    taken = next((a for a in standing if a["position"] == position and position), None)
    if any(a["person_id"] == person_id for a in standing):
        if taken is not None and taken["person_id"] == person_id:
            return int(taken["id"])
        raise Refused(f"person {person_id} is {wanted.role} there already",
                      zh="此人已登记为该角色。")  # fmt: skip
    others = {Role(r["role"]) for r in people.roles_of(tx.conn, person_id)}
    if others and (wanted.role is Role.REHEARSAL) != (others == {Role.REHEARSAL}):
        raise Refused("who is on the rehearsal list has no other role, and the other way round: "
                      "take another person or telephone",
                      zh="演练名单上的人不能另有职责,请换一个人或号码。")  # fmt: skip
    ends = [r["absent_until"] for r in people.roles_of(tx.conn, person_id)]
    absent_until = max((end for end in ends if end is not None), default=None)
    if taken is not None:
        assigning.replace(tx.conn, taken["id"], person_id, absent_until)
        _shifts_end(tx, taken["person_id"], wanted.role)
        assignment_id = int(taken["id"])
    else:
        assignment_id = assigning.add(
            tx.conn, person_id=person_id, role=wanted.role.value, position=position,
            key_place="", absent_until=absent_until, **place,
        )  # fmt: skip
        if wanted.role is Role.KEY_HOLDER and wanted.key_place:
            # Sealed for its row, so the row comes first.
            sealed = notes.seal(tx, "assignment.key_place", assignment_id, wanted.key_place)
            assigning.set_key_place(tx.conn, assignment_id, sealed)
    # New at a desk (who stood there already was refused above), and at no other one.
    if wanted.role is Role.DUTY and Role.DUTY not in others:
        rosters.set_shifts(tx.conn, person_id, ())
    _note(tx, "assigned", wanted.role, place, person_id, who, why,
          was=taken["person_id"] if taken else None)  # fmt: skip
    before = history.contact(people.person(tx.conn, taken["person_id"])) if taken else None
    after = history.contact(people.person(tx.conn, person_id))
    _keep(tx, wanted.role, position, place, (before, after), who=who, why=why, via=via)
    return assignment_id


def remove(
    tx: Tx, assignment_id: int, *, who: str, why: str, via: str = Via.API
) -> None:
    """Take a person off a target. Raises Unknown, or Refused where a place would stay empty that
    must not: one of two stewards, the last on duty."""
    row = assigning.by_id(tx.conn, assignment_id)
    if row is None:
        raise Unknown(f"there is no assignment {assignment_id}; look in /api/v1/assignments")
    role = Role(row["role"])
    if role is Role.STEWARD:
        raise Refused("a building keeps two stewards: assign another to this position instead",
                      zh="每栋楼须有两位楼管员,请直接登记接替的人。")  # fmt: skip
    place = {PLACES[role]: int(row[PLACES[role]])}
    if role is Role.DUTY and len(assigning.behind(tx.conn, role, place)) == 1:
        raise Refused("the last one on duty stays: no ladder may end without a human",
                      zh="值班室至少要有一个人,请先登记接替的人。")  # fmt: skip
    assigning.remove(tx.conn, assignment_id)
    _shifts_end(tx, row["person_id"], role)
    _note(tx, "unassigned", role, place, row["person_id"], who, why)
    before = history.contact(people.person(tx.conn, row["person_id"]))
    _keep(tx, role, row["position"], place, (before, None), who=who, why=why, via=via)


def _shifts_end(tx: Tx, person_id: int, left: Role) -> None:
    """Shifts don't outlive the place that they were for: who comes back is always on duty until
    somebody says otherwise. The desk's go with the last desk, a steward's with their last house."""
    kept = {Role(r["role"]) for r in people.roles_of(tx.conn, person_id)} & rosters.WITH_A_ROTA
    if left is Role.DUTY:
        kept &= {Role.DUTY}
    if left in rosters.WITH_A_ROTA and not kept:
        rosters.set_shifts(tx.conn, person_id, ())


def _keep(
    tx: Tx, role: Role, position: int, place: dict[str, int], change: history.Change, **said: str
) -> None:
    ((column, target),) = place.items()
    subject = f"{column.removesuffix('_id')}:{target}"
    history.note(tx, subject, {history.role_field(role, position): change}, **said)


def _place(tx: Tx, wanted: Wanted) -> dict[str, int]:
    column = PLACES[wanted.role]
    if column == "building_id":
        if wanted.building is None or wanted.resident_id is not None:
            raise Refused(f"a {wanted.role} belongs to a building; send its number",
                          zh="请注明楼栋号。")  # fmt: skip
        found = assigning.building_id_of(tx.conn, wanted.building)
        if found is None:
            raise Unknown(f"there is no building {wanted.building}")
        return {column: found}
    if wanted.building is not None:
        raise Refused(f"a {wanted.role} belongs to no building", zh="这个角色不属于楼栋。")
    if column == "resident_id":
        if wanted.resident_id is None:
            raise Refused(f"a {wanted.role} belongs to a resident; send resident_id",
                          zh="请注明住户。")  # fmt: skip
        if people.resident(tx.conn, wanted.resident_id) is None:
            raise Unknown(f"there is no resident {wanted.resident_id}")
        return {column: wanted.resident_id}
    if wanted.resident_id is not None:
        raise Refused(f"{wanted.role} belongs to no resident", zh="这个角色不属于住户。")
    if wanted.community_id is not None:
        community = communities.by_id(tx.conn, wanted.community_id)
        if community is None:
            raise Unknown(f"there is no community {wanted.community_id}")
        return {column: community.id}
    community = communities.first(tx.conn)
    if community is None:
        raise Unknown("the register is empty; load a community first")
    return {column: community.id}


def _person(tx: Tx, wanted: Wanted, scope: Scope) -> int:
    if wanted.person_id is not None:
        if people.has_person(tx.conn, wanted.person_id):
            return wanted.person_id
        raise Unknown(f"there is no person {wanted.person_id}")
    if not wanted.phone or not wanted.name:
        raise Refused("send person_id, or a new contact's name and phone",
                      zh="请选择联系人,或填写姓名和电话。")  # fmt: skip
    known = people.person_by_phone(tx.conn, wanted.phone)
    if known is None:
        return assigning.add_person(tx.conn, wanted.name, wanted.phone, wanted.lang)
    if known["name"] != wanted.name:
        if scopes.beyond(tx.conn, scope, "person_id", str(known["id"])):
            raise Refused("this number is somebody's beyond your houses: ask an account of all "
                          "houses to do it",
                          zh="这个号码已登记给您范围外的人,请让管辖全部楼栋的账号来办。"
                          )  # fmt: skip
        raise Refused(f"this number is person {known['id']}'s; send that person_id",
                      zh="这个号码已登记给另一位联系人。")  # fmt: skip
    return int(known["id"])


def _note(
    tx: Tx, kind: str, role: Role, place: dict[str, int], person_id: int, who: str, why: str,
    **more: int | None,
) -> None:
    door = {}
    if "resident_id" in place and (row := people.resident(tx.conn, place["resident_id"])):
        door = {"building_id": row["building_id"], "flat_id": row["flat_id"]}
    elif "building_id" in place:
        door = {"building_id": place["building_id"]}
    journal.note(
        tx, kind, **door, role=role.value, person_id=person_id,
        resident_id=place.get("resident_id"), by=who, why=why, **more,
    )  # fmt: skip
