"""A picture with controls: the skin over a pure function that every demo shares.

ipywidgets swallows what a callback raises: the reader moves a slider, and nothing happens. A panel says what
went wrong, and keeps the last good picture.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from ipywidgets import Box, Button, Image, Label, VBox, Widget
from ipywidgets.widgets.widget_description import DescriptionWidget

from ganedu.viz.figure import Figure, png


class Picture(DescriptionWidget, Image):
    """An image with a tooltip: a browser shows none of ipywidgets 8 that has no description beside it."""


def beside_its_stops(slider: Widget) -> bool:
    """Whether the handle can not stand where the value is; False for what is no slider with steps.

    A browser moves such a handle to the nearest stop. A logarithmic slider then sends its new value back some
    time after the page is there, and the picture is no longer the one that Reset brings back.
    """
    if not all(hasattr(slider, name) for name in ("min", "max", "step")):
        return False
    place = math.log(slider.value, slider.base) if hasattr(slider, "base") else slider.value
    steps = (place - slider.min) / slider.step
    return abs(steps - round(steps)) > 1e-6 and place != slider.max


class Panel(VBox):
    """``draw(**values)`` below the ``controls`` that hold the values.

    draw      pure: the values of all controls, by name, -> a figure of ``ganedu.viz``, in at most 0.3 s
    controls  {argument of ``draw``: a widget with ``value`` and ``description``}
    tooltip   what the picture shows, for those who cannot see it
    still     values of some controls that a page where nothing moves shows in place of the first ones, where
              these hold the answer back until a reader has predicted it

    Raises ValueError for a slider that begins between two of its stops.

    A test does what a reader's hand does: ``panel.controls[name].value = ...``; ``panel.error`` is then what
    the drawing raised, or None. Exported to a page where nothing moves, a panel is its picture.
    """

    def __init__(
        self,
        draw: Callable[..., Figure],
        controls: Mapping[str, Widget],
        tooltip: str,
        still: Mapping[str, Any] | None = None,
    ):
        self.draw, self.controls, self.still = draw, dict(controls), dict(still or {})
        self.error: Exception | None = None
        self._waiting = False
        for name, control in self.controls.items():
            if beside_its_stops(control):
                stops = f"from {control.min} in steps of {control.step}"
                raise ValueError(f"controls: {name} begins at {control.value}, beside its stops, {stops}")
        begin = self.values()
        self.picture = Picture(
            format="png", tooltip=tooltip, layout={"max_width": "100%", "align_self": "flex-start"}
        )
        self.message = Label(style={"text_color": "#a00000"})
        self.reset = Button(description="Reset", tooltip="All controls as they were", icon="undo")
        self.reset.on_click(lambda _: self.set(**begin))
        row = {"flex_flow": "row wrap", "align_items": "center"}
        super().__init__([Box([*self.controls.values(), self.reset], layout=row), self.message, self.picture])
        for control in self.controls.values():
            control.observe(lambda _: self.refresh(), "value")
        self.refresh()

    def values(self) -> dict[str, Any]:
        """What each control holds."""
        return {name: control.value for name, control in self.controls.items()}

    def set(self, **values: Any) -> None:
        """Give these controls their values, and draw once."""
        self._waiting = True
        try:
            for name, value in values.items():
                self.controls[name].value = value
        finally:
            self._waiting = False
        self.refresh()

    def refresh(self) -> None:
        """Draw again, or say why not."""
        if self._waiting:
            return
        try:
            picture = png(self.draw(**self.values()))
        except Exception as error:  # shown to the reader, who would otherwise see nothing happen
            self.error, self.message.value = error, f"{type(error).__name__}: {error}"
        else:
            self.error, self.message.value, self.picture.value = None, "", picture

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        still = png(self.draw(**self.values() | self.still)) if self.still else bytes(self.picture.value)
        return (super()._repr_mimebundle_(**options) or {}) | {"image/png": still}
