import base64
from dataclasses import dataclass, field

import pytest
from google.auth.exceptions import DefaultCredentialsError
from requests import ConnectionError  # noqa: A004

from jobs.localvertex.api.errors import ApiError
from jobs.localvertex.storage.buckets import Buckets
from jobs.localvertex.trainer import weights

NAME = "projects/p/secrets/hugging-face/versions/latest"


@dataclass
class Answer:
    status_code: int
    secret: str = ""

    def json(self) -> dict:
        return {"payload": {"data": base64.b64encode(self.secret.encode()).decode()}}


@dataclass
class SecretManager:
    answer: Answer
    asked: list[str] = field(default_factory=list)

    def get(self, url: str, timeout: float) -> Answer:
        self.asked.append(url)
        return self.answer


def test_a_token_comes_from_secret_manager():
    secrets = SecretManager(Answer(200, "hf_abc\n"))
    assert weights.read_token({"HF_TOKEN_SECRET": NAME}, secrets) == "hf_abc"
    assert secrets.asked == [f"https://secretmanager.googleapis.com/v1/{NAME}:access"]


@pytest.mark.parametrize(
    ("environ", "token"), [({}, ""), ({"HF_TOKEN": "mine"}, "mine"), ({"HF_TOKEN": "a", "HF_TOKEN_SECRET": NAME}, "a")]
)
def test_a_token_that_is_there_asks_nobody(environ, token):
    secrets = SecretManager(Answer(500))
    assert weights.read_token(environ, secrets) == token
    assert secrets.asked == []


def test_a_secret_that_cannot_be_read_names_the_role():
    with pytest.raises(ApiError, match="roles/secretmanager.secretAccessor"):
        weights.read_token({"HF_TOKEN_SECRET": NAME}, SecretManager(Answer(403)))


@pytest.mark.parametrize("error", [DefaultCredentialsError("no credentials"), ConnectionError("no way there")])
def test_a_secret_manager_that_cannot_be_asked_is_named(error):
    class Unreachable:
        def get(self, url: str, timeout: float) -> Answer:
            raise error

    with pytest.raises(ApiError, match=f"The secret {NAME} cannot be read: no "):
        weights.read_token({"HF_TOKEN_SECRET": NAME}, Unreachable())


def test_a_secret_must_be_named_in_full():
    with pytest.raises(ApiError, match="projects/PROJECT/secrets/NAME/versions/latest"):
        weights.read_token({"HF_TOKEN_SECRET": "hugging-face"}, SecretManager(Answer(200)))


def test_a_source_that_is_no_place_is_refused(tmp_path):
    with pytest.raises(ApiError, match="neither a folder of Cloud Storage nor a name of Hugging Face"):
        weights.fetch("somewhere", tmp_path, Buckets(None), {})
