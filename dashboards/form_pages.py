"""Forms of the register as data, and the one way in which all of them are shown and taken.

A form that is refused comes back with everything that was typed, the words beside the field, and
what somebody else changed meanwhile. Works without scripts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from dashboards.forms import refuse_foreign
from dashboards.forms_reader import Fields, FormRefused, Kind
from dashboards.reader import Reader, User
from dashboards.render import request_lang
from dashboards.staff import Desk, desk, enter, number_of, staff_page

OF_A_DESK: Final = frozenset({"duty", "shifts"})
"""Kinds of facts that are of one community's desk."""
MOST_FIELDS: Final = 160
MOST_CHARACTERS: Final = 600
Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Field:
    """One field. `label`: a key of the catalogue below `g.f.`; `kind`: text, tel, date, datetime,
    time, area, select, check, checks or hidden. `options`: (value, key below `g.o.` or the words
    themselves); `hint`: a key below `g.hint.`."""

    name: str
    label: str
    kind: str = "text"
    value: str | Sequence[str] = ""
    options: Sequence[tuple[str, str]] = ()
    hint: str = ""
    needed: bool = False
    most: int = 64
    words: str = ""
    """What stands beside the label: a name, which is in no catalogue."""
    href: str = ""
    first: bool = False
    """Begins a line of its own: a person's fields stand side by side."""


@dataclass(frozen=True)
class Section:
    """Fields that belong together. `title`: a key below `g.s.`."""

    title: str
    fields: Sequence[Field]
    hint: str = ""


@dataclass(frozen=True)
class FormPage:
    """One form. `title`, `submit`: keys below `g.t.`; `crumb`: where it leads back to, a key below
    `g.c.` and what it is filled with; `also`: other forms, (address, key below `g.t.`)."""

    title: str
    crumb: tuple[str, str, Mapping[str, Any]]
    sections: Sequence[Section]
    about: Mapping[str, Any] = field(default_factory=dict)
    submit: str = "save"
    seen: int = 0
    notice: str = ""
    also: Sequence[tuple[str, str]] = ()
    back: str = ""
    """Where a button posts to that ends an absence; empty: nobody is away."""


@dataclass(frozen=True)
class Act:
    """A form at an address. `kind`: what it begins with; `named`: the part of the path that names
    it; `after`: where a taken form leads, by what it is about."""

    path: str
    right: str
    kind: Kind
    act: str
    build: Callable[[Facts], FormPage]
    after: Callable[[int], str]
    named: str = ""
    common: bool = False
    wide: bool = False
    """Not for the account of one building."""
    look: str = ""
    """The right to see the form, where it is another."""


async def read(request: Request) -> Fields:
    """A form as it was sent. Raises 413 where it is larger than any of ours."""
    form = await request.form(max_files=0, max_fields=MOST_FIELDS)
    return {
        key: [v[:MOST_CHARACTERS] for v in form.getlist(key) if isinstance(v, str)] for key in form
    }


def add(routes: APIRouter, reader: Reader, one: Act) -> None:
    """GET and POST of a form."""

    async def desk_of(request: Request, user: User, fields: Fields | None = None) -> Desk:
        if one.kind not in OF_A_DESK:
            return Desk()
        asked = next(iter(fields.get("community", ())), None) if fields is not None else None
        return await desk(reader, request, user, asked)

    async def facts_of(request: Request, user: User, at: Desk) -> tuple[int, Facts]:
        number = number_of(str(request.path_params[one.named])) if one.named else 0
        facts = await reader.form_facts(user, one.kind, number, at.id)
        if facts is None:
            raise HTTPException(404)
        return number, {**facts, "desk": at}

    @routes.get(one.path)
    async def show(request: Request) -> Response:
        user = await enter(reader, request, one.look or one.right, wide=one.wide,
                           common=one.common)  # fmt: skip
        number, facts = await facts_of(request, user, await desk_of(request, user))
        reader.looked(user, "form_looked_at", form=one.act, id=number)
        return form_page(request, user, one, facts)

    @routes.post(one.path)
    async def take(request: Request) -> Response:
        refuse_foreign(request)
        user = await enter(reader, request, one.right, wide=one.wide, common=one.common)
        fields = await read(request)
        at = await desk_of(request, user, fields)
        number, facts = await facts_of(request, user, at)
        try:
            done = await reader.form_act(user, one.act, number, fields, at.id)
        except FormRefused as refused:
            return form_page(request, user, one, facts, fields, refused)
        return RedirectResponse(one.after(done) + at.query, 303)


def add_button(
    routes: APIRouter, reader: Reader, path: str, named: str, act: str,
    after: Callable[[int], str], form: Act,
) -> None:  # fmt: skip
    """POST of a form that is a button alone. A refusal is said on the page of `form`."""

    @routes.post(path)
    async def press(request: Request) -> Response:
        refuse_foreign(request)
        user = await enter(reader, request, "act")
        number = number_of(str(request.path_params[named]))
        fields = await read(request)
        try:
            await reader.form_act(user, act, number, fields)
        except FormRefused as refused:
            facts = await reader.form_facts(user, form.kind, number)
            if facts is None:
                raise HTTPException(404) from refused
            return form_page(request, user, form, facts, None, refused)
        return RedirectResponse(after(number), 303)


def form_page(
    request: Request, user: User, one: Act, facts: Facts, typed: Fields | None = None,
    refused: FormRefused | None = None,
) -> Response:
    """A form, fresh or refused."""
    built, lang = one.build(facts), request_lang(request)
    at = facts.get("desk", Desk())
    errors = {k: w[lang] for k, w in refused.fields.items()} if refused else {}
    known = {f.name for s in built.sections for f in s.fields} | {"reason"}
    shown = {
        "p": built, "action": one.path.format(**request.path_params) + at.query, "desk": at,
        "may": one.right in user.rights,
        "values": {
            f.name: (typed.get(f.name, ()) if f.kind in ("check", "checks")
                     else next(iter(typed.get(f.name, ())), ""))
            if typed is not None else f.value
            for s in built.sections for f in s.fields if f.kind != "check" or typed is not None
        },
        "checked": set(typed.get("remove", ())) if typed is not None else set(),
        "reason": next(iter(typed.get("reason", ())), "") if typed is not None else "",
        "errors": {k: w for k, w in errors.items() if k in known},
        "whole": [w for k, w in errors.items() if k not in known],
        "meanwhile": refused.meanwhile if refused else (),
        "seen": refused.seen if refused and refused.seen is not None
        else next(iter(typed.get("seen", ())), "0") if typed is not None else built.seen,
        "tz": facts["tz"], "now_ms": facts["now_ms"],
    }  # fmt: skip
    status = 200 if refused is None else 409 if refused.meanwhile else 422
    return staff_page(request, "form.html", user, shown, status=status)
