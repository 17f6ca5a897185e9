"""The report on two small notebooks: it renders, asks nobody, keeps what is unchanged, and names what fails."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from prodgen_jax.deploy.site import OWN_MINUTES, batches, build_report, parameters, waves
from prodgen_jax.deploy.site_pages import headline
from prodgen_jax.deploy.site_run import COMPILE_FAST, COMPILE_SOON, environment
from prodgen_jax.deploy.site_stamp import data_fingerprint
from prodgen_jax.errors import InputError

PARAMETERS = 'DATA = "demo"  # a name or a folder\nSMOKE = False\nWORK = "work"\nMINUTES = 1.0'
PLOT = """import matplotlib.pyplot as plt
import numpy as np
from pathlib import Path
folder = Path(WORK) / "figures" / "{stem}"
folder.mkdir(parents=True, exist_ok=True)
for i, width in enumerate((9, 3, 3, 3)):
    figure, axis = plt.subplots(figsize=(width, 3), layout="constrained")
    axis.plot(np.sin(np.arange(40) / (i + 2)))
    figure.savefig(folder / f"{{i}}_curve_of_{{i}}.png")
    plt.close(figure) if i else plt.show()"""
TABLE = """from IPython.display import HTML
row = "<tr>" + "".join(f"<td>column {i} = {i / 7:.6f}</td>" for i in range(14)) + "</tr>"
HTML(f"<table>{row * 3}</table>")"""
PROSE = r"""## Idea
The bound, with $\mathbb{E}$ inline and a long one displayed:
$$
\log p(x) \ge \mathbb{E}_{q(z \mid x)}[\log p(x \mid z)] - \mathrm{KL}\bigl(q(z \mid x) \,\|\, p(z)\bigr)
= \sum_{i=1}^{n} \frac{1}{2}\left(\mu_i^2 + \sigma_i^2 - 1 - \log \sigma_i^2\right)
$$
\begin{align} x_t &= \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\, \epsilon \end{align}

<details><summary>Solution</summary>

It is $z = \mu + \sigma \epsilon$.

</details>"""


RECORD = """
import json
from pathlib import Path

place = Path(WORK, "records")
place.mkdir(exist_ok=True, parents=True)
for stem, name, fcd in (("a", "", 12), ("b c", "b <c>", 7.5), ("no page", "d", 1)):
    measures = {"fcd": fcd, "precision": 0.5, "recall": 0.5, "coverage": 0.5}
    record = {"name": name, "samples": measures, "copies": {"copies": 0, "of": 9}}
    (place / f"{stem}.json").write_text(json.dumps(record))
    if stem != "no page":
        (place / f"{stem}.html").write_text(f"page of {stem}")
"""


def write_notebook(folder: Path, stem: str, title: str, extra: str = "") -> Path:
    new = nbformat.v4
    cells = [
        new.new_markdown_cell(f"# {title}\n\nA promise for *{stem}*, with $x^2$ in it."),
        new.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
        new.new_markdown_cell(PROSE),
        new.new_code_cell(PLOT.format(stem=stem)),
        new.new_code_cell(TABLE),
        new.new_code_cell(f'print("DATA", DATA, "SMOKE", SMOKE, "{"wide " * 60}")\n{extra}'),
    ]
    folder.mkdir(exist_ok=True)
    path = folder / f"{stem}.ipynb"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new.new_notebook(cells=cells, metadata=kernel), path)
    return path


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Iterator[tuple[Path, Path]]:
    """The notebooks' folder and the report made from it, with the package held still."""
    root = tmp_path_factory.mktemp("report")
    write_notebook(root / "notebooks", "01_data", "The data")
    write_notebook(root / "notebooks", "02_vae", "Variational autoencoder", extra=RECORD)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("prodgen_jax.deploy.site.source_hash", lambda: "sources")
        build_report(root / "notebooks", root / "out", smoke=True, colab="colab-address/folder")
        yield root / "notebooks", root / "out"


