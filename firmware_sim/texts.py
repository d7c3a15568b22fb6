"""What a terminal says aloud: zh-CN first, English beside it.

The only place of the package with words for residents. Sentences are short, name what happens
next, and never promise that somebody is coming unless a person has accepted.
"""

from __future__ import annotations

from typing import Final

SPOKEN: Final[dict[str, dict[str, str]]] = {
    "sos_sending": {
        "zh": "正在呼叫中心，请不要着急。",
        "en": "Calling the centre. Please stay calm.",
    },
    "fall_sending": {
        "zh": "检测到跌倒，正在呼叫中心。",
        "en": "A fall was noticed. Calling the centre.",
    },
    "no_answer_yet": {
        "zh": "还没有联系上中心，正在继续呼叫。请大声呼救或敲门窗。",
        "en": "The centre has not answered yet; still calling. Please call out or knock.",
    },
    "centre_has_it": {
        "zh": "中心已经收到您的求助，正在通知楼长。",
        "en": "The centre has your call and is telling the stewards.",
    },
    "help_coming": {
        "zh": "{who}正在赶来，大约{eta_min}分钟到。",
        "en": "{who} is coming, in about {eta_min} minutes.",
    },
    "help_coming_soon": {
        "zh": "{who}正在赶来。",
        "en": "{who} is coming.",
    },
    "somebody": {"zh": "楼长", "en": "A steward"},
    "resolved": {
        "zh": "这次求助已经处理好了。",
        "en": "This call has been dealt with.",
    },
    "cancel_sending": {
        "zh": "已告诉中心您取消了求助。如果已经有人出发，他们还会来看看您。",
        "en": "The centre is told that you cancelled. Anyone on the way will still look in.",
    },
    "nothing_to_cancel": {
        "zh": "现在没有正在进行的求助。",
        "en": "No call for help is under way.",
    },
    "checkin_received": {
        "zh": "平安已收到，谢谢您。",
        "en": "Your check-in has arrived. Thank you.",
    },
    "test_received": {
        "zh": "测试成功，线路正常。",
        "en": "Test passed; the line works.",
    },
    "prompt": {
        "zh": "您好，请按一下绿色按钮报平安。",
        "en": "Hello, please press the green button to check in.",
    },
    "self_test": {
        "zh": "中心正在检查设备，您不用操作。",
        "en": "The centre is checking this device. You need not do anything.",
    },
    "mains_lost": {
        "zh": "停电了，设备正在用电池。",
        "en": "The power is off; the device runs on its battery.",
    },
    "battery_low": {
        "zh": "电池快没电了，请检查插头。",
        "en": "The battery is low. Please check the plug.",
    },
}

LANGUAGES: Final = ("zh", "en")


def spoken(key: str, lang: str, **values: object) -> str:
    """The sentence `key` in `lang` (unknown languages get zh), with `values` filled in.

    Raises KeyError for a key that the catalogue does not hold: that is a bug, not an input.
    """
    sentence = SPOKEN[key]
    return sentence.get(lang, sentence["zh"]).format(**values)
