"""Fields that are taken and change nothing, and why that is right. Every other one is stored, acted upon or refused."""

_NO_RIGHTS = "Nobody's rights are checked."
_ONE_LANGUAGE = "Texts are in English."
_WHOLE = "Everything is shown in each view."
_NO_HUB = "Nothing is fetched from Hugging Face."

# (method, field with everything below it) → why
WITHOUT_EFFECT = {
    ("list_publisher_models", "view"): _WHOLE,
    ("list_publisher_models", "language_code"): _ONE_LANGUAGE,
    ("get_publisher_model", "view"): _WHOLE,
    ("get_publisher_model", "language_code"): _ONE_LANGUAGE,
    ("get_publisher_model", "is_hugging_face_model"): "The name says it.",
    ("get_publisher_model", "hugging_face_token"): _NO_HUB,
    (
        "get_publisher_model",
        "include_equivalent_model_garden_model_deployment_configs",
    ): "They are shown whenever there are any.",
    ("count_tokens", "model"): "The path names the model.",
    ("count_tokens", "generation_config"): "Settings of an answer have no tokens in a prompt.",
    **{
        (method, f"contents.parts.{field}"): "Texts and images are counted; it says nothing of either."
        for method in ("count_tokens", "compute_tokens")
        for field in ("thought", "thought_signature", "video_metadata")
    },
    ("compute_tokens", "model"): "The path names the model.",
    ("upload_model", "service_account"): _NO_RIGHTS,
    ("copy_model", "custom_service_account"): _NO_RIGHTS,
    ("deploy", "model_config.hugging_face_access_token"): _NO_HUB,
    ("deploy", "model_config.hugging_face_cache_enabled"): _NO_HUB,
    ("deploy", "endpoint_config.dedicated_endpoint_enabled"): "They are, unless disabled.",
    ("deploy", "deploy_config.fast_tryout_enabled"): "It is for where it is possible; here it is not.",
}


def why_unused(method: str, field: str) -> str:
    """Empty for a field that has an effect."""
    return next(
        (why for (of, above), why in WITHOUT_EFFECT.items() if of == method and f"{field}.".startswith(f"{above}.")), ""
    )
