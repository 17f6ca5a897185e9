import numpy as np
import pytest

from prodgen_jax.data.split import assign, join_groups
from prodgen_jax.errors import InputError

NONE = np.zeros((0, 2), int)


def test_groups_and_pairs_join_and_take_the_least_id():
    ids = ["d", "c", "b", "a", "e"]
    assert join_groups(ids, ["g", "", "g", "", ""], np.array([[2, 3]])) == ["a", "c", "a", "a", "e"]
    assert join_groups(ids, [""] * 5, NONE) == ids


def test_fractions_hold_and_no_group_is_on_two_sides():
    groups = [f"g{i // 3}" for i in range(3000)]
    splits = assign(groups, 0.1, 0.2, seed=1)
    assert abs(len(splits["validation"]) - 300) <= 3 and abs(len(splits["test"]) - 600) <= 3
    sides = [{groups[i] for i in rows} for rows in splits.values()]
    assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert np.array_equal(np.sort(np.concatenate(list(splits.values()))), np.arange(3000))


def test_the_seed_decides_and_the_order_of_rows_does_not():
    groups = [f"g{i}" for i in range(200)]
    one, same, other = (assign(groups, 0.1, 0.1, seed)["test"].tolist() for seed in (1, 1, 2))
    assert one == same != other
    turned = assign(groups[::-1], 0.1, 0.1, 1)["test"]
    assert {groups[::-1][i] for i in turned} == {groups[i] for i in one}


def test_small_and_zero_fractions():
    splits = assign(["a", "b", "c"], 0.01, 0.01, seed=0)
    assert [len(rows) for rows in splits.values()] == [1, 1, 1]
    assert [len(rows) for rows in assign(["a"], 0, 0, seed=0).values()] == [1, 0, 0]


def test_a_group_too_large_for_a_part_stays_in_training():
    splits = assign(["big"] * 90 + [f"s{i}" for i in range(10)], 0.05, 0.05, seed=3)
    assert set(range(90)) <= set(splits["train"]) and len(splits["test"]) == 5


def test_nothing_left_to_train_on():
    with pytest.raises(InputError, match="nothing would be left to train on"):
        assign(["a", "b"], 0.1, 0.1, seed=0)
