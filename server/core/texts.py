"""The catalogue of SMS words, zh-CN first. Each entry lists its wordings from fullest to shortest;
the first that fits one segment is sent (server/core/messages.py). The last must always fit.

In Chinese a link takes half of a segment: the wordings with one come first, leave to the page what
the page says (age, living situation), and fit where XUNLOU_LINK_URL is short. The digits to answer
with are in every one of them, for telephones that open no page.

Fields: {place} address, {building}, {who} age and living situation, {code}, {about}, {link},
{count}, {labels}, {well} flats that checked in, {wells} how many, {min} minutes waited. No health
or access data may ever be a field here.
"""

from collections.abc import Mapping

from server.core.words import Outcome, Template

Wordings = tuple[str, ...]

ZH: Mapping[Template, Wordings] = {
    Template.SOS: (
        "【巡楼】{place}求助!回1去0不去。代码{code} {link}",
        "【巡楼】{place}求助!1去0不去,码{code} {link}",
        "【巡楼】{place}求助!{who}。回1=我去,0=去不了。代码{code}",
        "【巡楼】{place}求助!回1=我去。代码{code}",
    ),
    Template.FALL: (
        "【巡楼】{place}跌倒!回1去0不去。代码{code} {link}",
        "【巡楼】{place}跌倒!1去0不去,码{code} {link}",
        "【巡楼】{place}跌倒报警!{who}。回1=我去,0=去不了。代码{code}",
        "【巡楼】{place}跌倒!回1=我去。代码{code}",
    ),
    Template.DUTY: (
        "【巡楼】{place}求助{min}分钟,尚未了结!{who}。回1=接手。代码{code}",
        "【巡楼】{place}求助未了结!回1=接手。代码{code}",
    ),
    Template.CALL_120: (
        "【巡楼】请打120!{place}求助{min}分钟,没人到门口。{who}。回1=接手。代码{code}",
        "【巡楼】请打120!{place}求助{min}分钟。回1=接手。代码{code}",
        "【巡楼】请打120!{place}求助。代码{code}",
    ),
    Template.MISSED: (
        "【巡楼】{building}未报:{labels}。回1去。代码{code} {link}",
        "【巡楼】{building}未报平安{count}户:{labels}。请巡楼时看看。回1=我去。代码{code}",
        "【巡楼】{building}未报平安{count}户。请巡楼。回1=我去。代码{code}",
    ),
    Template.CONFIRM: (
        "已记您去{place}。到了回2,平安回3。进门:{link}",
        "已记您前往{place}。到门口回2。进门:{link}",
        "已记您去{place}。进门:{link}",
        "已记您前往{place}。到门口回2,平安回3。代码{code}",
    ),
    Template.CONFIRM_MISSED: (
        "已记您去{building}:{labels}。都平安回3。{link}",
        "已记您去{building}巡看。都平安回3。代码{code}。名单:{link}",
        "已记您去{building}巡看。名单:{link}",
        "已记您去{building}巡看。都平安回3。代码{code}",
    ),
    Template.OTHER_GOES: (
        "【巡楼】{about}已前往{place}。您也可同去,回1。代码{code}",
        "【巡楼】有人已前往{place}。代码{code}",
    ),
    Template.CANCELLED: ("【巡楼】{place}住户按了取消。仍请去看看。代码{code}",),
    Template.AGAIN: ("【巡楼】{place}又按了求助!代码{code}",),
    Template.LAPSED: (
        "【巡楼】还没收到您到{place}的消息,已另叫人。到了回2,去不了回0。代码{code}",
        "【巡楼】没收到您到{place}的消息。到了回2。代码{code}",
    ),
    Template.CLOSED: ("【巡楼】{place}已了结:{about}。谢谢您!代码{code}",),
    Template.CHECKED_IN: ("【巡楼】{place} {about}已报平安,不用去了。代码{code}",),
    Template.FEWER: (
        "【巡楼】{building}{well}已报平安,不用去了。还剩{count}户:{labels}。代码{code}",
        "【巡楼】{building}{wells}户已报平安,还剩{count}户:{labels}。代码{code}",
        "【巡楼】{building}{wells}户已报平安,还剩{count}户。代码{code}",
    ),
    Template.WHICH: ("您有{count}件未了结:{labels}。请回1加代码,如“1 {code}”",
                     "您有{count}件未了结。请回1加代码,如“1 {code}”"),
    Template.OLD_CODE: ("这个代码的事已了结,不用再去。有新事会另发给您。",),
    Template.NOT_UNDERSTOOD: ("没看懂。1=我去 2=到门口 3=平安 0=去不了。急事请打120。",),
    Template.NOTHING_OPEN: ("现在没有等您处理的事。谢谢您!",),
    Template.ROUND_REPORTED: ("{labels}巡楼已记下。辛苦了,谢谢您!", "巡楼已记下。辛苦了,谢谢您!"),
    Template.REQUEST_NOTED: ("{building}的事已登记,值班室会安排。急事请按报警键或打120。",),
    Template.BLIND: (
        "【巡楼】全社区:{min}分钟收不到终端信号({about})。求助可能到不了,请按名单打电话并看值班屏。",
        "【巡楼】全社区:{min}分钟收不到终端信号。求助可能到不了,请打电话核实。",
    ),
    Template.PARTNER_UNREACHABLE: (
        "【巡楼】{building}:我们的短信到不了{about}的手机,请转告。值班员已知道。",
        "【巡楼】{building}:我们的短信到不了另一位楼管员,请转告。值班员已知道。",
    ),
}

