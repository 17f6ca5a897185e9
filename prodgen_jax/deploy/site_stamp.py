"""What a report was made from: sources, data, commit, versions and device, as short strings."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
SHORT = 12  # hex digits that are shown

# Asked of a process of its own: a TPU belongs to one process at a time, and the notebooks need it.
PROBE = """
import importlib.metadata as m, json, platform, jax
devices = jax.devices()
print(json.dumps({"device": f"{len(devices)} x {devices[0].device_kind}",
    "versions": {"python": platform.python_version(), **{p: m.version(p) for p in ("jax", "flax", "optax")}}}))
"""


def digest(*parts: bytes) -> str:
    """One short hash of several byte strings; their borders count."""
    total = hashlib.sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()[:SHORT]


def source_hash() -> str:
    """Of all Python files of the package, save those that only lay out the report."""
    files = sorted(p for p in PACKAGE.rglob("*.py") if not p.name.startswith("site") and p.parent.name != "cli")
    return digest(*(part for p in files for part in (p.relative_to(PACKAGE).as_posix().encode(), p.read_bytes())))


def data_fingerprint(data: str | None) -> str:
    """A prepared set's own; for other paths a hash of names, sizes and times; a name stands for itself."""
    if data is None:
        return "the notebooks' own"
    path = Path(data)
    if not path.exists():
        return data
    meta = path / "prepared.json"
    if meta.is_file():
        return str(json.loads(meta.read_text()).get("fingerprint", ""))[:SHORT]
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return digest(*(f"{p.relative_to(path.parent)} {p.stat().st_size} {p.stat().st_mtime_ns}".encode() for p in files))


def _output(command: list[str], folder: Path | None = None) -> str | None:
    """What a command prints, or None if it cannot be run or fails."""
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def commit(folder: Path) -> str:
    """Short commit of the checkout, `+` when files differ from it; 'none' outside of git."""
    name = _output(["git", "rev-parse", "--short", "HEAD"], folder)
    changed = _output(["git", "status", "--porcelain", "--untracked-files=no"], folder)
    return name + ("+" if changed else "") if name else "none"


def machine(folder: Path) -> dict:
    """{"commit", "device", "versions"} of this run."""
    probed = _output([sys.executable, "-c", PROBE])
    known = json.loads(probed.splitlines()[-1]) if probed else {"device": "unknown", "versions": {}}
    return {"commit": commit(folder), **known}
