"""Nodes for tests: clips made on the spot, a window on any value, and reward models that misbehave."""

import hashlib
import importlib
import sys
import time

import torch
from comfy_api.latest import ComfyExtension, io

RewardSocket = io.Custom("VIDEOALIGN_REWARD")


class TestClip(io.ComfyNode):
    """Frames of moving noise; the same number gives the same clip."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoAlignTestClip",
            category="testing",
            inputs=[
                io.Int.Input("number", default=0),
                io.Int.Input("frames", default=9),
                io.Int.Input("clips", default=1),
                io.Float.Input("brightness", default=1.0),
            ],
            outputs=[io.Image.Output("images"), io.Latent.Output("latent")],
        )

    @classmethod
    def execute(cls, number, frames, clips, brightness):
        made = []
        for place in range(clips):
            generator = torch.Generator().manual_seed(number + place)
            small = torch.rand(1, 3, 8, 8, generator=generator)
            still = torch.nn.functional.interpolate(small, size=(64, 64), mode="bilinear")[0].permute(1, 2, 0)
            moving = [still.roll(2 * step, 1) for step in range(frames)]
            made.append(torch.stack([*moving, still])[:frames] * brightness)
        samples = torch.stack([torch.full((4, 2, 8, 8), float(number + place)) for place in range(clips)])
        return io.NodeOutput(torch.cat(made), {"samples": samples})


class TestText(io.ComfyNode):
    """A conditioning of random numbers, for networks without a text encoder."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoAlignTestText",
            category="testing",
            inputs=[io.Int.Input("seed", default=0)],
            outputs=[io.Conditioning.Output("text")],
        )

    @classmethod
    def execute(cls, seed):
        return io.NodeOutput([[torch.randn(1, 6, 4096, generator=torch.Generator().manual_seed(seed)), {}]])


class TestIntList(io.ComfyNode):
    """A list: the nodes behind it run once for each number."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoAlignTestIntList",
            category="testing",
            inputs=[io.String.Input("values")],
            outputs=[io.Int.Output("numbers", is_output_list=True)],
        )

    @classmethod
    def execute(cls, values):
        return io.NodeOutput([int(value) for value in values.split(",")])


class TestAny(io.ComfyNode):
    """A text on a wire of any type, as name switchers and grids give it."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoAlignTestAny",
            category="testing",
            inputs=[io.String.Input("text")],
            outputs=[io.AnyType.Output("value")],
        )

    @classmethod
    def execute(cls, text):
        return io.NodeOutput(text)


class TestShow(io.ComfyNode):
    """What arrived, as text, in the history."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoAlignTestShow",
            category="testing",
            inputs=[io.AnyType.Input("value")],
            outputs=[],
            is_input_list=True,
            is_output_node=True,
        )

    @classmethod
    def execute(cls, value):
        return io.NodeOutput(ui={"shown": [_described(item) for item in value]})


def _described(item):
    if isinstance(item, torch.Tensor):
        digest = hashlib.sha256(item.detach().float().contiguous().numpy().tobytes()).hexdigest()
        return {"shape": list(item.shape), "mean": float(item.float().mean()), "sha256": digest}
    if isinstance(item, dict) and "samples" in item:
        return _described(item["samples"])
    if hasattr(item, "get_components"):
        components = item.get_components()
        return {**_described(components.images), "fps": float(components.frame_rate)}
    return item if isinstance(item, (int, float, str)) or item is None else str(item)


class TestReward(io.ComfyNode):
    """A reward model that runs out of memory on every clip, or takes its time with each."""

    @classmethod
    def define_schema(cls):
        return io.Schema(
            node_id="VideoAlignTestReward",
            category="testing",
            inputs=[
                RewardSocket.Input("reward"),
                io.Boolean.Input("out_of_memory", default=False),
                io.Float.Input("seconds", default=0.0),
            ],
            outputs=[RewardSocket.Output("misbehaving")],
        )

    @classmethod
    def execute(cls, reward, out_of_memory, seconds):
        return io.NodeOutput(_Misbehaving(reward, out_of_memory, seconds))


class _Misbehaving:
    def __init__(self, reward, out_of_memory, seconds):
        self.name, self.judge = reward.name, reward.judge
        self._score, self._out_of_memory, self._seconds = reward.score, out_of_memory, seconds

    def score(self, clip, caption, **options):
        time.sleep(self._seconds)
        if self._out_of_memory:
            raise torch.cuda.OutOfMemoryError("simulated: tried to allocate 20.00 GiB")
        return self._score(clip, caption, **options)


class TestJudges(io.ComfyNode):
    """Registers a judge that says why with the pack, as a package of somebody's does: Load Judge has it from then on."""

    @classmethod
    def define_schema(cls):
        return io.Schema(node_id="VideoAlignTestJudges", category="testing", inputs=[], outputs=[], is_output_node=True)

    @classmethod
    def execute(cls):
        pack = next(name for name in sys.modules if name.endswith("ComfyUI-VideoAlign.judges")).rpartition(".")[0]
        judges = importlib.import_module(f"{pack}.judges")
        if "test-critic" not in judges.judge_names():
            judges.register_judge("test-critic", lambda source, options: _critic(pack))
        return io.NodeOutput(ui={"judges": judges.judge_names()})


def _critic(pack):
    judge, errors = (importlib.import_module(f"{pack}.{name}") for name in ("reward.judge", "errors"))

    class Critic(judge.Judge):
        """How bright a clip is, and why; clips of fewer than nine frames are refused."""

        name, title, licence, gives_reasons = "test-critic", "the critic", "Apache-2.0", True
        dimensions = (judge.Dimension("light", "mean level", "share of white", 0.0, 1.0),)

        def identity(self):
            return {"version": 1}

        def prepare_frames(self, frames):
            if frames.total_frames < 9:
                raise errors.ClipError("the critic wants nine frames")
            return frames

        def score_prepared(self, clips, captions):
            return [[self._marks(clip, text) for text in texts] for clip, texts in zip(clips, captions, strict=True)]

        def _marks(self, clip, caption):
            light = float(clip.pixels.float().mean()) / 255
            why = {"light": f"The mean level is {light:.3f} of white.\nIt was measured on {clip.total_frames} frames."}
            return judge.ClipMarks({"light": light}, caption, clip.total_frames, clip.fps, why, clip.notes)

    return Critic()


class TestingExtension(ComfyExtension):
    """Table of contents."""

    async def get_node_list(self):
        return [TestClip, TestText, TestIntList, TestAny, TestShow, TestReward, TestJudges]


async def comfy_entrypoint():
    return TestingExtension()
