"""SmolLM3: a Llama of which every fourth layer knows no positions."""

from jobs.localvertex.engine.export.forms.plain import Plain

WITHOUT_POSITIONS_EVERY = 4


class SmolLM3(Plain):
    scalings = ("default", "linear")

    def differences(self) -> dict[str, bool]:
        layers = range(self.text.num_hidden_layers)
        turned = [int((layer + 1) % WITHOUT_POSITIONS_EVERY != 0) for layer in layers]
        return super().differences() | {
            "which of its layers know positions": list(self.text.no_rope_layers)[: len(turned)] != turned,
        }