EN: Mapping[Template, Wordings] = {
    Template.SOS: (
        "Xunlou: SOS at {place}! {who}. Reply 1 = I am going, 0 = I can't. code {code} {link}",
        "Xunlou: SOS at {place}! {who}. Reply 1 = I am going, 0 = I can't. code {code}",
        "Xunlou: SOS at {place}! Reply 1 = I am going. code {code}",
    ),
    Template.FALL: (
        "Xunlou: FALL at {place}! {who}. Reply 1 = I am going, 0 = I can't. code {code} {link}",
        "Xunlou: FALL at {place}! {who}. Reply 1 = I am going, 0 = I can't. code {code}",
        "Xunlou: FALL at {place}! Reply 1 = I am going. code {code}",
    ),
    Template.DUTY: (
        "Xunlou: SOS at {place}, open for {min} min! {who}. Reply 1 = I take it. code {code}",
        "Xunlou: SOS at {place} still open! Reply 1 = I take it. code {code}",
    ),
    Template.CALL_120: (
        "Xunlou: CALL 120! SOS at {place}, {min} min and nobody at the door. {who}. "
        "Reply 1 = I take it. code {code}",
        "Xunlou: CALL 120! SOS at {place}, {min} min. Reply 1 = I take it. code {code}",
        "Xunlou CALL 120: {place}. code {code}",
    ),
    Template.MISSED: (
        "Xunlou: {building}: {count} without a check-in: {labels}. Reply 1 = I am going. "
        "code {code} {link}",
        "Xunlou: {building}: {count} without a check-in: {labels}. Please look on your round. "
        "Reply 1 = I am going. code {code}",
        "Xunlou: {building}: {count} without a check-in. Please look. Reply 1. code {code}",
    ),
    Template.CONFIRM: (
        "Noted: you go to {place}. Reply 2 at the door, 3 = safe. code {code}. Way in: {link}",
        "Noted: you go to {place}. Reply 2 at the door, 3 = safe. code {code}",
    ),
    Template.CONFIRM_MISSED: (
        "Noted: you look round {building}. Reply 3 = all safe. code {code}. List: {link}",
        "Noted: you look round {building}. Reply 3 = all safe. code {code}",
    ),
    Template.OTHER_GOES: (
        "Xunlou: {about} is going to {place}. You may go too: reply 1. code {code}",
        "Xunlou: {about} is going to {place}. code {code}",
        "Xunlou: somebody is going to {place}. code {code}",
    ),
    Template.CANCELLED: ("Xunlou: {place} pressed cancel. Please still look. code {code}",),
    Template.AGAIN: ("Xunlou: {place} pressed SOS again! code {code}",),
    Template.LAPSED: (
        "Xunlou: no word from you at {place}; others are called. 2 = there, 0 = can't. "
        "code {code}",
    ),
    Template.CLOSED: ("Xunlou: {place} is closed: {about}. Thank you! code {code}",),
    Template.CHECKED_IN: ("Xunlou: {place} {about} checked in, no need to go. code {code}",),
    Template.FEWER: (
        "Xunlou: {building}: {well} checked in, no need to go. {count} left: {labels}. "
        "code {code}",
        "Xunlou: {building}: {wells} checked in, {count} left: {labels}. code {code}",
        "Xunlou: {building}: {wells} checked in, {count} left. code {code}",
    ),
    Template.WHICH: (
        "{count} are open: {labels}. Reply 1 and the code, like: 1 {code}",
        "{count} are open. Reply 1 and the code, like: 1 {code}",
    ),
    Template.OLD_CODE: ("That code's matter is closed. You will get an SMS for a new one.",),
    Template.NOT_UNDERSTOOD: (
        "Not understood. 1 = going, 2 = at the door, 3 = safe, 0 = can't. Emergency: call 120.",
    ),
    Template.NOTHING_OPEN: ("Nothing is waiting for you now. Thank you!",),
    Template.ROUND_REPORTED: (
        "Noted: your round of building {labels} is done. Thank you!",
        "Noted: your round is done. Thank you!",
    ),
    Template.REQUEST_NOTED: (
        "Noted for {building}: the desk sees to it. In an emergency press the button or call 120.",
    ),
    Template.BLIND: (
        "Xunlou: whole community: no signals for {min} min ({about}). An SOS may not arrive. "
        "Please phone the list and look at the wall.",
        "Xunlou: whole community: no signals for {min} min. An SOS may not arrive. "
        "Please phone the list.",
    ),
    Template.PARTNER_UNREACHABLE: (
        "Xunlou: {building}: our SMS can't reach {about}. Please tell them; the desk knows.",
        "Xunlou: {building}: our SMS can't reach your fellow steward. Please tell them; "
        "the desk knows.",
    ),
}

