"""The folder of a model that is retrained from time to time, and replaced when a better one is there.

```
LINE/current       a link to the model that serves
LINE/line.json     {"set": the prepared set that it knows}
LINE/0001, ...     attempts to replace it: begun.json, the run, verdict.json
```
"""

import json
import os
from pathlib import Path

from prodgen_jax.data.prepared import PreparedSet, open_prepared
from prodgen_jax.deploy.wish import check_servable
from prodgen_jax.errors import InputError
from prodgen_jax.training.run import Run, open_run

CURRENT, LINE, BEGUN, VERDICT = "current", "line.json", "begun.json", "verdict.json"


def opened(line: Path, start: Run | None, before: PreparedSet | None) -> tuple[Run, PreparedSet]:
    """The model that serves and the set that it knows; a line that is not there yet is begun with those given."""
    there = (line / LINE).exists()
    if there and start is not None:
        raise InputError(f"{line}: has a model already; leave --from out, or begin another line")
    if not there and (start is None or before is None):
        raise InputError(
            f"{line}: no such line; begin it with a model and the set that it learned from: --from, --before"
        )
    current = start or open_run(line / CURRENT)
    before = before or open_prepared(known(line))
    check_servable(current)
    if current.config["fingerprint"] != before.fingerprint:
        raise InputError(f"{before.path}: is not the set that {current.path} learned from; say which by --before")
    if not there:
        line.mkdir(parents=True, exist_ok=True)
        promote(line, current.path, before)
    return current, before


def known(line: Path) -> str:
    try:
        return json.loads((line / LINE).read_text(encoding="utf-8"))["set"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{line / LINE}: damaged ({error!r}); say by --before which set the current model knows"
        ) from error


def attempt(line: Path, after: PreparedSet) -> Path:
    """The folder of this attempt: a new one, or the last one if it was interrupted while learning from this set."""
    done = sorted(path for path in line.iterdir() if path.name.isdigit())
    if done and not (done[-1] / VERDICT).exists() and begun(done[-1]) == after.fingerprint:
        return done[-1]
    place = line / f"{int(done[-1].name) + 1 if done else 1:04d}"
    place.mkdir()
    write(place / BEGUN, {"fingerprint": after.fingerprint})
    return place


def begun(place: Path) -> str:
    file = place / BEGUN
    return json.loads(file.read_text(encoding="utf-8"))["fingerprint"] if file.exists() else ""


def promote(line: Path, model: Path, knows: PreparedSet) -> None:
    """`current` becomes a link to the model, in one step: who opens it finds the old one or the new one."""
    link = line / f"{CURRENT}.partial"
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(model.resolve(), line.resolve()))
    link.replace(line / CURRENT)
    write(line / LINE, {"set": str(knows.path.resolve())})


def write(file: Path, what: dict) -> None:
    part = file.with_name(f"{file.name}.partial")
    part.write_text(json.dumps(what, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(file)
