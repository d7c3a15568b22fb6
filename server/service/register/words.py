"""Why a row was not taken, in words that say what to write instead."""

from server.core.cells import Why
from server.service.register.rows import Problem

WORDS: dict[Why, tuple[str, str]] = {
    Why.NO_TABLE: ("表“{d}”的标题认不出,整张没有读", "table “{d}”: these headings are not ours"),
    Why.HEADING_MISSING: ("缺少这一列", "this column is missing"),
    Why.HEADING_TWICE: ("这一列出现两次", "this column is there twice"),
    Why.HEADING_UNKNOWN: ("认不出这个标题,这一列没有读", "unknown heading; the column is not read"),
    Why.EMPTY: ("不能为空", "must not be empty"),
    Why.TOO_MANY_CELLS: ("这一行的格数多于标题({d} 列)", "more cells than the {d} headings"),
    Why.TOO_LONG: ("太长,最多 {d} 个字", "too long; at most {d} characters"),
    Why.NOT_A_NUMBER: ("不是 {d} 之间的整数", "not a whole number of {d}"),
    Why.NOT_A_DATE: ("不是日期,请写成 1941-09-02", "not a day; write 1941-09-02"),
    Why.NOT_A_PHONE: ("不是电话号码,固定电话请带区号", "not a telephone number; write +44 20 …"),
    Why.NOT_A_WORD: ("请填其中一个:{d}", "write one of: {d}"),
    Why.NOT_A_TERMINAL: ("终端编号只能有小写字母、数字和 -", "letters, digits and - only"),
    Why.NOT_A_FLAT: ("门牌只能有文字、数字、. - /", "a flat has letters, digits, . - / only"),
    Why.FLOOR_UNCLEAR: ("从门牌看不出楼层,请填楼层", "give the floor; the flat does not say it"),
    Why.BORN_IN_FUTURE: ("日期还没到", "this day is still to come"),
    Why.PAIR: ("姓名和电话要一起填", "give both, name and telephone"),
    Why.TWICE_IN_FILE: ("与第 {d} 行重复", "the same as line {d}"),
    Why.NUMBER_OF_ANOTHER: ("这个号码已登记给 {d}", "this number is {d}'s"),
    Why.NUMBER_BEYOND: (
        "这个号码已登记给您范围外的人,请让管辖全部楼栋的账号来办",
        "this number is somebody's beyond your houses: ask an account of all houses to do it"),
    Why.REHEARSAL: ("演练用的楼栋,没有人住", "a rehearsal's building; nobody lives there"),
    Why.ON_REHEARSAL_LIST: ("这个号码在演练名单上", "this number is on the rehearsal list"),
    Why.NO_BUILDING: ("{d}栋还没有登记,请先填楼栋表和两位巡楼员",
                      "building {d} is not registered; enter it with its two stewards"),
    Why.NO_RESIDENT: ("没有编号 {d},新住户请留空", "no ID {d}; leave it empty for somebody new"),
    Why.LIVES_ELSEWHERE: ("登记在 {d};搬家请在住户页办理",
                          "registered at {d}; a move is made on the resident's page"),
    Why.ENDED: ("已停止守护", "is no longer watched"),
    Why.NEEDED_FOR_NEW: ("新住户必填", "needed for somebody new"),
    Why.TERMINAL_TAKEN: ("这台终端登记在 {d}", "this terminal is registered at {d}"),
    Why.TERMINAL_BEYOND: (
        "这台终端登记在您范围外的住户名下,请让管辖全部楼栋的账号来办",
        "this terminal is somebody's beyond your houses: ask an account of all houses to do it"),
    Why.NOT_ENROLLED: ("这台终端还没有入库,请让管辖全社区的账号先登记",
                       "not in the stock yet: ask an account of the whole community to enrol it"),
    Why.HAS_TERMINAL: ("已有终端 {d},请在终端页更换", "has terminal {d}; swap it on its page"),
    Why.TERMINAL_REVOKED: ("这台终端已停用", "this terminal is out of service"),
    Why.NO_COMMUNITY: ("还没有社区,请先在楼栋表填社区名",
                       "no community yet; name it in the table of buildings"),
    Why.NO_SUCH_COMMUNITY: ("没有登记这个社区,现有:{d}",
                            "no such community is registered; there are: {d}"),
    Why.WHICH_COMMUNITY: ("有几个社区,请写明是哪个(同名的连街道、区一起写):{d}",
                          "say which community it is (of one name: street and district too): {d}"),
    Why.SAME_NAME: (
        "已登记同名的社区 {d}:若是同一个,街道和区请写成一样;若是另一个,请先单独登记这个社区",
        "{d} has this name: if it is that one, write the same street and district; if it is "
        "another, register that community by itself first"),
    Why.COMMUNITY_BEYOND: (
        "不在您的账号管辖范围内,请让管辖该社区(或全部)的账号来办",
        "beyond your account: ask one that answers for this community, or for all"),
    Why.SAME_STEWARD: ("两位巡楼员不能是同一个号码", "two stewards need two telephones"),
    Why.CLASS_KEPT: ("等级保持 {d};要改请到住户页", "class stays {d}; change it on their page"),
}  # fmt: skip


def reason(problem: Problem, lang: str) -> str:
    """Why, in words."""
    zh, en = WORDS[problem.why]
    return (en if lang == "en" else zh).replace("{d}", problem.detail)


def explained(problem: Problem, lang: str) -> str:
    """The column and why."""
    words = reason(problem, lang)
    return f"{problem.column}: {words}" if problem.column else words
