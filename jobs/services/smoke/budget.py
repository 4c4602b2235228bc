"""The cap on what a smoke run may cost, and the time that it leaves for serving."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

CENT = Decimal("0.01")
HOUR = timedelta(hours=1)
# A machine is paid while a model is loaded onto it, and while it is taken down: a run that could not pay for that long
# would end before the first answer.
LEAST_SERVING = timedelta(minutes=45)
# What taking down may take: the run turns back so long before the cap is reached.
TAKING_DOWN = timedelta(minutes=10)


@dataclass(frozen=True)
class Budget:
    """In US dollars, by list prices. `training` and `per_hour` None: nobody knows the price."""

    cap: Decimal
    training: Decimal | None
    per_hour: Decimal | None

    def why_not_start(self) -> str:
        if self.training is None:
            return "The price of the training is unknown. Pass it with --training-usd."
        if self.per_hour is None:
            return "The price of the machine is unknown. Pass it with --usd-per-hour, or choose another machine."
        least = self.training + self.of_serving(LEAST_SERVING)
        if least > self.cap:
            minutes = round(LEAST_SERVING.total_seconds() / 60)
            return (
                f"The training and {minutes} minutes of serving cost about ${least}, more than the cap of ${self.cap}."
                " Raise it with --cap-usd, or choose a smaller machine."
            )
        return ""

    def of_serving(self, time: timedelta) -> Decimal:
        hours = Decimal(time.total_seconds()) / Decimal(HOUR.total_seconds())
        return ((self.per_hour or Decimal(0)) * hours).quantize(CENT)

    def spent(self, deployed_since: datetime | None, now: datetime) -> Decimal:
        serving = self.of_serving(now - deployed_since) if deployed_since else Decimal(0)
        return (self.training or Decimal(0)) + serving

    def is_used_up(self, deployed_since: datetime | None, now: datetime) -> bool:
        return self.spent(deployed_since, now + TAKING_DOWN if deployed_since else now) > self.cap
