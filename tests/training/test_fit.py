"""A run on disk: what it holds, that stopping it any way changes nothing, and that no mistake harms it."""

import json
import shutil

import jax
import numpy as np
import pytest

from prodgen_jax.errors import InputError
from prodgen_jax.sampling.sample import sample
from prodgen_jax.training.fit import fit
from prodgen_jax.training.lock import alone
from prodgen_jax.training.run import open_run


def same(one, two):
    """Bit for bit: parameters, optimizers, averages, extra, key and step."""
    ends = [run._restored[0] for run in (one, two)]
    leaves = [jax.tree.leaves(end._replace(key=jax.random.key_data(end.key))) for end in ends]
    return all(np.array_equal(a, b) for a, b in zip(*leaves, strict=True))


def without_time(lines):
    return [{name: value for name, value in line.items() if name != "time_s"} for line in lines]


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the shared run, to be spoiled."""
    return shutil.copytree(run.path, tmp_path / "copy")


def test_a_run_folder_holds_what_it_says(run, tiny, tiny_recipe):
    held = ["checkpoints", "config.json", "metrics.jsonl", "samples", "tensorboard"]
    assert sorted(p.name for p in run.path.iterdir()) == held
    assert run.config["method"] == "vae" and run.config["fingerprint"] == tiny.fingerprint
    assert run.recipe == tiny_recipe("vae") and run.attributes == {k: list(v) for k, v in tiny.attributes.items()}
    assert run.step == 2 and run.seconds > 0 and [p.name for p in (run.path / "samples").iterdir()] == ["0000002.png"]
    assert [line["step"] for line in run.metrics] == [1, 2]
    assert {"time_s", "loss/elbo", "loss/kl", "loss/bits_per_dim", "grad/vae"} < set(run.metrics[0])
    assert set(run.params) == {"vae"}


def test_resume_through_disk_equals_the_straight_run(tiny, tiny_recipe, tmp_path):
    """Stopped at an odd step, where the lazy turn is not due."""
    made = tiny_recipe("dcgan")
    straight = fit(made, tiny, tmp_path / "straight", steps=6)
    fit(made, tiny, tmp_path / "twice", steps=3)
    twice = fit(made, tiny, tmp_path / "twice", steps=6, resume=True)
    assert twice.step == straight.step == 6 and same(straight, twice)
    lines = zip(without_time(straight.metrics), without_time(twice.metrics), strict=True)
    assert all(resumed.items() <= wanted.items() for wanted, resumed in lines)  # R1's is carried on from where it was
    sheets = [(run.path / "samples" / "0000006.png").read_bytes() for run in (straight, twice)]
    assert sheets[0] == sheets[1]


def test_lines_beyond_the_checkpoint_are_written_again(copy, tiny, tiny_recipe):
    lines = (copy / "metrics.jsonl").read_text()
    wrong = json.dumps({"step": 3, "time_s": 9.0, "loss/kl": -1.0})
    (copy / "metrics.jsonl").write_text(f'{lines}{wrong}\n{{"step": 4, "ti')
    resumed = fit(tiny_recipe("vae"), tiny, copy, steps=4, resume=True)
    assert [line["step"] for line in resumed.metrics] == [1, 2, 3, 4]
    assert resumed.metrics[2]["loss/kl"] >= 0 and (copy / "metrics.jsonl").read_text().startswith(lines)


def test_a_run_from_before_a_setting_was_added_goes_on(copy, tiny, tiny_recipe):
    """Its config lacks the setting; it counts as its default, and as nothing else."""
    config = json.loads((copy / "config.json").read_text())
    del config["settings"]["beta"]
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"beta: 1\.0 -> 2\.0"):
        fit(tiny_recipe("vae", beta=2.0), tiny, copy, steps=3, resume=True)
    assert fit(tiny_recipe("vae"), tiny, copy, steps=3, resume=True).step == 3


def test_minutes_end_a_run_and_those_spent_count_on_resume(tiny, tiny_recipe, tmp_path):
    made = tiny_recipe("vae")
    ended = fit(made, tiny, tmp_path / "run", minutes=0.02)
    assert ended.step >= 1 and ended.seconds >= 1.2
    assert fit(made, tiny, tmp_path / "run", minutes=0.02, resume=True).step == ended.step


def test_a_time_that_is_over_before_it_begins_makes_a_run_all_the_same(tiny, tiny_recipe, tmp_path):
    made = tiny_recipe("vae")
    assert fit(made, tiny, tmp_path / "run", minutes=1e-9).step == 1
    run = fit(made, tiny, tmp_path / "run", minutes=1e-9, resume=True)
    assert run.step == 1 and len(sample(run, 2)[0]) == 2


def test_training_reads_its_own_split_alone_and_writes_nothing_there(tiny, tiny_recipe, tmp_path, monkeypatch):
    """So no augmentation can reach what is held out."""
    before, opened, real = contents(tiny.path), [], type(tiny).split
    monkeypatch.setattr(type(tiny), "split", lambda self, name: opened.append(name) or real(self, name))
    fit(tiny_recipe("vae"), tiny, tmp_path / "run", steps=1)
    assert set(opened) == {"train"} and contents(tiny.path) == before


# --- mistakes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"lr": 5e-4}, r"lr: 0\.001 -> 0\.0005"),
        ({"batch": 8, "flip": False}, "batch: 16 -> 8; flip: True -> False"),
        ({"name": "dcgan"}, "method: vae -> dcgan"),
    ],
)
def test_other_settings_cannot_resume(copy, tiny, tiny_recipe, change, named):
    before = contents(copy)
    with pytest.raises(InputError, match=named):
        fit(tiny_recipe(**{"name": "vae", **change}), tiny, copy, steps=4, resume=True)
    assert contents(copy) == before


def test_a_setting_that_is_newer_than_the_run_does_not_keep_it_from_going_on(copy, tiny, tiny_recipe):
    config = json.loads((copy / "config.json").read_text())
    del config["settings"]["sheet_every"]
    (copy / "config.json").write_text(json.dumps(config))
    assert fit(tiny_recipe("vae"), tiny, copy, steps=3, resume=True).step == 3


def test_other_data_or_another_seed_cannot_resume(copy, noise_set, tiny, tiny_recipe):
    with pytest.raises(InputError, match="fingerprint: "):
        fit(tiny_recipe("vae"), noise_set(seed=1), copy, steps=4, resume=True)
    with pytest.raises(InputError, match="seed: 0 -> 1"):
        fit(tiny_recipe("vae"), tiny, copy, steps=4, resume=True, seed=1)


def test_a_run_is_not_overwritten(copy, tiny, tiny_recipe):
    before = contents(copy)
    with pytest.raises(InputError, match="there is a run already; add --resume"):
        fit(tiny_recipe("vae"), tiny, copy, steps=4)
    assert contents(copy) == before


def test_a_run_that_is_being_trained_is_left_alone(copy, tiny, tiny_recipe):
    with alone(copy / "config.json"), pytest.raises(InputError, match="another process is training this run now"):
        fit(tiny_recipe("vae"), tiny, copy, steps=4, resume=True)
    assert fit(tiny_recipe("vae"), tiny, copy, steps=4, resume=True).step == 4


def test_resume_starts_where_there_is_nothing(tiny, tiny_recipe, tmp_path):
    assert fit(tiny_recipe("vae"), tiny, tmp_path / "nowhere", steps=2, resume=True).step == 2


@pytest.mark.parametrize(
    "numbers",
    [{}, {"steps": 0}, {"steps": -3}, {"minutes": 0.0}, {"minutes": float("nan")}, {"seed": -1, "steps": 1}],
)
def test_numbers_that_make_no_run(tiny, tiny_recipe, tmp_path, numbers):
    named = next((f"{name}={value}" for name, value in numbers.items()), "--steps or --minutes")
    with pytest.raises(InputError, match=named):
        fit(tiny_recipe("vae"), tiny, tmp_path / "run", **numbers)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "settings", "named"),
    [
        ("ddpm", {"condition": "colour", "contrast": 0.2}, "'colour'"),
        ("vae", {"route": "disk"}, "route=disk"),
        ("vae", {"steps_per_dispatch": 0}, "steps_per_dispatch=0"),
    ],
)
def test_what_is_refused_leaves_no_run_behind(tiny, tiny_recipe, tmp_path, name, settings, named):
    with pytest.raises(InputError, match=named):
        fit(tiny_recipe(name, **settings), tiny, tmp_path / "run", steps=1)
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_no_number_stops_the_run_and_is_not_saved(tiny, tiny_recipe, tmp_path):
    made = tiny_recipe("vae", lr=1e30, checkpoint_every=1, log_every=3)
    with pytest.raises(InputError, match=r"step 2: (loss|grad)/\w+ is (nan|-?inf)"):
        fit(made, tiny, tmp_path / "run", steps=9)
    run = open_run(tmp_path / "run")
    assert run.step == 1 and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(run.params))
    assert [line["step"] for line in run.metrics] == [1]


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def largest(folder):
    return max((p for p in folder.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)


DAMAGE = {
    "half of the largest file": lambda step: truncate(largest(step)),
    "every file empty": lambda step: [p.write_bytes(b"") for p in step.rglob("*") if p.is_file()],
    "no state": lambda step: shutil.rmtree(step / "state"),
    "no meta": lambda step: shutil.rmtree(step / "meta"),
    "meta cut": lambda step: [truncate(p) for p in (step / "meta").rglob("*") if p.is_file()],
    "state's notes cut": lambda step: truncate(step / "state" / "_METADATA"),
    "nothing in it": lambda step: [shutil.rmtree(p) if p.is_dir() else p.unlink() for p in step.iterdir()],
}


def flip(path, share):
    data = bytearray(path.read_bytes())
    data[int(share * (len(data) - 1))] ^= 0b100
    path.write_bytes(data)


DAMAGE |= {f"a bit at {share:.0%}": lambda step, share=share: flip(largest(step), share) for share in (0.05, 0.5, 0.95)}


@pytest.fixture(scope="module")
def two_saved(tiny, tiny_recipe, tmp_path_factory):
    """(a run with checkpoints at 2 and 4, the straight run to 5)."""
    made, folder = tiny_recipe("vae", checkpoint_every=2), tmp_path_factory.mktemp("saved")
    return tuple(fit(made, tiny, folder / str(steps), steps=steps) for steps in (4, 5))


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(two_saved, tmp_path, capsys, damage):
    copy = shutil.copytree(two_saved[0].path, tmp_path / "copy")
    damage(copy / "checkpoints" / "4")
    before = contents(copy)
    assert open_run(copy).step == 2 and contents(copy) == before
    assert "copy/checkpoints/4: damaged" in capsys.readouterr().err
    shutil.rmtree(copy / "checkpoints" / "2")
    with pytest.raises(InputError, match="copy/checkpoints/4.*none before it"):
        _ = open_run(copy).params


def test_a_run_with_a_damaged_checkpoint_goes_on_as_if_it_were_whole(two_saved, tiny, tmp_path, capsys):
    short, straight = two_saved
    copy = shutil.copytree(short.path, tmp_path / "copy")
    flip(largest(copy / "checkpoints" / "4"), 0.3)
    resumed = fit(short.recipe, tiny, copy, steps=5, resume=True)
    assert "copy/checkpoints/4: damaged" in capsys.readouterr().err
    assert same(straight, resumed) and (copy / "checkpoints" / "4.damaged").is_dir()
    assert capsys.readouterr().err == "" and [line["step"] for line in resumed.metrics] == [1, 2, 3, 4, 5]


def test_the_only_checkpoint_if_damaged_is_named_and_nothing_is_touched(copy, tiny, tiny_recipe):
    truncate(largest(copy / "checkpoints" / "2"))
    before = contents(copy)
    with pytest.raises(InputError, match="copy/checkpoints/2.*none before it"):
        fit(tiny_recipe("vae"), tiny, copy, steps=4, resume=True)
    assert contents(copy) == before


def test_without_a_checkpoint(copy):
    shutil.rmtree(copy / "checkpoints")
    with pytest.raises(InputError, match="no finished checkpoint"):
        _ = open_run(copy).step


@pytest.mark.parametrize("text", [None, "{", "[]", "{}"])
def test_what_is_no_run(tmp_path, text):
    if text is not None:
        (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match="not a run folder"):
        open_run(tmp_path)
