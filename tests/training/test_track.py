"""metrics.jsonl: which lines are written, cut and refused."""

import jax.numpy as jnp
import pytest

from prodgen_jax.training.track import MOST_SKIPS, DivergedError, Metrics, Numbers, cut_after, read_metrics


def test_every_nth_step_is_a_line_and_rare_metrics_stay(tmp_path):
    file = tmp_path / "metrics.jsonl"
    log = Metrics(file, 2, 0)
    seen = [{"a": jnp.float32(1), "r": 5.0}, {"a": jnp.float32(2)}, {"a": jnp.float32(3)}]
    assert [log.add(step, metrics, step / 10) for step, metrics in enumerate(seen, 1)] == [False, True, False]
    log.flush(0.3)
    log.flush(0.4)
    assert read_metrics(file) == [
        {"step": 2, "time_s": 0.2, "a": 2.0, "r": 5.0},
        {"step": 3, "time_s": 0.3, "a": 3.0, "r": 5.0},
    ]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_the_first_bad_number_is_named_though_a_later_step_tells_of_it(tmp_path, value):
    log = Metrics(tmp_path / "metrics.jsonl", 3, 0)
    log.add(4, {"loss/a": 1.0}, 0.1)
    log.add(5, {"loss/a": 1.0, "grad/a": jnp.float32(value)}, 0.1)
    with pytest.raises(DivergedError, match=f"step 5: grad/a is {value}"):
        log.add(6, {"loss/a": float("nan")}, 0.1)
    assert read_metrics(tmp_path / "metrics.jsonl") == []


def test_cut_after(tmp_path):
    file = tmp_path / "metrics.jsonl"
    cut_after(file, 3)
    assert not file.exists()
    file.write_text('{"step": 2}\n{"step": 3}\n{"step": 4}\n{"ste')
    cut_after(file, 3)
    assert file.read_text() == '{"step": 2}\n{"step": 3}\n'


def test_a_damaged_line_takes_no_other_with_it(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_bytes(b'{"step": 1}\n{"st\xff\x00": 2}\n7\n{"stop": 3}\n{"step": 4}\n')
    assert [line["step"] for line in read_metrics(file)] == [1, 4]


def test_a_bad_turn_is_named_with_its_group(tmp_path):
    """The sixth step's place is 5 * 2 + 1 where the second of two turns is bad."""
    log = Metrics(tmp_path / "metrics.jsonl", 1, 0, numbers=Numbers(("critic", "generator")))
    bad = {"grad/critic": float("nan"), "grad/generator": float("nan"), "loss/generator": float("nan")}
    with pytest.raises(DivergedError, match=r"step 6: grad/generator is nan \(turn 2 of 2, which trains 'generator'\)"):
        log.add(6, bad, 0.1, bad=5 * 2 + 1)


def test_skipped_steps_are_told_and_left_out_until_they_are_too_many(tmp_path, capsys):
    file = tmp_path / "metrics.jsonl"
    log = Metrics(file, 1, 0, numbers=Numbers(("net",), skip=True))
    good, bad = {"loss/a": 1.0}, {"loss/a": float("nan")}
    log.add(1, good, 0.1)
    log.add(2, bad, 0.2, bad=1)
    log.add(3, good, 0.3)
    assert "step 2: loss/a is nan" in capsys.readouterr().err
    assert [line["loss/a"] for line in read_metrics(file)] == [1.0, 1.0, 1.0]
    with pytest.raises(DivergedError, match="20 in a row"):
        for step in range(4, 4 + MOST_SKIPS):
            log.add(step, bad, 0.4, bad=step - 1)
    assert len(read_metrics(file)) == 3 + MOST_SKIPS - 1