CATALOGUE: Mapping[str, Mapping[Template, Wordings]] = {"zh": ZH, "en": EN}

WORDS: Mapping[str, Mapping[str, str]] = {
    "zh": {
        Outcome.SAFE: "平安", Outcome.HELPED: "已帮助", Outcome.AMBULANCE: "已打120",
        Outcome.FALSE_ALARM: "误报", Outcome.OTHER: "已处理", Outcome.CHECKED_IN: "已报平安",
        "age": "{age}岁", "alone": "独居", "test": "测试!",
        "late": "(迟到的报警)", "building": "{number}栋", "floor": "{number}栋{floor}楼{label}",
        "terminal": "终端{id}", "in_city": "",
        "all": "全部", "steward": "楼管员", "operator": "值班员", "coming": "{name}正在赶来",
        "street": "街道工作人员", "district": "区里工作人员",
        "sep": ",", "mark": "、", "more": "等",
        "part.server": "服务器停过", "part.gateway": "网关没有回音", "part.broker": "消息中转不通",
        "part.sos_lane": "求助通道不通", "part.bulk_lane": "报平安通道不通",
        "part.receipts": "回执送不到",
    },
    "en": {
        Outcome.SAFE: "safe", Outcome.HELPED: "helped", Outcome.AMBULANCE: "120 called",
        Outcome.FALSE_ALARM: "false alarm", Outcome.OTHER: "dealt with",
        Outcome.CHECKED_IN: "checked in",
        "age": "aged {age}", "alone": "alone", "test": "TEST! ",
        "late": "(late alarm) ", "building": "Bldg {number}",
        "floor": "Bldg {number} floor {floor} flat {label}",
        "terminal": "unassigned terminal {id}", "in_city": ", ",
        "all": "all", "steward": "steward", "operator": "care centre",
        "street": "street office", "district": "district office",
        "coming": "{name} is coming", "sep": ", ", "mark": ", ", "more": " ...",
        "part.server": "server was down", "part.gateway": "gateway unheard",
        "part.broker": "broker stuck", "part.sos_lane": "SOS lane stuck",
        "part.bulk_lane": "check-in lane stuck", "part.receipts": "receipts not returning",
    },
}  # fmt: skip
