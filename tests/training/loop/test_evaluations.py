from videoalign.training.loop.evaluations import Evaluations


def judged(*values, patience=None):
    evaluations = Evaluations("acc", patience)
    for step, value in enumerate(values, 1):
        evaluations.add(step, {"acc": value, "other": 1.0})
    return evaluations


def test_the_best_is_the_first_of_the_highest():
    assert judged(0.5, 0.7, 0.6, 0.7).best == (2, 0.7)
    assert judged().best is None


def test_patience_ends_after_so_many_evaluations_without_a_better_one():
    assert not judged(0.5, 0.7, 0.7, patience=2).exhausted
    assert judged(0.5, 0.7, 0.7, 0.6, patience=2).exhausted
    assert not judged(0.5, 0.7, 0.7, 0.6, 0.8, patience=2).exhausted
    assert not judged(0.9, *[0.1] * 50).exhausted and not judged(patience=1).exhausted


def test_a_step_that_is_judged_again_counts_once_and_what_is_no_number_not_at_all():
    evaluations = judged(0.5, 0.7)
    evaluations.add(2, {"acc": 0.6})
    evaluations.add(3, {"acc": float("nan")})
    evaluations.add(4, {})
    assert evaluations.values == [(1, 0.5), (2, 0.6)]


def test_a_checkpoint_gives_back_what_was_judged_up_to_its_step():
    evaluations = Evaluations("acc")
    evaluations.restore(judged(0.5, 0.7, 0.6).stored, 2)
    assert evaluations.values == [(1, 0.5), (2, 0.7)]


def test_there_is_something_to_go_back_to_only_where_the_end_is_worse():
    evaluations = Evaluations("accuracy")
    assert evaluations.best_before_the_end is None
    for step, value in ((10, 0.7), (20, 0.75), (30, 0.75)):
        evaluations.add(step, {"accuracy": value})
        assert evaluations.best_before_the_end is None
    evaluations.add(40, {"accuracy": 0.5})
    assert evaluations.best_before_the_end == (20, 0.75)
