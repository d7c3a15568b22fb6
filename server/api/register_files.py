"""The register as a file: taken in (compared first), and given out.

No reason stands in an address, which ends up in logs: it comes in the body, or where the body is
the file, in a header.
"""

import asyncio
import base64
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from server.api.answers import STAFF
from server.api.changing import change
from server.api.deps import Principal, RuntimeDep, needs
from server.core.access import EVERYWHERE, Right, Scope
from server.core.columns import Sheet
from server.runtime import Runtime
from server.service.refusals import Refused
from server.service.register import exporting
from server.service.register.importing import Import
from server.service.register.words import reason
from server.sheets.reading import Table, Unreadable
from server.sheets.writing import as_csv, as_xlsx

router = APIRouter(prefix="/api/v1", tags=["register"], responses=STAFF)
Json = dict[str, Any]
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MOST_SHOWN = 1000
FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The file itself: CSV (UTF-8 or GB18030) or XLSX; at most 16 MiB",
        "content": {"application/octet-stream": {"schema": {"type": "string",
                                                            "format": "binary"}}},
    }
}  # fmt: skip
GIVEN: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": {
        kind: {"schema": {"type": "string", "format": "binary"}} for kind in (XLSX, "text/csv")
    }}
}  # fmt: skip
Lang = Literal["zh", "en"]
REASON = "X-Reason"
"""The header that says why, where the body is the file. Headers hold ASCII alone."""
WideDep = Annotated[Principal, Depends(needs(Right.REGISTER, wide=True))]
"""What is given out names the asker's houses alone, and the offices above them; a row that is
brought in about any other is refused (service/register/importing.py)."""


def said(header: str) -> str:
    """The reason that a header carries, on one line."""
    words = " ".join(unquote(header, errors="replace").split())
    return "".join(c for c in words if c.isprintable())[:200]


async def take(
    runtime: Runtime, content: bytes, *, dry_run: bool, who: str, why: str, via: str,
    scope: Scope = EVERYWHERE,
) -> Import:
    """Compare a file with the register or take it, lot by lot, as somebody with this scope.
    Raises Unreadable."""
    file = await asyncio.to_thread(Import.of, content, scope)
    if dry_run:
        now, opener = runtime.clock.now(), runtime.database.vault.open
        await runtime.database.read(lambda c: file.dry_run(c, now, opener))
        return file
    for lot in file.lots():
        try:
            planner = await runtime.database.write(
                lambda tx, lot=lot: file.take(tx, lot, who=who, why=why, via=via)  # type: ignore[misc]
            )
        except Refused as error:  # there is no key for its notes
            raise Unreadable(str(error), zh=error.words["zh"]) from error
        file.taken(planner)
    return file


def report(file: Import, lang: str) -> Json:
    """What became of a file, or would: counts, reasons by line and column, and the difference."""
    def told(problems: list[Any]) -> list[Json]:
        return [
            {"line": p.line, "column": p.column, "why": p.why.value, "reason": reason(p, lang)}
            for p in problems[:MOST_SHOWN]
        ]  # fmt: skip

    return {
        "counts": {k: file.counts[k] for k in ("added", "changed", "left", "rejected")},
        "problems": told(file.problems), "problems_all": len(file.problems),
        "notes": told(file.notes),
        "changes": [
            {"line": c.line, "about": c.title, "what": c.what,
             "fields": {k: {"before": v[0], "after": v[1]} for k, v in c.fields.items()}}
            for c in file.changes[:MOST_SHOWN]
        ],
        "changes_all": len(file.changes),
    }  # fmt: skip


@router.post("/register/import", openapi_extra=FILE)
async def import_file(
    request: Request,
    runtime: RuntimeDep,
    staff: WideDep,
    dry_run: Annotated[bool, Query(description="compare only, write nothing")] = True,
    why: Annotated[str, Header(alias=REASON, max_length=2000, description="why the register is "
                               "changed: UTF-8, percent-encoded; up to 200 characters")] = "",
    lang: Lang = "zh",
    rejected: Annotated[bool, Query(description="with the rejected rows, base64 XLSX")] = False,
) -> Json:
    """Compare a file with the register, or (`dry_run=false`) take it. A bad row stops nothing;
    each is told with line, column and reason. Again is as good as once."""
    if "reason" in request.query_params:
        raise HTTPException(422, f"send the reason in the header {REASON} (percent-encoded): an "
                                 "address ends up in logs")  # fmt: skip
    content = await request.body()
    try:
        file = await take(
            runtime, content, dry_run=dry_run, who=staff.name, why=said(why), via="api",
            scope=staff.scope,
        )
    except Unreadable as error:
        raise HTTPException(422, error.words[lang]) from error
    if dry_run:  # what is taken is journalled; what is compared shows whom it would change
        runtime.saw(staff.name, "register_compared")
    told = {"dry_run": dry_run, **report(file, lang)}
    if rejected:
        book = await asyncio.to_thread(file.rejected, lang)
        told["rejected_xlsx"] = base64.b64encode(book).decode() if book else None
    return told


async def give(
    runtime: Runtime, staff: Principal, form: str, *, sheet: Sheet, lang: str, secrets: bool,
    why: str,
) -> Response:
    """The register as a file of that form: one table as CSV, all of them as XLSX."""
    found: list[Table] = await change(
        runtime,
        lambda tx: exporting.export(tx, lang=lang, secrets=secrets, who=staff.name, why=why,
                                    scope=staff.scope),
    )
    if form == "xlsx":
        body, kind, name = await asyncio.to_thread(as_xlsx, found), XLSX, "register.xlsx"
    else:
        table = found[(Sheet.BUILDINGS, Sheet.OFFICES, Sheet.RESIDENTS).index(sheet)]
        body = as_csv(table.headings, [row for _, row in table.rows])
        kind, name = "text/csv; charset=utf-8", f"{sheet.value}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"',
               "Cache-Control": "no-store"}  # fmt: skip
    return Response(body, media_type=kind, headers=headers)


class Wanted(BaseModel):
    """Which file. `secrets`: access and health notes too; needs a `reason`."""

    model_config = ConfigDict(extra="forbid")
    format: Literal["xlsx", "csv"] = "xlsx"
    sheet: Sheet = Sheet.RESIDENTS
    lang: Lang = "zh"
    secrets: bool = False
    reason: Annotated[str, Field(max_length=200)] = ""


@router.post("/register/export", response_class=Response, responses=GIVEN)
async def export_file(wanted: Wanted, runtime: RuntimeDep, staff: WideDep) -> Response:
    """The register of the account's houses, as an import reads it; in the journal."""
    if wanted.secrets and Right.ACCESS not in staff.rights:
        raise HTTPException(403, "access and health notes need the right 'access'")
    return await give(
        runtime, staff, wanted.format, sheet=wanted.sheet, lang=wanted.lang,
        secrets=wanted.secrets, why=wanted.reason,
    )
