"""JupyterLab in a real browser: what the tests of formgrader, lectures, labs and slides share."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import matplotlib
import pytest

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install playwright"
)

ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PICTURES = ROOT / "build" / "browser"  # for a human to look at
TOKEN = "a-token-of-this-test"


def require_chromium() -> None:
    if CHROMIUM is None:
        pytest.skip("no chromium here; on Debian: apt install chromium")


class Visit(NamedTuple):
    """A page of a browser, and what it asked for elsewhere than on this machine."""

    page: playwright.Page
    server: str
    elsewhere: list[str]

    def open(self, path: str, wait_for: str) -> None:
        self.page.goto(f"{self.server}/{path}")
        self.page.locator(wait_for).first.wait_for(timeout=60_000)

    def picture(self, name: str) -> None:
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)

    def until(self, true: Callable[[], bool]) -> None:
        """Wait for what is known to happen."""
        for _ in range(300):
            if true():
                return
            self.page.wait_for_timeout(200)
        pytest.fail("what should have happened did not, in a minute")


@contextmanager
def browser(server: str, here: str) -> Iterator[Visit]:
    """A page that loads only what the regular expression `here` matches, and notes what else it wants."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = chromium.new_context(viewport={"width": 1280, "height": 960})
        visit = Visit(context.new_page(), server, [])

        def pass_on(route: playwright.Route) -> None:
            known = re.match(here, route.request.url)
            visit.elsewhere.extend([] if known else [route.request.url])
            route.continue_() if known else route.abort()

        context.route("**/*", pass_on)
        yield visit
        chromium.close()


@contextmanager
def jupyter(root: Path, *options: str) -> Iterator[Visit]:
    """JupyterLab in the folder `root`, without settings of this machine's own, and a page that shows it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = root.parent / f"home-{port}"
    home.mkdir()
    words = [
        sys.executable,
        "-m",
        "jupyter",
        "lab",
        "--no-browser",
        f"--port={port}",
        "--ServerApp.port_retries=0",
    ]
    words += [*(["--allow-root"] if os.getuid() == 0 else []), *options]
    environment = {"PATH": f"{sys.prefix}/bin:{os.defpath}", "HOME": str(home), "JUPYTER_TOKEN": TOKEN}
    environment |= {f"JUPYTER_{kind}_DIR": str(home / kind) for kind in ("CONFIG", "DATA", "RUNTIME")}
    # Where a test run is told to be modest, so are its kernels: too many threads wait for one another.
    environment |= {name: os.environ[name] for name in ("OMP_NUM_THREADS",) if name in os.environ}
    settings = home / "CONFIG/lab/user-settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    no_news = '{"fetchNews": "false", "checkForUpdates": false}'  # or it asks, in front of the page
    (settings / "notification.jupyterlab-settings").write_text(no_news)
    # Kernels find matplotlib's list of fonts, which takes seconds to make.
    environment |= {"PYTHONPATH": str(ROOT), "MPLCONFIGDIR": matplotlib.get_cachedir()}
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(words, cwd=root, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        await_answer(f"{address}/api?token={TOKEN}", server, home / "log")
        with browser(address, r"http://127\.0\.0\.1:\d+/|data:|blob:") as visit:
            visit.open(f"lab?token={TOKEN}", "#jp-MainLogo")
            yield visit
    finally:
        server.terminate()
        server.wait(timeout=30)


def await_answer(address: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 90
    while server.poll() is None and time.monotonic() < deadline:
        try:
            return urllib.request.urlopen(address, timeout=5).close()
        except urllib.error.URLError:
            time.sleep(0.2)
    pytest.fail(f"Jupyter did not start: {log.read_text(errors='replace')[-2000:]}")


class Notebook(NamedTuple):
    """A notebook that is open in JupyterLab."""

    visit: Visit

    @property
    def page(self) -> playwright.Page:
        return self.visit.page

    def run_all(self, timeout: float) -> None:
        """What the menu does; waits until every cell has its number or one fails, at most `timeout` s."""
        self.page.click(".lm-MenuBar-itemLabel:text-is('Run')")
        self.page.click(".lm-Menu-itemLabel:text-is('Run All Cells')")
        self.page.wait_for_function(
            """errors => [...document.querySelectorAll(errors)].some(one => /Error/.test(one.textContent)) ||
                [...document.querySelectorAll('.jp-CodeCell .jp-InputArea-prompt')]
                    .every(prompt => /\\[\\d+\\]/.test(prompt.textContent))""",
            arg=ERRORS,
            timeout=1000 * timeout,
            polling=500,
        )
        self.settle()

    def settle(self) -> None:
        """Wait until the kernel has had nothing to do for a while."""
        quiet = 0
        for _ in range(600):
            quiet = quiet + 1 if self.page.locator(IDLE).count() else 0
            if quiet == 4:
                return
            self.page.wait_for_timeout(75)
        pytest.fail("the kernel was busy for most of a minute")

    def errors(self) -> list[str]:
        """What cells raised or wrote to their standard error, but for bars of progress that are gone."""
        return [text for text in self.page.locator(ERRORS).all_inner_texts() if text.strip()]


IDLE = "#jp-main-statusbar :text('| Idle')"  # the notebook's own indicator says so before there is a kernel
ERRORS = "[data-mime-type='application/vnd.jupyter.error'], [data-mime-type='application/vnd.jupyter.stderr']"


def open_notebook(visit: Visit, path: str) -> Notebook:
    """Open `path` by itself, as someone does who clicks it in a JupyterLab that was just started."""
    workspace = Path(path).stem
    visit.open(f"lab/workspaces/{workspace}/tree/{path}?reset", ".jp-Notebook .jp-Cell")
    visit.page.locator(IDLE).first.wait_for(timeout=60_000)
    return Notebook(visit)
