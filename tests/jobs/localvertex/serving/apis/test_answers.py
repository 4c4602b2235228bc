from jobs.localvertex.serving.apis.answers import Answers

TOKEN = {"token": "a", "logprob": -0.5, "id": 7, "top_logprobs": [{"token": "b", "logprob": -1.0, "id": 8}]}


def answer(**choice):
    message = {"role": "assistant", "content": ""}
    (candidate,) = Answers("m").whole({"choices": [{"index": 0, "message": message, **choice}]})["candidates"]
    return candidate


def test_calls_are_parts():
    calls = [
        {"function": {"name": "f", "arguments": '{"a": 1}'}},
        {"function": {"name": "g", "arguments": ""}},
        {"function": {"name": "h", "arguments": "{"}},
    ]
    found = answer(message={"content": "Wait.", "tool_calls": calls}, finish_reason="tool_calls")
    assert found == {
        "content": {
            "role": "model",
            "parts": [
                {"text": "Wait."},
                {"functionCall": {"name": "f", "args": {"a": 1}}},
                {"functionCall": {"name": "g", "args": {}}},
                {"functionCall": {"name": "h", "args": {"arguments": "{"}}},
            ],
        },
        "finishReason": "STOP",
    }


def test_probabilities_are_told_by_token():
    found = answer(finish_reason="length", logprobs={"content": [TOKEN, {**TOKEN, "logprob": -1.5}]})
    assert (found["finishReason"], found["avgLogprobs"]) == ("MAX_TOKENS", -1.0)
    assert found["logprobsResult"]["chosenCandidates"][0] == {"token": "a", "logProbability": -0.5, "tokenId": 7}
    assert found["logprobsResult"]["topCandidates"][1]["candidates"][0]["tokenId"] == 8
