from dataclasses import dataclass, field


@dataclass
class Figures:
    rows: list[tuple[str, float, str]] = field(default_factory=list)

    def add(self, what: str, value: float, unit: str) -> None:
        self.rows.append((what, value, unit))
        print(f"   {what}: {shown(value)} {unit}", flush=True)

    def table(self) -> str:
        lines = [f"| {what} | {shown(value)} {unit} |" for what, value, unit in self.rows]
        return "\n".join(["", "| what | measured |", "|---|---|", *lines])


def shown(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"
