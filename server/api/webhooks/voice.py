"""A call's three questions to us: what shall I say, which key was that, and how did it end.

Each answer is one short transaction: the person is waiting with the telephone at their ear.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from twilio.twiml.voice_response import VoiceResponse

from server.api.answers import PROVIDER, fields
from server.api.deps import RuntimeDep
from server.api.webhooks.signed import PREFIX, FormDep, TwiML
from server.api.webhooks.status import MessageId
from server.core import speech
from server.core.messages import Subject, language
from server.service import calls, receipts
from server.service.calls import Said

router = APIRouter(prefix=f"{PREFIX}/voice", tags=["webhooks"], responses=PROVIDER)
FORM = fields({}, {"CallSid": "the call's id with the provider", "AnsweredBy": "who picked up",
                   "Digits": "the key", "CallStatus": "how the call fares",
                   "ErrorCode": "why it failed"})  # fmt: skip
KEY_WITHIN_S = 8
"""So long we wait for a key after the words: spectacles have to be found."""
SAID_TIMES = 2
Turn = Annotated[int, Query(ge=1, le=99, description="which question of this call")]


@router.post("", response_class=TwiML, openapi_extra=FORM)
async def words(runtime: RuntimeDep, form: FormDep, m: MessageId) -> Response:
    """Somebody, or something, picked up: the words of the call. A machine is hung up on."""
    answered_by = form.get("AnsweredBy", "")
    said = await runtime.database.write(
        lambda tx: calls.answered(tx, runtime.house, m, answered_by), urgent=True
    )
    return _twiml(runtime.settings.public_url, said, m, 1)


@router.post("/key", response_class=TwiML, openapi_extra=FORM)
async def key(runtime: RuntimeDep, form: FormDep, m: MessageId, n: Turn) -> Response:
    """A key was pressed. Asked twice, it acts once and says the same."""
    call_id, digits = form.get("CallSid", ""), form.get("Digits", "")
    said = await runtime.database.write(
        lambda tx: calls.pressed(tx, runtime.house, m, call_id, n, digits), urgent=True
    )
    return _twiml(runtime.settings.public_url, said, m, n + 1)


@router.post("/status", status_code=204, openapi_extra=FORM)
async def status(runtime: RuntimeDep, form: FormDep, m: MessageId) -> None:
    """How a call fares: ringing, answered, over; busy, no answer, failed."""
    found = receipts.call_ended(form.get("CallStatus", ""), form.get("AnsweredBy", ""))
    if found is None:
        return
    state, error = found
    error = form.get("ErrorCode") or error
    copy = form.get("CallSid")
    await runtime.database.write(
        lambda tx: receipts.take_delivery(tx, runtime.house, m, state, error, provider_id=copy),
        urgent=True,
    )


def _twiml(public_url: str, said: Said, message_id: int, turn: int) -> Response:
    answer = VoiceResponse()
    lang = language(said.lang)
    voice = {"language": speech.SAY_LANGUAGE[lang]}
    if said.listen:
        gather = answer.gather(
            action=f"{public_url}{PREFIX}/voice/key?m={message_id}&n={turn}",
            num_digits=1, timeout=KEY_WITHIN_S,
        )  # fmt: skip
        gather.say(said.words, loop=SAID_TIMES, **voice)
        answer.say(speech.line(speech.Line.BYE, Subject(building=0), lang), **voice)
    elif said.words:
        answer.say(said.words, **voice)
    answer.hangup()
    return TwiML(str(answer))
