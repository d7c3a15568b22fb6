"""The register as a file: compared, then taken; and given out.

The file is not kept between comparing and taking: it comes back with the form, so that no copy of
names and addresses lies about, and any server can go on. Works without scripts.
"""

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from dashboards.forms import refuse_foreign
from dashboards.reader import Reader, User
from dashboards.register_reader import FileRefused
from dashboards.render import request_lang
from dashboards.staff import enter, for_staff, staff_page

MOST_BYTES: Final = 16 * 1024 * 1024
MOST_LISTED: Final = 200
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def packed(content: bytes) -> str:
    """A file as a hidden field carries it."""
    return base64.b64encode(zlib.compress(content)).decode()


def unpacked(field: str) -> bytes | None:
    """The inverse of `packed`; None for what we never wrote."""
    try:
        unpack = zlib.decompressobj()
        content = unpack.decompress(base64.b64decode(field, validate=True), MOST_BYTES)
    except (binascii.Error, ValueError, zlib.error):
        return None
    return content if content and not unpack.unconsumed_tail else None


def router(reader: Reader) -> APIRouter:
    """GET /register; POST /register/import, /register/apply, /register/rejected and /export."""
    routes = APIRouter(include_in_schema=False)

    async def acting(request: Request) -> User:
        """Who sent this form, checked before the file is read."""
        refuse_foreign(request)
        return await enter(reader, request, "register", wide=True)

    async def compared(
        request: Request, user: User, content: bytes, *, apply: bool
    ) -> Response:
        lang = request_lang(request)
        try:
            found = await reader.register_import(user, content, lang, apply=apply)
        except FileRefused as refused:
            return start(request, user, None, 422, refused.words[lang])
        facts = {"found": found, "applied": apply, "packed": packed(content),
                 "most": MOST_LISTED}  # fmt: skip
        return staff_page(request, "register_import.html", user, facts)

    @routes.get("/register")
    async def page(request: Request) -> Response:
        async def answer(user: User) -> Response:
            return start(request, user, places=await reader.communities(user))

        return await for_staff(reader, request, answer, "register")

    @routes.post("/register/import")
    async def compare(request: Request) -> Response:
        user = await acting(request)
        form = await request.form(max_files=1, max_fields=4)
        file = form.get("file")
        content = await file.read() if isinstance(file, UploadFile) else b""
        if not content:
            return start(request, user, "no_file", 422)
        return await compared(request, user, content, apply=False)

    async def carried(request: Request) -> tuple[User, bytes | None]:
        user = await acting(request)
        form = await request.form(max_files=0, max_fields=4, max_part_size=MOST_BYTES * 2)
        field = form.get("packed")
        return user, unpacked(field) if isinstance(field, str) else None

    @routes.post("/register/apply")
    async def take(request: Request) -> Response:
        user, content = await carried(request)
        if content is None:
            return start(request, user, "expired", 422)
        return await compared(request, user, content, apply=True)

    @routes.post("/register/rejected")
    async def rejected(request: Request) -> Response:
        user, content = await carried(request)
        if content is None:
            return start(request, user, "expired", 422)
        lang = request_lang(request)
        try:
            book = await reader.register_rejected(user, content, lang)
        except FileRefused as refused:
            return start(request, user, None, 422, refused.words[lang])
        if book is None:
            raise HTTPException(404)
        return _file(book, "rejected.xlsx")

    @routes.post("/register/export")
    async def give(request: Request) -> Response:
        user = await acting(request)
        form = await request.form(max_files=0, max_fields=4)
        lang, reason = request_lang(request), form.get("reason", "")
        try:
            book = await reader.register_export(
                user, lang, secrets=form.get("secrets") == "yes",
                reason=reason if isinstance(reason, str) else "",
            )  # fmt: skip
        except FileRefused as refused:
            return start(request, user, None, 422, refused.words[lang])
        return _file(book, "register.xlsx")

    return routes


def start(
    request: Request, user: User, failure: str | None = None, status: int = 200,
    refused: str | None = None, places: Mapping[str, Any] | None = None,
) -> Response:
    """The page with both forms. `failure`: a word of the catalogue (`f.failure.…`); `refused`:
    the server's own words in the page's language; `places`: see RegisterReader.communities."""
    facts: dict[str, Any] = {"failure": failure, "refused": refused, "places": places}
    return staff_page(request, "register_files.html", user, facts, status=status)


def _file(book: bytes, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"',
               "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}  # fmt: skip
    return Response(book, media_type=XLSX, headers=headers)