def pages(out: Path) -> dict[str, str]:
    return {p.name: p.read_text(encoding="utf-8") for p in (out / "html").glob("*.html")}


def test_each_page_has_its_parts(report):
    text = pages(report[1])
    assert "SMOKE True" in text["01_data.html"] and "executed" in text["02_vae.html"]
    assert 'href="colab-address/folder/01_data.ipynb">open in Colab' in text["01_data.html"]
    assert text["01_data.html"].count(r"\[") == 2 and ">$" not in text["01_data.html"]
    assert r"\bar\alpha_t" in text["01_data.html"] and "<details>" in text["01_data.html"]
    for stem, title in (("01_data", "The data"), ("02_vae", "Variational autoencoder")):
        assert f'href="{stem}.html"' in text["index.html"] and title in text["index.html"]
    assert text["index.html"].count("pg-hero") == 2 and text["index.html"].count("pg-small") == 6
    assert "A promise for <em>01_data</em>" in text["index.html"]


def test_records_are_listed_with_their_pages(report):
    """The nearest to the catalog first; what a name holds is no HTML; a record without a page is not listed."""
    text, html = pages(report[1])["index.html"], report[1] / "html"
    rows = re.findall(r'href="records/([^"]+)\.html">([^<]*)</a>.*?<p>([\d.]+)</p>', text, re.DOTALL)
    assert rows == [("b%20c", "b &lt;c&gt;", "7.50"), ("a", "a", "12.0")]
    assert (html / "records" / "a.html").read_text() == "page of a" and (html / "records" / "b c.html").is_file()


def test_no_page_asks_the_network(report):
    html = report[1] / "html"
    asks = re.compile(
        r'(?:src|srcset|data-src)="(?:https?:)?//|<link[^>]+href="(?:https?:)?//|@import\s+["\']?(?:https?:)?//'
    )
    assert not {name: found for name, text in pages(report[1]).items() if (found := asks.findall(text))}
    styles = {p: p.read_text(encoding="utf-8") for p in html.rglob("*.css")}
    assert styles and not [
        p for p, text in styles.items() if re.search(r"url\(['\"]?(?:https?:)?//|@import ['\"]?(?:https?:)?//", text)
    ]
    used = {m for text in pages(report[1]).values() for m in re.findall(r'(?:src|href)="(_[^"?#]+)', text)}
    assert any("tex-svg" in name for name in used)
    assert [name for name in used if not (html / name).is_file()] == []


@pytest.mark.slow
def test_what_is_unchanged_is_not_executed_again(report):
    notebooks, out = report
    before = {p.name: p.stat().st_mtime_ns for p in (out / "executed").glob("*.ipynb")}
    write_notebook(notebooks, "02_vae", "Variational autoencoder", extra="2 + 2")
    build_report(notebooks, out, smoke=True)
    after = {p.name: p.stat().st_mtime_ns for p in (out / "executed").glob("*.ipynb")}
    assert after["01_data.ipynb"] == before["01_data.ipynb"] and after["02_vae.ipynb"] > before["02_vae.ipynb"]
    assert "open in Colab" not in pages(out)["01_data.html"]


@pytest.mark.slow
def test_a_failure_names_notebook_cell_and_error(tmp_path):
    notebooks, out = tmp_path / "notebooks", tmp_path / "out"
    write_notebook(notebooks, "03_gan", "GAN", extra='raise ValueError("loss is NaN")')
    with pytest.raises(InputError, match=r"03_gan\.ipynb, cell 6 .*\n(.*\n)*.*ValueError: loss is NaN"):
        build_report(notebooks, out)
    log = (out / "logs" / "03_gan.log").read_text()
    assert "Traceback" in log and "\x1b" not in log
    assert not (out / "executed" / "03_gan.json").exists()


