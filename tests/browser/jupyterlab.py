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
LIMIT = 600  # seconds that anything may take: no test says how fast a machine is
# Nothing is fetched from elsewhere, and no graphics card is imitated.
FLAGS = (
    "--no-sandbox",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-gpu",
    "--disable-gpu-rasterization",
    "--disable-smooth-scrolling",
)


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
        self.page.locator(wait_for).first.wait_for()

    def show(self, path: str, wait_for: str) -> None:
        """Open a notebook in the JupyterLab that is on the page, and close what was open in it."""
        self.page.evaluate(SHOW, path)
        self.page.locator(wait_for).first.wait_for()

    def rest(self) -> None:
        """Wait until the page, having drawn what it has, asks for nothing more."""
        self.page.wait_for_load_state("networkidle")
        for _ in range(3):
            self.page.wait_for_function("[...document.images].every(image => image.complete)")
            self.page.evaluate("() => new Promise(done => requestIdleCallback(() => done()))")

    def picture(self, name: str) -> None:
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)

    def until(self, true: Callable[[], bool], what: str = "what should happen") -> None:
        """Wait for what is known to happen."""
        deadline = time.monotonic() + LIMIT
        while time.monotonic() < deadline:
            if true():
                return
            self.page.wait_for_timeout(200)
        pytest.fail(f"not in {LIMIT} s: {what}")


@contextmanager
def browser(server: str, here: str) -> Iterator[Visit]:
    """A page that gets what the regular expression `here` matches; what else it wants is noted."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=1000 * LIMIT)
        context = chromium.new_context(viewport={"width": 1280, "height": 960}, reduced_motion="reduce")
        context.set_default_timeout(1000 * LIMIT)
        visit = Visit(context.new_page(), server, [])

        # Heard and not intercepted: what is intercepted is not cached, and JupyterLab is large.
        def note(request: playwright.Request) -> None:
            visit.elsewhere.extend([] if re.match(here, request.url) else [request.url])

        context.on("request", note)
        yield visit
        chromium.close()


@contextmanager
def jupyter(root: Path, *options: str) -> Iterator[Visit]:
    """JupyterLab in the folder `root`, without settings of this machine's own, and a page that may enter."""
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
        "--LabApp.expose_app_in_browser=True",  # so that a test can ask what it waits for
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
        with browser(address, r"http://127\.0\.0\.1:\d+/|data:|blob:|about:|attachment:") as visit:
            visit.open(f"api/status?token={TOKEN}", "body")
            yield visit
    finally:
        server.terminate()
        server.wait(timeout=LIMIT)


def await_answer(address: str, server: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + LIMIT
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

    def run_all(self) -> None:
        """What the menu does; waits until every cell has its number or one fails."""
        self.page.click(".lm-MenuBar-itemLabel:text-is('Run')")
        self.page.click(".lm-Menu-itemLabel:text-is('Run All Cells')")
        self.page.wait_for_function(
            """errors => [...document.querySelectorAll(errors)].some(one => /Error/.test(one.textContent)) ||
                [...document.querySelectorAll('.jp-CodeCell .jp-InputArea-prompt')]
                    .every(prompt => /\\[\\d+\\]/.test(prompt.textContent))""",
            arg=ERRORS,
            polling=500,
        )
        self.settle()

    def settle(self) -> None:
        """Wait until the kernel has done all that was asked of it, and the page has heard of it."""
        assert self.page.evaluate(ANSWERED, LIMIT), f"the kernel did not answer in {LIMIT} s"

    def errors(self) -> list[str]:
        """What cells raised or wrote to their standard error, but for bars of progress that are gone."""
        return [text for text in self.page.locator(ERRORS).all_inner_texts() if text.strip()]


ERRORS = "[data-mime-type='application/vnd.jupyter.error'], [data-mime-type='application/vnd.jupyter.stderr']"
SHOW = """async path => {
    const {commands, shell} = jupyterapp;
    const former = [...shell.widgets('main')];
    await commands.execute('docmanager:open', {path});
    for (const widget of former) {
        await widget.sessionContext?.shutdown();
        widget.dispose();
    }
}"""
READY = """async () => {
    const {context, sessionContext} = jupyterapp.shell.currentWidget;
    await context.ready;
    await sessionContext.ready;
    const {kernel} = sessionContext.session;
    await kernel.info;
    const unanswered = window.unanswered = new Set();
    kernel.anyMessage.connect((_, {msg, direction}) => {
        if (direction === 'send' && msg.channel === 'shell') unanswered.add(msg.header.msg_id);
        if (msg.content.execution_state === 'idle') unanswered.delete(msg.parent_header.msg_id);
    });
}"""
# A widget keeps its last value to itself until the one before is answered. What arrives is taken in turn:
# when the question here has its answer, what came before has had its effect, another message among it.
ANSWERED = """async limit => {
    const {kernel} = jupyterapp.shell.currentWidget.sessionContext.session;
    const prompts = () => [...document.querySelectorAll('.jp-InputArea-prompt')];
    const pending = () => unanswered.size || prompts().some(prompt => prompt.textContent.includes('*'));
    const after = (seconds, value) => new Promise(done => setTimeout(done, 1000 * seconds, value));
    const answered = async () => {
        do {
            while (pending()) await after(0.1);
            await kernel.requestKernelInfo();
        } while (pending());
        return true;
    };
    return Promise.race([answered(), after(limit, false)]);
}"""


def open_notebook(visit: Visit, path: str) -> Notebook:
    """Open `path` and nothing else, with a kernel of its own."""
    if "/lab" not in visit.page.url:
        visit.open("lab", "#jp-MainLogo")
    visit.show(path, ".jp-Notebook .jp-Cell")
    visit.page.evaluate(READY)
    return Notebook(visit)
