import pytest

from videoalign.errors import GuidanceError
from videoalign.nodes.sampling_path import EXPLODING, FLOW, check_fits, path_of


def sampling(*bases: str, **attributes):
    """An object whose class derives from classes of these names, the first one nearest."""
    kind = object
    for name in reversed(bases):
        kind = type(name, (kind,), {})
    return type("ModelSampling", (kind,), attributes)()


@pytest.mark.parametrize(
    ("bases", "path"),
    [
        (["ModelSamplingDiscreteFlow", "CONST"], FLOW),
        (["ModelSamplingFlux", "CONST"], FLOW),
        (["ModelSamplingDiscrete", "EPS"], EXPLODING),
        (["V_PREDICTION", "EPS"], EXPLODING),
        (["ModelSamplingCosmosRFlow", "COSMOS_RFLOW"], EXPLODING),
    ],
)
def test_the_path_follows_from_the_parametrisation(bases, path):
    assert path_of(sampling(*bases)) == path


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (sampling("ModelSamplingDiscrete", "V_PREDICTION_DDPM"), "kind V_PREDICTION_DDPM"),
        (sampling("IMG_TO_IMG", "X0", "EPS"), "kind IMG_TO_IMG"),
        (sampling("IMG_TO_IMG_FLOW", "CONST"), "kind IMG_TO_IMG_FLOW"),
        (sampling("ModelSamplingDiscreteFlow", "CONST", noise_scale=2.0), "a noise scale of 2.0"),
        (sampling("SomethingNew"), "kind SomethingNew"),
    ],
)
def test_a_path_without_a_known_shift_is_refused_by_name(kind, said):
    with pytest.raises(GuidanceError, match=f"{said}, and the reward's shift is known for rectified flow"):
        path_of(kind)


def latent_format(name: str, channels: int):
    return type(name, (), {"latent_channels": channels})()


def test_a_reward_fits_models_of_its_own_latents():
    check_fits("mine", ("wan2.1", 16), latent_format("Wan21", 16))
    check_fits("mine", ("ltxv", 128), latent_format("LTXV", 128))


@pytest.mark.parametrize(
    ("name", "channels", "found"), [("HunyuanVideo", 16, "hunyuan-video"), ("SD3", 16, "SD3"), ("Wan22", 48, "wan2.2")]
)
def test_a_reward_of_other_latents_is_refused_by_name_and_channels(name, channels, found):
    said = (
        rf"latent_reward 'mine' was trained on wan2.1 latents \(16 channels\); this model samples {found} latents "
        rf"\({channels} channels\)\. Choose a latent reward model that was trained for {found}"
    )
    with pytest.raises(GuidanceError, match=said):
        check_fits("mine", ("wan2.1", 16), latent_format(name, channels))
