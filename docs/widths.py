"""Look at the built site as a phone shows it: whether a page is wider than the screen, or a column so narrow that a command breaks within its words.

`python docs/widths.py site` opens each page 360 px wide in headless Chromium, names what is wrong, and fails if there is anything. Where there is no
Chromium it says so.
"""

from __future__ import annotations

import functools
import html
import json
import re
import shutil
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

WIDTH = 360  # px
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FOUND = re.compile(r'<pre id="found">(.*?)</pre>', re.DOTALL)
# What scrolls by itself, as wide tables and code do, makes the page no wider.
_LOOK = """<!doctype html><body><pre id="found"></pre><script>
const pages = PAGES, found = [], frame = document.createElement("iframe");
frame.style = "width: WIDTHpx; height: 800px; border: 0";
document.body.append(frame);
function wide(page) {
  const scrolls = (node) => node && (/auto|scroll|hidden/.test(getComputedStyle(node).overflowX) || scrolls(node.parentElement));
  return [...page.body.querySelectorAll("*")].filter((node) => node.getBoundingClientRect().right > WIDTH + 1 && !scrolls(node.parentElement))
    .map((node) => `${node.tagName.toLowerCase()} of ${Math.round(node.getBoundingClientRect().right)} px: ${node.textContent.trim().slice(0, 60)}`);
}
function broken(page) {
  const lines = (node) => Math.floor(node.getBoundingClientRect().height / parseFloat(getComputedStyle(node).lineHeight));
  return [...page.body.querySelectorAll(":is(td, th) code")].filter((node) => lines(node) > node.textContent.trim().split(/[\\s-]+/).length)
    .map((node) => `${node.textContent} on ${lines(node)} lines`);
}
async function look() {
  for (const page of pages) {
    await new Promise((loaded) => { frame.onload = loaded; frame.src = page; });
    const root = frame.contentDocument.documentElement;
    const parts = [...(root.scrollWidth > WIDTH ? wide(frame.contentDocument) : []), ...broken(frame.contentDocument)];
    if (root.scrollWidth > WIDTH || parts.length) found.push([page, root.scrollWidth, parts.slice(0, 3)]);
  }
  document.getElementById("found").textContent = JSON.stringify({pages: pages.length, found});
}
look();
</script></body>"""


class _Site(SimpleHTTPRequestHandler):
    """Serves the site, and the page that looks at the others."""

    look = b""

    def do_GET(self) -> None:
        if self.path != "/looked-at.html":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.look)

    def log_message(self, *_: object) -> None:
        """Nothing is said of a request."""


def unfit(site: Path, browser: str) -> list[str]:
    """Pages that do not fit the screen, a line each."""
    pages = [f"/{page.relative_to(site)}" for page in sorted(site.rglob("*.html")) if page.name != "404.html"]
    if not pages:
        raise SystemExit(f"{site} holds no pages; build them with: mkdocs build")
    text = _LOOK.replace("PAGES", json.dumps(pages)).replace("WIDTH", str(WIDTH))
    handler = type("Site", (_Site,), {"look": text.encode()})
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=600000", "--dump-dom"]
        page = f"http://127.0.0.1:{server.server_port}/looked-at.html"
        made = subprocess.run([*command, page], capture_output=True, text=True, timeout=600, check=True).stdout
        server.shutdown()
    told = json.loads(html.unescape(_FOUND.search(made)[1]) or "{}")
    if told.get("pages") != len(pages):
        raise SystemExit("the browser has not looked at all pages")
    return [f"{page} is {width} px wide; {'; '.join(parts)}" for page, width, parts in told["found"]]


def main() -> int:
    browser = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        print("no Chromium here: how wide the pages are was not looked at")
        return 0
    found = unfit(Path(sys.argv[1]), browser)
    print(*found, sep="\n", end="\n" if found else "")
    return int(bool(found))


if __name__ == "__main__":
    raise SystemExit(main())
