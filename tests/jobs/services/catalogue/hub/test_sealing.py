from jobs.services.catalogue.hub.sealing import seal, unseal


def test_what_is_sealed_comes_back_and_is_never_the_same_twice() -> None:
    first, second = seal("hf_secret"), seal("hf_secret")
    assert (unseal(first), unseal(second), first == second, "hf_secret" in first) == (
        "hf_secret", "hf_secret", False, False,
    )  # fmt: skip


def test_nothing_is_sealed_as_nothing() -> None:
    assert (seal(""), unseal("")) == ("", "")


def test_another_key_opens_nothing(settings) -> None:
    sealed = seal("hf_secret")
    settings.SECRET_KEY = "another"
    assert unseal(sealed) == ""
    assert unseal("no seal at all") == ""
