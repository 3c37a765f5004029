"""What a training leaves in its folder, so that it can be stopped at any moment and gone on with."""

import csv
import json
from collections.abc import Collection, Mapping
from pathlib import Path

from torch import Tensor, nn

from ganedu import checkpoints


def resume(path: Path, parts: dict, recipe: Mapping, longer: str | None = "epochs") -> dict:
    """Fill ``parts`` from the state in ``path`` and return its meta; {} where there is none.

    Raises ValueError where that run has another recipe (but for ``longer``, the field that says how long it
    is) or another model or is beyond what is asked for, or the file is no training's; ``parts`` are then as
    they were.
    """
    if not path.exists():
        return {}
    tensors, meta = checkpoints.load(path)
    if "recipe" not in meta:
        raise ValueError(
            f"{path}: expected the state of a training, found none; remove it or name another folder"
        )
    then, now = meta["recipe"], json.loads(json.dumps(dict(recipe)))  # tuples as the lists that JSON has
    other = [k for k in then | now if k != longer and (k not in then or k not in now or then[k] != now[k])]
    if other:
        was, is_now = ({k: told.get(k, "not recorded") for k in other} for told in (then, now))
        raise ValueError(
            f"{path.parent}: holds a run with {was}, not {is_now}; remove it or name another folder"
        )
    done = meta["progress"]["step"] if "progress" in meta else meta["epoch"] + 1
    if longer and done > recipe[longer]:
        raise ValueError(
            f"{longer}: {path.parent} holds a run of {done}, more than the {recipe[longer]} asked for; "
            f"ask for {done}, or name another folder"
        )
    check_fits(tensors, parts, path.parent)
    checkpoints.unpack(tensors, **parts)
    return meta


def check_fits(tensors: Mapping[str, Tensor], parts: dict, folder: Path) -> None:
    """Raise ValueError where the modules among ``parts`` have other weights than those in ``tensors``.

    Before anything is copied: ``load_state_dict`` would fill what fits and then complain.
    """
    modules = {name: part for name, part in parts.items() if isinstance(part, nn.Module)}
    ours = {name: tuple(value.shape) for name, value in checkpoints.pack(**modules).items()}
    theirs = {k: tuple(v.shape) for k, v in tensors.items() if k.split(".")[0] in modules}
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            raise ValueError(
                f"{folder}: holds a run of another model: {name} has shape {theirs.get(name)} there and "
                f"{ours.get(name)} here; remove it or name another folder"
            )


def append_row(path: Path, **row: float | None) -> None:
    """Add a row, whose first column counts epochs or steps.

    Rows from there on, left by a run that was cut short after it wrote them, are replaced. A column that is
    in other rows alone is empty in this one, and the other way round.

    Raises ValueError, and leaves the file alone, where it does not count the same.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    count = next(iter(row))
    rows = []
    if path.exists():
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    try:
        rows = [old for old in rows if int(old[count]) < row[count]]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: expected rows of a training, with a column {count}; remove it or name another folder"
        ) from error
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for each in [row, *rows] for name in each)))
        writer.writeheader()
        writer.writerows([*rows, row])
    part.replace(path)


def write_json(path: Path, what: dict) -> Path:
    """Whole or not at all."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(what, indent=2) + "\n", encoding="utf-8")
    return part.replace(path)


def read_columns(path: Path) -> dict[str, list[float]]:
    """The columns of such a file; an empty cell is NaN."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name] or "nan") for row in rows] for name in rows[0]}


def draw_losses(folder: Path) -> Path:
    """``loss.png`` from the ``loss.csv`` beside it."""
    from ganedu import viz

    columns = read_columns(folder / "loss.csv")
    steps = columns.pop("step")
    names = {"loss": "training", "held_out": "held out"}
    curves = {names[name]: values for name, values in columns.items()}
    return viz.save(viz.training.losses(steps, curves), folder / "loss.png")


def draw_game(folder: Path, players: Collection[str]) -> Path:
    """``loss.png`` of a game from the ``loss.csv`` beside it, where all columns but the players' are figures
    of merit."""
    from ganedu import viz

    columns = read_columns(folder / "loss.csv")
    steps = columns.pop("step")
    losses = {name: columns.pop(name) for name in players}
    return viz.save(viz.training.game(steps, losses, columns), folder / "loss.png")
