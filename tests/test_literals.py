from prodgen_jax.literals import differences


def test_differences_are_told_entry_by_entry():
    old = {"seed": 0, "settings": {"lr": 0.1, "sizes": (1, 2), "gone": 3}, "data": {"type": ["cap"]}}
    new = {"seed": 0, "settings": {"lr": 0.5, "sizes": [1, 2], "came": 4}, "data": None}
    told = "lr: 0.1 -> 0.5; came: None -> 4; gone: 3 -> None; data: {'type': ['cap']} -> None"
    assert differences(old, new) == told and differences(old, old) == ""
    assert differences(old, new, most=14) == "lr: 0.1 -> 0.5 ..."
