from jobs.models import Problem


class NotDelivered(Exception):
    """One try of a delivery failed. `for_good`: another would fail the same way."""

    def __init__(self, problem: Problem, detail: str = "", *, for_good: bool = False) -> None:
        super().__init__(problem.value)
        self.problem, self.detail, self.for_good = problem, detail, for_good
