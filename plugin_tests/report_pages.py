"""Pages of the report, as tests read them: what they hold, and how Chromium shows them."""

import base64
import json
import re
import zlib
from pathlib import Path

BLOCK = re.compile(r'(<script type="application/octet-stream" id="([\w-]+)">)(.*?)</script>', re.S)


def held(path):
    """JSON blocks of a page by id."""
    return {name: _unpacked(packed) for _, name, packed in BLOCK.findall(Path(path).read_text(encoding="utf-8"))}


def changed(path, change):
    """The text of a page whose main block is what `change` makes of it."""
    def new(match):
        data = change(_unpacked(match[3])) if match[2] == "data" else None
        return match[0] if data is None else f"{match[1]}{_packed(data)}</script>"

    return BLOCK.sub(new, Path(path).read_text(encoding="utf-8"))


def _unpacked(packed):
    return json.loads(zlib.decompress(base64.b64decode(packed)))


def _packed(value):
    return base64.b64encode(zlib.compress(json.dumps(value).encode())).decode()


class Opened:
    """A report in a tab of its own, and all that the browser complained of or asked for."""

    def __init__(self, browser, path, link="", **options):
        self.tab = browser.new_page(**options)
        self.complaints, self.requests = [], []
        self.tab.on("console", lambda message: self.complaints.append(message.text))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("dialog", lambda dialog: (self.complaints.append("dialog"), dialog.dismiss()))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.address = f"file://{path}"
        self.tab.goto(self.address + link)
        self.tab.wait_for_selector("html[data-ready]")

    def drawn(self, *charts):
        for chart in charts:
            self.tab.wait_for_selector(f"#{chart} svg, #{chart} canvas", timeout=10_000)
        return self

    def shows(self, selector, text):
        """Wait until an element's text has a part."""
        self.tab.wait_for_function("([at, text]) => document.querySelector(at)?.innerText.includes(text)",
                                   arg=[selector, text], timeout=10_000)
        return self

    def column(self, table, number):
        return self.tab.locator(f"#{table} tbody td:nth-child({number})").all_inner_texts()

    def whole(self, table, number):
        """The different texts of a column, also of those that are shortened."""
        return set(self.tab.locator(f"#{table} tbody td:nth-child({number})").evaluate_all(
            "cells => cells.map(cell => cell.title || cell.innerText)"))

    def headings(self, table):
        return self.tab.locator(f"#{table} th").all_inner_texts()

    def count(self, table):
        return self.tab.inner_text(f"#{table} [aria-live]")