def test_a_folder_without_notebooks(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        build_report(tmp_path / "absent", tmp_path / "out")
    with pytest.raises(InputError, match="no numbered notebook"):
        build_report(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("# T\n\nPromise\nin two lines.\n\nMore.", ("T", "Promise in two lines.")),
        ("# T\nRight below.", ("T", "Right below.")),
        ("# T\n\n[![Colab](a)](b)\n\nAfter the badge.", ("T", "After the badge.")),
        ("no title", ("name", "")),
    ],
)
def test_headline(source, expected):
    assert headline({"cells": [{"cell_type": "markdown", "source": source}]}, "name") == expected


def test_data_fingerprint_follows_the_data(tmp_path):
    file = tmp_path / "catalog.csv"
    file.write_text("a")
    first = data_fingerprint(str(file))
    file.write_text("ab")
    assert data_fingerprint(str(file)) != first
    (tmp_path / "prepared.json").write_text(json.dumps({"fingerprint": "f" * 64}))
    assert data_fingerprint(str(tmp_path)) == "f" * 12
    assert data_fingerprint("demo") == "demo"


def test_a_smoke_run_keeps_the_order_of_what_needs_each_other():
    names = ("00_a", "01_b", "10_c", "20_d", "41_e", "70_f", "90_g")
    found = [[path.stem for path in wave] for wave in waves([Path(f"{name}.ipynb") for name in names])]
    assert found == [["00_a"], ["01_b"], ["10_c", "20_d", "41_e"], ["70_f", "90_g"]]


def test_a_smoke_run_compiles_fast_and_keeps_the_flags_that_are_set(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    own = "--xla_force_host_platform_device_count=2"
    assert environment(smoke=True, device="2 x cpu")["XLA_FLAGS"] == f"{COMPILE_FAST} {own}"
    assert environment(smoke=False, device="1 x cpu")["XLA_FLAGS"] == f"{COMPILE_SOON} {own}"
    assert environment(smoke=False, device="1 x NVIDIA H100")["XLA_FLAGS"] == own


def test_data_of_ones_own_is_trained_on_for_longer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where no folder is called demo
    assert "MINUTES" not in parameters(tmp_path, None, False, None) | parameters(tmp_path, "demo", False, None)
    assert parameters(tmp_path, str(tmp_path), False, None)["MINUTES"] == OWN_MINUTES
    assert parameters(tmp_path, str(tmp_path), False, 0.5)["MINUTES"] == 0.5
    (tmp_path / "demo").mkdir()
    assert parameters(tmp_path, "demo", False, None)["MINUTES"] == OWN_MINUTES


def test_what_is_timed_has_the_machine_for_itself(tmp_path):
    sources = {
        "00_start": "x = 1",
        "10_data": "x = 2",
        "20_gan": "MINUTES = 1.5",
        "40_speed": "begun = time.perf_counter()",
        "50_text": "x = 3",
        "70_evaluation": "x = 4",
        "90_scaling": "STEPS = 1500",
        "91_speed": "time.perf_counter()",
    }
    paths = [tmp_path / f"{name}.ipynb" for name in sources]
    for path, source in zip(paths, sources.values(), strict=True):
        cells = [nbformat.v4.new_markdown_cell("MINUTES of reading"), nbformat.v4.new_code_cell(source)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)

    def found(own):
        return [[path.stem for path in batch] for batch in batches(paths, smoke=False, own=own)]

    others = ["90_scaling", "70_evaluation", "50_text", "20_gan", "10_data"]  # the longest begins first
    assert found(own=False) == [["00_start"], ["40_speed"], others, ["91_speed"]]
    others.remove("20_gan")  # on data of one's own what it trains is what it shows
    assert found(own=True) == [["00_start"], ["20_gan"], ["40_speed"], others, ["91_speed"]]
    assert [set(batch) for batch in batches(paths, smoke=True)] == [set(wave) for wave in waves(paths)]
