"""A demo as a reader's hand has it: controls to move, a picture that changes, a line for what goes wrong."""

from __future__ import annotations

from typing import NamedTuple

from tests.browser.jupyterlab import Notebook, playwright

PANEL = ".jp-OutputArea-output .widget-vbox:has(> img.widget-image)"
CONTROL = ".widget-slider, .widget-dropdown, .widget-toggle-buttons, .widget-checkbox, .widget-play"
PLAYING = "button .fa-pause"
DIGEST = """async picture => {
    const bytes = await (await fetch(picture.src)).arrayBuffer();
    const digest = await crypto.subtle.digest('SHA-256', bytes);
    return [...new Uint8Array(digest)].map(byte => byte.toString(16).padStart(2, '0')).join('');
}"""


class Demo(NamedTuple):
    """One panel on a page."""

    notebook: Notebook
    panel: playwright.Locator

    @property
    def name(self) -> str:
        """What it is called in the cell that made it."""
        cell = self.panel.locator("xpath=ancestor::div[contains(@class, 'jp-CodeCell')]")
        return cell.locator(".cm-content").inner_text().strip().splitlines()[-1].strip("()").split(".")[-1]

    def controls(self) -> list[playwright.Locator]:
        return self.panel.locator(CONTROL).all()

    def picture(self) -> str:
        """A digest of the bytes of the picture that is shown."""
        return self.panel.locator("img.widget-image").evaluate(DIGEST)

    def message(self) -> str:
        """What the panel says went wrong; empty where nothing did."""
        return self.panel.locator("> .widget-label").inner_text().strip()

    def reset(self) -> None:
        self.panel.locator("button:has-text('Reset')").click()
        self.notebook.settle()

    def move(self, control: playwright.Locator) -> str:
        """Move a slider to its farther end, or take another choice, and wait until that is dealt with.

        Returns what the control is called.
        """
        name = self._move(control)
        self.notebook.settle()
        return name

    def _move(self, control: playwright.Locator) -> str:
        control.scroll_into_view_if_needed()
        kind = control.get_attribute("class")
        if "slider" in kind:
            self._drag(control)
        elif "dropdown" in kind:
            choices = control.locator("select")
            now = choices.evaluate("select => [select.selectedIndex, select.length]")
            choices.select_option(index=(now[0] + 1) % now[1])
        elif "toggle" in kind:
            control.locator("button:not(.mod-active)").first.click()
        elif "play" in kind:
            return self._play_a_while(control)
        else:
            control.locator("input").click()
        return control.locator("label").first.inner_text()

    def _play_a_while(self, control: playwright.Locator) -> str:
        """Play, and pause: what plays on would move the picture after the test is done with it."""
        picture, button = self.panel.locator("img.widget-image"), control.locator("button").first
        before = [picture.element_handle(), picture.get_attribute("src")]
        button.click()
        self.notebook.page.wait_for_function(
            "([picture, src]) => picture.src !== src", arg=before, polling=100
        )
        if control.locator(PLAYING).count():  # on a slow machine it has come to its end by now
            button.click()
        control.locator(PLAYING).wait_for(state="detached")
        return "play"

    def _drag(self, slider: playwright.Locator) -> None:
        track = slider.locator(".noUi-target").bounding_box()
        handle = slider.locator(".noUi-handle").last.bounding_box()
        begin = handle["x"] + handle["width"] / 2
        low, high = track["x"], track["x"] + track["width"]
        end = low + 0.9 * track["width"] if begin < (low + high) / 2 else low + 0.1 * track["width"]
        height = handle["y"] + handle["height"] / 2
        mouse = self.notebook.page.mouse
        mouse.move(begin, height)
        mouse.down()
        mouse.move(end, height)
        mouse.up()


def demos(notebook: Notebook) -> list[Demo]:
    """Every panel on the page, from top to bottom."""
    return [Demo(notebook, panel) for panel in notebook.page.locator(PANEL).all()]
