"""A report in a real Chromium: what it says, what it reaches for, how it looks at a width and in a colour scheme."""

import asyncio
import base64
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import choreographer

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)
_DRAWN = "document.documentElement.dataset.drawn === 'yes'"
_WAITS = 120.0  # seconds, on a machine that does much else


@dataclass
class Seen:
    """What a browser made of a page.

    Attributes:
        complaints: lines of its console, and exceptions.
        requests: addresses that it asked for, the page's own left out.
        facts: what the page was asked by `ask`.
        picture: the whole page, PNG; empty unless asked for.
        paper: the same printed, PDF; likewise.
    """

    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    facts: Any = None
    picture: bytes = b""
    paper: bytes = b""


View = tuple[int, str]
"""Of a page: the width of the window, pixels, and light or dark, as the person's system would have it."""


def look(
    page: Path, views: Sequence[View] = ((900, "light"),), ask: str = "null", picture: bool = False, paper: bool = False
) -> list[Seen]:
    """Open a page from disk in several views, one after another in one browser, and wait until its figures are drawn.

    Args:
        page: the file.
        views: of it.
        ask: an expression of JavaScript, a promise perhaps; its value comes back.
        picture: whether to take one of the whole page.
        paper: whether to print it.
    """
    return asyncio.run(asyncio.wait_for(_look(page, views, ask, picture, paper), _WAITS))


async def _look(page: Path, views: Sequence[View], ask: str, picture: bool, paper: bool) -> list[Seen]:
    every = []
    async with choreographer.Browser(path=CHROMIUM, headless=True, enable_sandbox=False, enable_gpu=False) as browser:
        for width, scheme in views:
            seen = Seen()
            tab = await browser.create_tab("about:blank")
            await _open(tab, page, width, scheme, seen)
            while not await _value(tab, _DRAWN):
                await asyncio.sleep(0.2)
            seen.facts = await _value(tab, ask)
            if picture:
                height = int(await _value(tab, "document.documentElement.scrollHeight"))
                clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
                shot = {"captureBeyondViewport": True, "clip": clip}
                seen.picture = _content(await tab.send_command("Page.captureScreenshot", shot))
            if paper:
                asked = {"preferCSSPageSize": True, "printBackground": True}
                seen.paper = _content(await tab.send_command("Page.printToPDF", asked))
            await tab.close()
            every.append(seen)
    return every


async def _open(tab: Any, page: Path, width: int, scheme: str, seen: Seen) -> None:
    async def heard(message: dict[str, Any]) -> None:
        _note(seen, message, page.as_uri())

    for domain in ("Network", "Runtime", "Log", "Page"):
        tab.subscribe(f"{domain}.*", heard, repeating=True)
        await tab.send_command(f"{domain}.enable")
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    await tab.send_command("Emulation.setDeviceMetricsOverride", size)
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    await tab.send_command("Emulation.setEmulatedMedia", {"features": media})
    await tab.send_command("Page.navigate", {"url": page.as_uri()})


def _content(answer: dict[str, Any]) -> bytes:
    return base64.b64decode(answer["result"]["data"])


async def _value(tab: Any, expression: str) -> Any:
    told = {"expression": f"(async () => JSON.stringify(await ({expression})))()", "awaitPromise": True}
    answer = await tab.send_command("Runtime.evaluate", told)
    result = answer["result"]["result"]
    return json.loads(result["value"]) if "value" in result else None


def _note(seen: Seen, message: dict[str, Any], own: str) -> None:
    name, told = message.get("method"), message.get("params", {})
    if name == "Runtime.exceptionThrown":
        seen.complaints.append(str(told["exceptionDetails"]))
    elif name == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
        seen.complaints.append(" ".join(str(each.get("value", each)) for each in told["args"]))
    elif name == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
        seen.complaints.append(told["entry"]["text"])
    elif name == "Network.requestWillBeSent":
        address = told["request"]["url"]
        if address != own and not address.startswith(("data:", "blob:", "about:")):
            seen.requests.append(address)
