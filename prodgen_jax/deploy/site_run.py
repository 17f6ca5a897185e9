"""Execute one notebook, once: papermill's parameters, nbclient's kernel, a record of what it was made from."""

import json
import os
import re
import time
from importlib.metadata import version
from pathlib import Path

from prodgen_jax.deploy.site_stamp import PACKAGE, digest
from prodgen_jax.errors import InputError
from prodgen_jax.progress import Progress

# Half the time to compile. XLA ends a process whose flags it does not know, and of jax 0.12 it does not know this one.
NO_EMITTERS = "--xla_cpu_use_fusion_emitters=false " if version("jax").startswith("0.10.") else ""
COMPILE_FAST = (  # XLA's flags for what runs a few times: compiled soon, and not well
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    f"{NO_EMITTERS}--xla_cpu_parallel_codegen_split_count=1"
)
COMPILE_SOON = (  # for CPUs: a fifth to a third less to compile, and steps of the methods here take no longer
    "--xla_backend_optimization_level=1 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_parallel_codegen_split_count=1"
)
COLORS = re.compile(r"\x1b\[[0-9;]*m")  # a traceback's terminal colors


def key(path: Path, values: dict, stamp: dict, source: str) -> str:
    """Hash of all that a notebook's outputs depend on; its own outputs and metadata do not count."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = [[c["cell_type"], "".join(c["source"]), sorted(c["metadata"].get("tags", []))] for c in cells]
    facts = [text, values, source, stamp["data"], stamp["versions"], stamp["device"]]
    return digest(json.dumps(facts, sort_keys=True).encode())


def places(path: Path, out: Path) -> tuple[Path, Path]:
    """The executed copy and its record."""
    copy = out / "executed" / path.name
    return copy, copy.with_suffix(".json")


def fresh(path: Path, out: Path, values: dict, stamp: dict, source: str) -> dict | None:
    """The record of the executed copy, if there is one and nothing that it was made from changed."""
    copy, note = places(path, out)
    if not (copy.is_file() and note.is_file()):
        return None
    record = json.loads(note.read_text())
    return record if record["key"] == key(path, values, stamp, source) else None


def execute(path: Path, out: Path, values: dict, stamp: dict, source: str, what: str) -> dict:
    """Run a notebook in its own folder and keep the executed copy with its record.

    InputError with the notebook, the cell and the end of the traceback, which OUT/logs/NAME.log holds in full.
    """
    import nbformat

    copy, note = places(path, out)
    note.unlink(missing_ok=True)
    record = {"key": key(path, values, stamp, source), **stamp, "smoke": values["SMOKE"]}
    begun = time.monotonic()
    added = environment(values["SMOKE"], stamp["device"])
    notebook = run_cells(path, values, what, out / "logs" / f"{path.stem}.log", added)
    nbformat.write(notebook, copy)
    record |= {
        "seconds": round(time.monotonic() - begun, 1),
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }
    note.write_text(json.dumps(record, indent=1))  # last: an interrupted run leaves no record
    return record


def run_cells(path: Path, values: dict, what: str, log: Path, env: dict[str, str]):
    """The notebook with `values` in its parameters cell and its outputs filled in, by a kernel with this `env`."""
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    notebook = parameterize_notebook(load_notebook_node(str(path)), values)
    at = [0]  # the cell that runs
    code = sum(c.cell_type == "code" and bool(c.source.strip()) for c in notebook.cells)
    with Progress(code, what) as bar, log.with_suffix(".kernel.log").open("w") as said:
        client = NotebookClient(
            notebook,
            timeout=None,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
            on_cell_execute=lambda cell, cell_index: at.__setitem__(0, cell_index),
            on_cell_executed=lambda cell, cell_index, execute_reply: bar.advance(),
        )
        try:
            return client.execute(env=env, stderr=said)
        except CellExecutionError as error:
            log.write_text(COLORS.sub("", str(error)), encoding="utf-8")
            raise InputError(failure(path, notebook, at[0], log)) from None
        except (DeadKernelError, CellTimeoutError) as error:
            raise InputError(f"{where(path, notebook, at[0])}: its Python process ended ({error}). Memory?") from None


def environment(smoke: bool, device: str) -> dict[str, str]:
    """The kernel's: it imports this very package, installed or not; a smoke run compiles fast and not well.

    device: as `machine` names it; what does not pay on a GPU is asked of a CPU alone.

    numpy keeps to one thread: where two wait for the same cores as XLA's, a small matrix product takes four times as
    long, and large ones are XLA's.
    """
    added = {"PYTHONPATH": joined(os.pathsep, str(PACKAGE.parent), os.environ.get("PYTHONPATH"))}
    added["OPENBLAS_NUM_THREADS"] = os.environ.get("OPENBLAS_NUM_THREADS", "1")
    flags = COMPILE_FAST if smoke else COMPILE_SOON if device.endswith("cpu") else None
    if flags:
        added["XLA_FLAGS"] = joined(" ", flags, os.environ.get("XLA_FLAGS"))  # of two that differ the later one holds
    return os.environ | added


def joined(by: str, *parts: str | None) -> str:
    return by.join(part for part in parts if part)


def where(path: Path, notebook, index: int) -> str:
    """`03_gan.ipynb, cell 7 (state = fit(...)`: counted as the notebook's own cells, without the injected one."""
    own = sum("injected-parameters" not in c.metadata.get("tags", []) for c in notebook.cells[: index + 1])
    first = next((line for line in notebook.cells[index].source.splitlines() if line.strip()), "")
    return f"{path.name}, cell {own} ({first[:60]})"


def failure(path: Path, notebook, index: int, log: Path, lines: int = 4) -> str:
    """Where it failed, the last lines of the traceback, and where the rest is."""
    tail = [line for line in log.read_text(encoding="utf-8").splitlines() if line.strip()][-lines:]
    return "\n".join(
        [f"{where(path, notebook, index)} failed:", *(f"    {line}" for line in tail), f"all of it: {log}"]
    )
