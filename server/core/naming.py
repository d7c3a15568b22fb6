"""How a neighbour names somebody on a paper that may be lost: the family name alone. Pure."""

COMPOUND = frozenset({
    "欧阳", "上官", "司马", "司徒", "诸葛", "皇甫", "尉迟", "公孙", "慕容", "令狐", "东方", "南宫",
    "夏侯", "端木", "百里", "独孤", "轩辕", "宇文", "长孙", "司空",
})  # fmt: skip
"""Family names of two characters; all others of Chinese writing have one."""


def family_name(name: str) -> str:
    """欧阳娜 → 欧阳, 何桂芳 → 何, Mary Smith → Smith; empty for an empty name."""
    whole = name.strip()
    if " " in whole or whole.isascii():
        return whole.rpartition(" ")[2]
    return whole[:2] if whole[:2] in COMPOUND and len(whole) > 2 else whole[:1]
