"""metrics.jsonl: which lines are written, cut and refused."""

import jax.numpy as jnp
import pytest

from prodgen_jax.training.track import DivergedError, Metrics, cut_after, read_metrics


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
