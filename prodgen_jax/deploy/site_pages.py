"""The site's source folder: the executed notebooks with a stamp each, and the first page."""

import json
import re
import shutil
from html import escape
from pathlib import Path
from urllib.parse import quote

from prodgen_jax.evaluation.tables import plain

TITLE = "Product photos, generated and measured"
PROMISE = "From a catalog to generated product photos, with every method's quality measured the same way."
DISPLAYED = re.compile(
    r"\n*^(\$\$.+?\$\$)[ \t]*$\n*", re.MULTILINE | re.DOTALL
)  # Jupyter needs no blank lines, MyST does
NO_CONTENTS = "---\nhtml_theme.sidebar_secondary.remove: true\n---"  # the first page has one heading
ROW = 5  # figures of a notebook on the first page, its first one included


def text_cells(notebook: dict) -> list[str]:
    return ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "markdown"]


def headline(notebook: dict, fallback: str) -> tuple[str, str]:
    """Title and promise: the first `#` heading, and the first paragraph of plain text after it."""
    blocks = re.split(r"\n\s*\n", "\n\n".join(text_cells(notebook)).strip())
    lines = [line for block in blocks for line in (block.split("\n", 1) if block.startswith("# ") else [block])]
    title = next((n for n, line in enumerate(lines) if line.startswith("# ")), None)
    if title is None:
        return fallback, ""
    plain = (line for line in lines[title + 1 :] if line.strip() and line.lstrip()[0] not in "#![<|$:`")
    return lines[title][2:].strip(), " ".join(next(plain, "").split())


def stamp_line(record: dict) -> str:
    """Time, device, commit, data and versions in one line of small print."""
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    facts = {
        "executed": f"{record['when']} in {record['seconds']:.0f} s",
        "on": record["device"],
        "commit": record["commit"],
        "data": record["data"],
        "with": versions,
    }
    smoke = " · **smoke run: tiny settings, the numbers mean nothing**" if record["smoke"] else ""
    return " · ".join(f"{name} {value}" for name, value in facts.items()) + smoke


def readable(cell: dict) -> dict:
    """A cell for MyST: displayed equations between blank lines, papermill's parameters folded."""
    if cell["cell_type"] == "markdown":
        return {**cell, "source": DISPLAYED.sub(r"\n\n\1\n\n", "".join(cell["source"]))}
    tags = cell["metadata"].get("tags", [])
    if "injected-parameters" in tags:
        return {**cell, "metadata": {**cell["metadata"], "tags": [*tags, "hide-input"]}}
    return cell


def stamped(notebook: dict, record: dict, colab: str | None, name: str) -> dict:
    """The notebook with its stamp, and a Colab link if there is an address, right under the title."""
    link = f' · <a href="{colab.rstrip("/")}/{name}">open in Colab</a>' if colab else ""
    small = f":::{{container}} pg-stamp\n{stamp_line(record)}{link}\n:::"
    cells = [readable(cell) for cell in notebook["cells"]]
    for index, cell in enumerate(cells):
        source = "".join(cell["source"])
        heading = re.search(r"^# .*$", source, re.MULTILINE)
        if cell["cell_type"] == "markdown" and heading:
            text = f"{source[: heading.end()]}\n\n{small}\n{source[heading.end() :]}"
            cells[index] = {**cell, "source": text}
            return {**notebook, "cells": cells}
    first = {"cell_type": "markdown", "id": "stamp", "metadata": {}, "source": f"# {Path(name).stem}\n\n{small}"}
    return {**notebook, "cells": [first, *cells]}


def copy_figures(stem: str, out: Path, pages: Path) -> list[str]:
    """A notebook's figures, brought beside the pages; their paths there, the first one being the largest."""
    found = sorted((out / "work" / "figures" / stem).glob("*.png"))[:ROW]
    place = pages / "figures" / stem
    place.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copy(path, place)).relative_to(pages).as_posix() for path in found]


