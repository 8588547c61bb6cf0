"""A bounded memory forgets everything before it has too much."""

from cnitrail.bounded_memory import BoundedMemory


def test_up_to_its_size_it_remembers_everything() -> None:
    known = BoundedMemory[str, int](2)
    known["a"], known["b"] = 1, 2
    assert known == {"a": 1, "b": 2}


def test_before_there_is_more_it_forgets_everything() -> None:
    known = BoundedMemory[str, int](2)
    known["a"], known["b"], known["c"] = 1, 2, 3
    assert known == {"c": 3}


def test_a_key_that_it_knows_gets_its_new_value_and_nothing_is_forgotten() -> None:
    known = BoundedMemory[str, int](2)
    known["a"], known["b"], known["a"] = 1, 2, 3
    assert known == {"a": 3, "b": 2}
