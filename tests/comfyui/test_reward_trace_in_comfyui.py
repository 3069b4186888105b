"""A guided graph over HTTP, as a page sends it: nodes, the live event, the trace, and what a second run does."""

import shutil

import pytest
from guidance_prompts import guided_graph, make_guidance_files
from prompts import node

pytestmark = pytest.mark.comfyui


@pytest.fixture(scope="module")
def server(comfyui):
    make_guidance_files(comfyui.base)
    return comfyui


def listen(server, prompt):
    """(run, the guidance events that came while it ran)."""
    session = server.connect()
    events, prompt_id = [], server.queue(prompt, session.client)
    while prompt_id not in session.ended:
        kind, data = session.read()
        if kind == "videoalign.reward_trace":
            events.append(data)
    run = session.wait(prompt_id)
    session.close()
    return run, events


def test_a_guided_graph_runs_and_tells_its_curve_while_it_samples(server):
    run, events = listen(server, guided_graph())
    assert not run.errors, run.error
    assert [event["index"] for event in events] == [-1, 0, 1, 2, None]
    assert {event["node"] for event in events} == {"guide"}
    (trace,) = run.outputs["trace"]["videoalign_trace"]
    assert [point["sigma"] for point in trace["points"]] == [event["point"]["sigma"] for event in events[1:-1]]
    assert trace["node"] == "guide" and trace["latent_reward"] == "tiny_latent_reward.safetensors"
    assert run.outputs["guide"]["videoalign_weights"][0]["as_given"] == {"VQ": 0.2, "MQ": 0.5, "TA": 0.3}
    picture = run.outputs["show_curve"]["shown"][0]
    assert picture["shape"] == [1, 600, 960, 3]
    assert '"strength": 1.0' in run.outputs["show_data"]["shown"][0]
    assert run.outputs["show_latent"]["shown"][0]["shape"] == [1, 16, 3, 8, 8]


def test_another_seed_samples_with_the_cached_guidance_and_begins_a_new_curve(server):
    listen(server, guided_graph(seed=11))
    run, events = listen(server, guided_graph(seed=12))
    assert "guide" in run.cached and not run.errors
    assert events[0]["point"] is None and [event["index"] for event in events[1:-1]] == [0, 1, 2]
    assert len(run.outputs["trace"]["videoalign_trace"][0]["points"]) == 3


def test_strength_0_gives_the_unguided_latent(server):
    def mean(prompt):
        run, _ = listen(server, prompt)
        return run.outputs["show_latent"]["shown"][0]["mean"]

    unguided = guided_graph(seed=13) | {"latent_shown": node("TestShow", value=["sampler", 0])}
    unguided["sampler"]["inputs"]["model"] = ["unet", 0]
    for name in ("guide", "trace", "show_curve", "show_data", "reward"):
        unguided.pop(name)
    unguided["show_latent"]["inputs"]["value"] = ["sampler", 0]
    assert mean(guided_graph(seed=13, strength=0.0)) == mean(unguided) != mean(guided_graph(seed=13))


def test_weights_that_are_all_0_are_told_by_the_node(server):
    run, _ = listen(server, guided_graph(VQ=0.0, MQ=0.0, TA=0.0))
    assert run.errors[0]["node_id"] == "guide" and "all 0" in run.error


def test_an_output_without_its_model_says_what_to_connect(server):
    prompt = guided_graph(seed=14)
    prompt["sampler"]["inputs"]["model"] = ["guide", 1]
    run, _ = listen(server, prompt)
    assert "connect one to model_low_noise" in run.error


def test_a_deleted_latent_reward_is_named(server):
    folder = server.base / "models" / "latent_reward_models"
    shutil.copy(folder / "tiny_latent_reward.safetensors", folder / "soon_gone.safetensors")
    prompt = guided_graph(seed=15)
    prompt["reward"]["inputs"]["model"] = "soon_gone.safetensors"
    assert not listen(server, prompt)[0].errors
    (folder / "soon_gone.safetensors").unlink()
    with pytest.raises(Exception, match=r"latent reward model 'soon_gone.safetensors' is not in"):
        listen(server, prompt)
