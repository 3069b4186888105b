"""What the page is told, also when it comes in the middle."""

from videoalign.nodes.live_traces import EVENT, LiveTraces


def told_by(prompts):
    told, current = [], iter(prompts)
    return LiveTraces(lambda event, message: told.append((event, message)), lambda: next(current)), told


def test_a_page_that_comes_late_gets_what_the_others_were_told():
    live, told = told_by(["a"])
    run = live.next_run("7")
    live.begin("7", run, 42, 6, [])
    live.point("7", run, 0, {"sigma": 0.9})
    live.end("7", run, "stopped")
    assert [event for event, _ in told] == [EVENT] * 3
    assert live.of_prompt("a") == [message for _, message in told]
    assert told[0][1] == {"node": "7", "run": 1, "index": -1, "point": None, "seed": 42, "steps": 6, "points": []}
    assert told[-1][1]["ended"] == "stopped"


def test_only_the_last_run_of_each_node_and_only_of_this_prompt_is_told_again():
    live, _ = told_by(["a", "b", "b", "b"])
    for node in ("7", "7", "8", "7"):
        live.begin(node, live.next_run(node), 1, 6, [])
    assert [(message["node"], message["run"]) for message in live.of_prompt("b")] == [("7", 3), ("8", 1)]
    assert live.of_prompt("a") == live.of_prompt(None) == []
