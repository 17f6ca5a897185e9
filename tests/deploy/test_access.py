"""Keys: only hashes are kept, a file that cannot be is named, and a bucket gives what a minute holds."""

import pytest

from prodgen_jax.deploy.access import EVERYONE, Key, Rates, add_key, hashed, key_of, read_keys
from prodgen_jax.errors import InputError

GOOD = f'sha256 = "{"0" * 64}"\nscopes = ["generate"]\nper_minute = 5\n'


def test_a_key_opens_what_it_may_and_its_file_does_not_hold_it(tmp_path):
    path = tmp_path / "new" / "keys.toml"
    shop = add_key(path, "shop", ["generate"], 60)
    watch = add_key(path, "watch", ["metrics"], 1)
    assert shop != watch and shop not in path.read_text() and hashed(shop) in path.read_text()
    keys = read_keys(path)
    assert key_of(f"Bearer {shop}", keys) == Key("shop", hashed(shop), ("generate",), 60)
    assert key_of(f"bearer {watch} ", keys).scopes == ("metrics",)
    for header in (None, "", shop, f"Basic {shop}", f"Bearer {shop[:-1]}", "Bearer"):
        assert key_of(header, keys) is None
    assert key_of(None, {}) is EVERYONE
    with pytest.raises(InputError, match="has a key 'shop'"):
        add_key(path, "shop", ["generate"], 60)
    assert len(read_keys(path)) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no key"),
        ("not toml", "not a keys file"),
        ("[a]\n" + GOOD.replace("generate", "admin"), "a: scopes are"),
        ("[a]\n" + GOOD.replace("= 5", "= 0"), "a: per_minute is 0"),
        ("[a]\n" + GOOD.replace("= 5", "= true"), "a: per_minute is True"),
        ("[a]\n" + GOOD.replace("0000", "000g", 1), "a: sha256"),
        ("[a]\n" + GOOD + "more = 1", "a: expected sha256"),
        ("a = 1", "a: expected sha256"),
        ("[a]\n" + GOOD + "[b]\n" + GOOD, "b: the same key as a"),
    ],
)
def test_a_keys_file_that_cannot_be_is_named(tmp_path, text, said):
    path = tmp_path / "keys.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=f"keys.toml.*{said}"):
        read_keys(path)


@pytest.mark.parametrize(
    ("name", "scopes", "rate", "said"),
    [
        ("a b", ["generate"], 1, "name a key"),
        ("a", [], 1, "scopes"),
        ("a", ["admin"], 1, "scopes"),
        ("a", ["generate"], 0, "per_minute"),
    ],
)
def test_a_key_that_cannot_be_is_not_written(tmp_path, name, scopes, rate, said):
    path = tmp_path / "keys.toml"
    with pytest.raises(InputError, match=said):
        add_key(path, name, scopes, rate)
    assert not path.exists()


def test_a_bucket_holds_a_minute_and_fills_evenly():
    rates, key, other = Rates(), Key("a", "", ("generate",), 60), Key("b", "", ("generate",), 60)
    assert [rates.take(key, n, 0.0) for n in (40, 20)] == [0, 0]
    assert rates.take(key, 5, 0.0) == 5 and rates.take(other, 60, 0.0) == 0  # each key has its own
    assert rates.take(key, 5, 4.0) == 1 and rates.take(key, 5, 5.0) == 0
    rates.give_back(key, 3)
    assert rates.take(key, 3, 5.0) == 0 and rates.take(key, 1, 5.0) == 1
    assert rates.take(key, 60, 1000.0) == 0 and rates.take(key, 1, 1000.0) == 1  # it does not fill over its brim
    assert rates.take(EVERYONE, 10**6, 0.0) == 0
