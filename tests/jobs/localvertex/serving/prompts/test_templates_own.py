"""The template's text is ours; its output is Gemma's, to the character."""

import jinja2
import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from jobs.localvertex.serving.prompts.templates import OWN


def render(messages, *, prompt=True):
    def fail(message):
        raise jinja2.TemplateError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(OWN.read_text())
    return template.render(messages=messages, bos_token="<bos>", add_generation_prompt=prompt, raise_exception=fail)


def user(content):
    return {"role": "user", "content": content}


def assistant(content):
    return {"role": "assistant", "content": content}


def test_one_turn():
    expected = "<bos><start_of_turn>user\nHi there<end_of_turn>\n<start_of_turn>model\n"
    assert render([user("  Hi there ")]) == expected


def test_system_is_folded_into_the_first_turn():
    turns = [{"role": "system", "content": "Be brief."}, user("a"), assistant("b"), user("c")]
    assert render(turns, prompt=False) == (
        "<bos><start_of_turn>user\nBe brief.\n\na<end_of_turn>\n<start_of_turn>model\nb<end_of_turn>\n"
        "<start_of_turn>user\nc<end_of_turn>\n"
    )


def test_images_and_parts():
    parts = [{"type": "image"}, {"type": "text", "text": " What is it? "}]
    assert render([user(parts)]) == (
        "<bos><start_of_turn>user\n<start_of_image>What is it?<end_of_turn>\n<start_of_turn>model\n"
    )


@pytest.mark.parametrize("turns", [[assistant("a")], [user("a"), user("b")]])
def test_roles_take_turns(turns):
    with pytest.raises(jinja2.TemplateError, match="alternate"):
        render(turns)
