"""The SMS words where nobody can answer an SMS and no link gets through (mainland China): the same
catalogue as texts.py, for those templates that ask for a reply or carry a link there.

{call} says that a call comes (left out where none can), {phone} is the duty telephone. The other
fields are those of texts.py.
"""

from collections.abc import Mapping

from server.core.words import Template

Wordings = tuple[str, ...]

ZH: Mapping[Template, Wordings] = {
    Template.SOS: (
        "【巡楼】{place}求助!{who}。{call},或致电{phone}。代码{code}",
        "【巡楼】{place}求助!{call},或致电{phone}。代码{code}",
        "【巡楼】{place}求助!{who}。{call}。代码{code}",
        "【巡楼】{place}求助!{who}。您去请致电{phone}。代码{code}",
        "【巡楼】{place}求助!请速去。代码{code}",
    ),
    Template.FALL: (
        "【巡楼】{place}跌倒报警!{who}。{call},或致电{phone}。代码{code}",
        "【巡楼】{place}跌倒!{call},或致电{phone}。代码{code}",
        "【巡楼】{place}跌倒报警!{who}。{call}。代码{code}",
        "【巡楼】{place}跌倒报警!{who}。您去请致电{phone}。代码{code}",
        "【巡楼】{place}跌倒!请速去。代码{code}",
    ),
    Template.DUTY: (
        "【巡楼】{place}求助{min}分钟,尚未了结!{who}。{call}。代码{code}",
        "【巡楼】{place}求助{min}分钟,尚未了结!{who}。请在值班屏接手。代码{code}",
        "【巡楼】{place}求助未了结!请在值班屏接手。代码{code}",
    ),
    Template.CALL_120: (
        "【巡楼】请打120!{place}求助{min}分钟,没人到门口。{who}。代码{code}",
        "【巡楼】请打120!{place}求助{min}分钟。代码{code}",
        "【巡楼】请打120!{place}求助。代码{code}",
    ),
    Template.MISSED: (
        "【巡楼】{building}未报平安{count}户:{labels}。请巡楼。{call}。代码{code}",
        "【巡楼】{building}未报平安{count}户。请巡楼。{call}。代码{code}",
        "【巡楼】{building}未报平安{count}户:{labels}。请巡楼,看过致电{phone}。代码{code}",
        "【巡楼】{building}未报平安{count}户。请巡楼。代码{code}",
    ),
    Template.CONFIRM: (
        "已记您前往{place}。到了、平安请致电{phone}。代码{code}",
        "已记您前往{place}。代码{code}",
    ),
    Template.CONFIRM_MISSED: (
        "已记您去{building}巡看。看完请致电{phone}。代码{code}",
        "已记您去{building}巡看。代码{code}",
    ),
    Template.OTHER_GOES: (
        "【巡楼】{about}已前往{place}。您也可同去。代码{code}",
        "【巡楼】有人已前往{place}。代码{code}",
    ),
    Template.LAPSED: (
        "【巡楼】还没收到您到{place}的消息,已另叫人。请致电{phone}。代码{code}",
        "【巡楼】还没收到您到{place}的消息,已另叫人。代码{code}",
        "【巡楼】没收到您到{place}的消息。代码{code}",
    ),
    Template.WHICH: (
        "这里收不到短信回复。您有{count}件未了结,请致电{phone}。",
        "这里收不到短信回复。您有{count}件未了结,请接来电按键。",
    ),
    Template.NOT_UNDERSTOOD: (
        "这里收不到短信回复,请致电{phone}。急事请打120。",
        "这里收不到短信回复,请接来电按键。急事请打120。",
    ),
}

EN: Mapping[Template, Wordings] = {
    Template.SOS: (
        "Xunlou: SOS at {place}! {who}. {call}, or phone {phone}. code {code}",
        "Xunlou: SOS at {place}! {call}, or phone {phone}. code {code}",
        "Xunlou: SOS at {place}! {who}. {call}. code {code}",
        "Xunlou: SOS at {place}! {who}. To go, phone {phone}. code {code}",
        "Xunlou: SOS at {place}! Please go at once. code {code}",
    ),
    Template.FALL: (
        "Xunlou: FALL at {place}! {who}. {call}, or phone {phone}. code {code}",
        "Xunlou: FALL at {place}! {call}, or phone {phone}. code {code}",
        "Xunlou: FALL at {place}! {who}. {call}. code {code}",
        "Xunlou: FALL at {place}! {who}. To go, phone {phone}. code {code}",
        "Xunlou: FALL at {place}! Please go at once. code {code}",
    ),
    Template.DUTY: (
        "Xunlou: SOS at {place}, open for {min} min! {who}. {call}. code {code}",
        "Xunlou: SOS at {place}, open for {min} min! {who}. Take it on the wall. code {code}",
        "Xunlou: SOS at {place} still open! Take it on the wall. code {code}",
    ),
    Template.CALL_120: (
        "Xunlou: CALL 120! SOS at {place}, {min} min and nobody at the door. {who}. code {code}",
        "Xunlou: CALL 120! SOS at {place}, {min} min. code {code}",
        "Xunlou CALL 120: {place}. code {code}",
    ),
    Template.MISSED: (
        "Xunlou: {building}: {count} without a check-in: {labels}. Please look on your round. "
        "{call}. code {code}",
        "Xunlou: {building}: {count} without a check-in. Please look. {call}. code {code}",
        "Xunlou: {building}: {count} without a check-in: {labels}. Please look, then phone "
        "{phone}. code {code}",
        "Xunlou: {building}: {count} without a check-in. Please look. code {code}",
    ),
    Template.CONFIRM: (
        "Noted: you go to {place}. There, and when safe, phone {phone}. code {code}",
        "Noted: you go to {place}. code {code}",
    ),
    Template.CONFIRM_MISSED: (
        "Noted: you look round {building}. When done, phone {phone}. code {code}",
        "Noted: you look round {building}. code {code}",
    ),
    Template.OTHER_GOES: (
        "Xunlou: {about} is going to {place}. You may go too. code {code}",
        "Xunlou: somebody is going to {place}. code {code}",
    ),
    Template.LAPSED: (
        "Xunlou: no word from you at {place}; others are called. Phone {phone}. code {code}",
        "Xunlou: no word from you at {place}; others are called. code {code}",
    ),
    Template.WHICH: (
        "SMS can't be answered here. {count} are open: please phone {phone}.",
        "SMS can't be answered here. {count} are open: please take the call.",
    ),
    Template.NOT_UNDERSTOOD: (
        "SMS can't be answered here: please phone {phone}. Emergency: call 120.",
        "SMS can't be answered here: please take the call. Emergency: call 120.",
    ),
}

CATALOGUE: Mapping[str, Mapping[Template, Wordings]] = {"zh": ZH, "en": EN}
CALL: Mapping[str, str] = {
    "zh": "即将来电,按1=我去", "en": "A call comes: press 1 = I am going",
}  # fmt: skip