def written(out: Path) -> dict[str, dict]:
    """{name: record} of what notebooks wrote with a page beside it."""
    found = sorted((out / "work" / "records").glob("*.html"))
    return {page.stem: json.loads(page.with_suffix(".json").read_text(encoding="utf-8")) for page in found}


def picture(path: str, title: str, kind: str, link: str) -> str:
    """An image that leads to its page; its file name is its description."""
    said = re.sub(r"[_\W]+", " ", re.sub(r"^\d+[_-]*", "", Path(path).stem)).strip()
    return f"```{{image}} {path}\n:alt: {title.replace('`', '')}: {said}\n:class: {kind}\n:target: {link}.html\n```"


def card(stem: str, title: str, promise: str, figures: list[str]) -> str:
    """One notebook on the first page: title, promise, its first figure, a row of the others."""
    parts = [f"::::{{container}} pg-card\n[{title}]({stem}.ipynb)", promise]
    parts += [picture(path, title, "pg-hero", stem) for path in figures[:1]]
    if len(figures) > 1:
        row = "\n".join(picture(path, title, "pg-small", stem) for path in figures[1:])
        parts.append(f":::{{container}} pg-row\n{row}\n:::")
    return "\n\n".join(part for part in parts if part) + "\n::::"


def records_table(found: dict[str, dict]) -> str:
    """Links to the pages of records, which stand in html/records, nearest to the catalog first."""
    if not found:
        return ""
    ranked = sorted(found.items(), key=lambda item: item[1]["samples"]["fcd"])
    rows = []
    for stem, record in ranked:
        link = f'<a href="records/{quote(stem)}.html">{escape(record["name"] or stem)}</a>'
        at, copies = record["samples"], record["copies"]
        shares = (f"{at[key]:.2f}" for key in ("precision", "recall", "coverage"))
        rows.append(" | ".join([link, plain(at["fcd"]), *shares, f"{copies['copies']} / {copies['of']}"]))
    head = "record | FCD | precision | recall | coverage | copies"
    return "\n".join(["## Records", "", *(f"| {line} |" for line in (head, "---|---:|---:|---:|---:|---:", *rows))])


def index(cards: list[str], stems: list[str], record: dict, lead: str | None, records: str = "") -> str:
    """The first page, as MyST text."""
    figure = f"```{{image}} {lead}\n:alt: overview\n:class: pg-lead\n```" if lead else ""
    grid = ":::::{container} pg-grid\n" + "\n\n".join(cards) + "\n:::::"
    contents = "```{toctree}\n:hidden:\n" + "\n".join(stems) + "\n```"
    small = f":::{{container}} pg-stamp\n{stamp_line(record)}\n:::"
    return (
        "\n\n".join(
            part for part in [NO_CONTENTS, f"# {TITLE}", PROMISE, figure, small, grid, records, contents] if part
        )
        + "\n"
    )


def write_source(paths: list[Path], out: Path, records: dict[str, dict], colab: str | None) -> Path:
    """Fill OUT/source with all that Sphinx reads; returns that folder.

    WORK/figures/index.png, if a notebook made one, leads the first page.
    """
    pages = out / "source"
    shutil.rmtree(pages, ignore_errors=True)
    pages.mkdir(parents=True)
    cards = []
    for path in paths:
        notebook = json.loads((out / "executed" / path.name).read_text(encoding="utf-8"))
        (pages / path.name).write_text(json.dumps(stamped(notebook, records[path.stem], colab, path.name)))
        title, promise = headline(notebook, path.stem)
        cards.append(card(path.stem, title, promise, copy_figures(path.stem, out, pages)))
    whole = dict(max(records.values(), key=lambda r: r["when"]))
    whole["seconds"] = sum(r["seconds"] for r in records.values())
    lead = out / "work" / "figures" / "index.png"
    found = Path(shutil.copy(lead, pages)).name if lead.is_file() else None
    text = index(cards, [p.stem for p in paths], whole, found, records_table(written(out)))
    (pages / "index.md").write_text(text, encoding="utf-8")
    return pages
