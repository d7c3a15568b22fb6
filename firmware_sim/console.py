"""`xunlou sim console`: the tester's screen in a terminal window, for a simulator that runs.

It is a client of the simulator's control API, as the page `/sim` is, and knows nothing else: what
it shows was asked for, what it does is a POST. It always says that it shows a simulation.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

import httpx
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.css.query import NoMatches
from textual.widgets import DataTable, Footer, Input, Static

EVERY_S: Final = 1.0
PACES: Final = (1.0, 10.0, 30.0, 60.0, 300.0)
FLAP: Final = {"what": "network", "times": 3, "every_s": 20}
LED: Final = {
    "idle": "平静 idle",
    "sending": "正在呼叫 sending",
    "centre_has_it": "中心已收到 centre has it",
    "help_coming": "有人来了 help is coming",
    "resolved": "已处理 resolved",
    "dark": "没电 dark",
}


class Console(App[None]):
    """The screen. `client` speaks to the simulator's phones port."""

    TITLE = "模拟 SIMULATION"
    CSS = """
    Screen { border: heavy yellow; }
    #banner { background: yellow; color: black; text-align: center; text-style: bold; }
    #list { width: 46%; } #q { height: 3; } #terminals { height: 1fr; }
    #one { height: auto; border-bottom: solid grey; } #texts { height: 1fr; }
    #said { color: red; height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "find", "查找 find"),
        Binding("s", "key('red', 300)", "按红键 SOS"),
        Binding("S", "key('red', 4000)", "按住 hold", show=False),
        Binding("c", "key('green', 300)", "报平安 check in"),
        Binding("x", "key('green', 3500)", "取消 cancel"),
        Binding("f", "blow", "跌倒 fall"),
        Binding("m", "switch('mains')", "插头 mains"),
        Binding("b", "switch('battery')", "电池 battery"),
        Binding("n", "switch('network')", "网线 line"),
        Binding("l", "flap", "闪断 flap"),
        Binding("P", "building", "整栋停电 building"),
        Binding("t", "jump(600)", "+10 分 min"),
        Binding("T", "pace", "快慢 pace"),
        Binding("o", "broker", "消息服务器 broker"),
        Binding("q", "quit", "退出 quit"),
    ]

    def __init__(self, client: httpx.AsyncClient, zone: str = "Asia/Shanghai") -> None:
        super().__init__()
        self._client = client
        self._zone = ZoneInfo(zone)
        self._house: dict[str, Any] = {}
        self._one: dict[str, Any] = {}
        self._dark_buildings: set[int] = set()

    def compose(self) -> ComposeResult:
        """Terminals on the left; one of them, and the phones, on the right."""
        yield Static("模拟 · 这里没有真住户  SIMULATION: nobody real is here", id="banner")
        yield Static(id="house")
        yield Static(id="said")
        with Horizontal():
            with Vertical(id="list"):
                yield Input(placeholder="楼号、编号、灯 building, id, lamp", id="q")
                yield DataTable(id="terminals", cursor_type="row", zebra_stripes=True)
            with Vertical():
                yield Static(id="one")
                yield Static(id="texts")
        yield Footer()

    async def on_mount(self) -> None:
        """Begin to look, and go on once a second."""
        self.terminals.add_columns("编号 id", "灯 lamp", "线 line", "未回执 waiting")
        self.terminals.focus()
        await self.look()
        self.set_interval(EVERY_S, self.look)

    @property
    def terminals(self) -> DataTable[str]:
        """The list."""
        return self.query_one("#terminals", DataTable)

    @property
    def chosen(self) -> str | None:
        """The terminal under the cursor."""
        table = self.terminals
        if not table.row_count:
            return None
        return str(table.ordered_rows[table.cursor_row].key.value)

    # ---- looking ----

    async def look(self) -> None:
        """Ask how things are and show it; a simulator that is gone is said, and asked again."""
        try:
            await self._look()
        except NoMatches:
            if self.query(Static):
                raise
            # The screen was taken down while we asked: there is nobody left to show it to.

    async def _look(self) -> None:
        try:
            self._house = await self._ask("GET", "/sim/house")
            words = self.query_one("#q", Input).value
            found = await self._ask("GET", "/sim/terminals", params={"q": words, "limit": 200})
            self._show_list(found["terminals"])
            if self.chosen is not None:
                self._one = await self._ask("GET", f"/sim/terminals/{self.chosen}")
                texts = await self._ask(
                    "GET", "/sim/texts", params={"building": self._one["building"], "limit": 12}
                )
                self._show_one(texts["texts"])
        except (httpx.HTTPError, ValueError) as error:
            self._say(f"没做成 not done: {error or type(error).__name__}")
            return
        house = self._house
        self.query_one("#house", Static).update(
            f"{self._time(house['now_ms'], '%m-%d %H:%M:%S')}  × {house['speed']:g}  "
            f"在线 connected {house['connected']}/{house['terminals']}  没电 dark {house['dark']}  "
            f"呼叫 calling {house['calling']}  "
            f"消息服务器 broker {'在 up' if house['broker_on'] else '断 gone'}"
        )

    def _show_list(self, rows: list[dict[str, Any]]) -> None:
        table = self.terminals
        shown = [str(row.key.value) for row in table.ordered_rows]
        if shown == [row["id"] for row in rows]:
            for row in rows:
                for column, cell in zip(table.ordered_columns, self._cells(row), strict=True):
                    table.update_cell(row["id"], column.key, cell)
            return
        # The cursor stays on its terminal: a verb must never hit another one.
        kept = self.chosen
        table.clear()
        for row in rows:
            table.add_row(*self._cells(row), key=row["id"])
        if kept in {row["id"] for row in rows}:
            table.move_cursor(row=table.get_row_index(str(kept)))

    @staticmethod
    def _cells(row: dict[str, Any]) -> tuple[str, str, str, str]:
        lamp = LED[row["led"]] + (" ♪" if row["buzzing"] else "")
        return row["id"], lamp, "通 up" if row["connected"] else "断 down", str(row["waiting"])

    def _show_one(self, texts: list[dict[str, Any]]) -> None:
        one = self._one
        lines = [
            f"[b]{one['id']}[/b]  {one['building']}栋 {one['flat']}  {LED[one['led']]}"
            + ("  [b red]蜂鸣 buzzing[/]" if one.get("buzzing") else ""),
            f"电 battery {_charge(one)}  插头 mains "
            f"{'有 on' if one.get('mains') else '无 off'}  信号 rssi {one.get('rssi', '–')}  "
            f"固件 fw {one['fw']}  等回执 waiting {len(one['pending'])}",
        ]
        lines += [
            f"  {self._time(said['at_ms'])} {_plain(said['text'])}" for said in one["said"][-5:]
        ]
        self.query_one("#one", Static).update("\n".join(lines))
        self.query_one("#texts", Static).update(
            "\n".join(
                f"{self._time(text['at_ms'])} {_plain(text['name'])} "
                f"{'→' if text['from_phone'] else '←'} {_plain(text['body'])}"
                for text in texts
            )
            or "还没有短信 no texts yet"
        )

    def _time(self, ms: int, form: str = "%H:%M:%S") -> str:
        return datetime.fromtimestamp(ms / 1000, self._zone).strftime(form)

    def _say(self, words: str) -> None:
        self.query_one("#said", Static).update(_plain(words))

    async def _ask(self, method: str, path: str, **options: Any) -> Any:
        answer = await self._client.request(method, path, **options)
        if answer.is_error:
            raise ValueError(f"{path}: {answer.text[:200]}")
        return answer.json()

    # ---- doing ----

    async def _do(self, path: str, body: dict[str, Any]) -> None:
        try:
            await self._ask("POST", f"/sim/{path}", json=body)
        except (httpx.HTTPError, ValueError) as error:
            self._say(f"没做成 not done: {error or type(error).__name__}")
            return
        self._say("")
        await self.look()

    async def _at_one(self, what: str, body: dict[str, Any]) -> None:
        if self.chosen is not None:
            await self._do(f"terminals/{self.chosen}/{what}", body)

    def action_find(self) -> None:
        """Type what to look for; Enter goes back to the list."""
        self.query_one("#q", Input).focus()

    async def on_input_submitted(self) -> None:
        """Search, and back to the list."""
        self.terminals.focus()
        await self.look()

    async def action_key(self, key: str, held_ms: int) -> None:
        """A finger on a key, with a contact that bounces."""
        await self._at_one("key", {"key": key, "held_ms": held_ms, "bounces": 3})

    async def action_blow(self) -> None:
        """A fall."""
        await self._at_one("blow", {"peak_g": 4.0})

    async def action_switch(self, what: str) -> None:
        """Plug, battery or line: out when it is in, and back."""
        is_on = {"mains": "mains", "battery": "battery_in", "network": "network"}[what]
        await self._at_one(what, {"on": not self._one.get(is_on)})

    async def action_flap(self) -> None:
        """The line comes and goes."""
        await self._at_one("flap", FLAP)

    async def action_building(self) -> None:
        """The mains of the terminal's building: off, and back. Batteries carry on."""
        if self.chosen is None:
            return
        number = int(self._one["building"])
        dark = number in self._dark_buildings
        self._dark_buildings ^= {number}
        await self._do(f"buildings/{number}/mains", {"on": dark})

    async def action_jump(self, by_s: int) -> None:
        """The common clock, forward."""
        await self._do("clock", {"by_s": by_s})

    async def action_pace(self) -> None:
        """The next pace of the common clock."""
        now = float(self._house.get("speed", 1.0))
        faster = [pace for pace in PACES if pace > now]
        await self._do("clock", {"speed": faster[0] if faster else PACES[0]})

    async def action_broker(self) -> None:
        """Broker gone, or back."""
        await self._do("broker", {"on": not self._house.get("broker_on", True)})


def _charge(one: dict[str, Any]) -> str:
    """What the battery's place holds."""
    if not one["battery_in"]:
        return "无 none"
    return f"{one['battery']} %" if "battery" in one else "–"


def _plain(words: str) -> str:
    """Words of others, without meaning for the screen's own markup."""
    return words.replace("[", r"\[")


async def run(url: str) -> None:
    """Show the screen until it is left."""
    async with httpx.AsyncClient(base_url=url, timeout=8.0) as client:
        await Console(client).run_async()
