"""How many SMS a text costs: GSM 03.38 or UCS-2, single or concatenated.

Source of the figures: GSM 03.38 (160 septets, 153 when concatenated) and UCS-2 (70 code units,
67 when concatenated). It must never alter a text.
"""

from math import ceil

_BASIC = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = set("^{}\\[~]|€\f")  # each costs an escape septet as well


def is_gsm7(text: str) -> bool:
    """True when every character fits the GSM 7-bit alphabet or its extension table."""
    return all(char in _BASIC or char in _EXTENDED for char in text)


def count_segments(text: str) -> int:
    """Number of SMS parts the text is sent in; an empty text still costs one.

    Characters outside the basic plane count as two UCS-2 units. The rare loss of a unit where
    an escape pair or a surrogate pair would straddle two parts is modelled: a pair moves whole.
    """
    if is_gsm7(text):
        costs = [2 if char in _EXTENDED else 1 for char in text]
        return _parts(costs, 160, 153)
    costs = [2 if ord(char) > 0xFFFF else 1 for char in text]
    return _parts(costs, 70, 67)


def _parts(costs: list[int], single: int, joined: int) -> int:
    total = sum(costs)
    if total <= single:
        return 1
    if 2 not in costs:
        return ceil(total / joined)
    parts, used = 1, 0
    for cost in costs:
        if used + cost > joined:
            parts, used = parts + 1, 0
        used += cost
    return parts
