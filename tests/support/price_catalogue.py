"""Lines of Google's price catalogue, in the form of the reference of `services.skus.list`.

The descriptions and the prices in Iowa are those of a bill of 2025 for an a3-highgpu-1g, on demand and with Compute
Engine's lines for what Vertex AI only manages.
"""

from decimal import Decimal
from typing import Any

REGION = "us-central1"
PREDICTION = "Vertex AI: Online/Batch Prediction"
H100 = {
    f"{PREDICTION} Nvidia H100 80gb GPU running in Iowa": ("11.2660332", "h"),
    f"{PREDICTION} A3 Predefined Instance Core running in Iowa": ("0.0293227", "h"),
    f"{PREDICTION} A3 Predefined Instance Ram running in Iowa": ("0.0025534", "GiBy.h"),
}
H100_FEES = {
    f"{PREDICTION} management fee on NVIDIA H100 80GB in Iowa": ("1.4694826", "h"),
    f"{PREDICTION} management fee on A3 Instance Core in Iowa": ("0.0038247", "h"),
    f"{PREDICTION} management fee on A3 Instance RAM in Iowa": ("0.0003331", "GiBy.h"),
}
H100_SPOT = {
    "Nvidia H100 80GB GPU attached to Spot Preemptible VMs running in Americas": ("2.25", "h"),
    "Spot Preemptible A3 Instance Core running in Americas": ("0.01", "h"),
    "Spot Preemptible A3 Instance Ram running in Americas": ("0.001", "GiBy.h"),
    "SSD backed Local Storage attached to Spot Preemptible VMs in Americas": ("0.0365", "GiBy.mo"),
}
# 11.2660332 + 26 × 0.0293227 + 234 × 0.0025534, as the bill has it.
H100_HOUR = Decimal("12.6259190")
# 2.25 + 26 × 0.01 + 234 × 0.001 + 750 × 0.0365 / 730, and 1.4694826 + 26 × 0.0038247 + 234 × 0.0003331.
H100_SPOT_HOUR = Decimal("2.7815") + Decimal("1.6468702")


def line(description: str, usd: str, unit: str = "h", **values: Any) -> dict[str, Any]:
    whole, _point, rest = usd.partition(".")
    usage = "Preemptible" if "Spot Preemptible" in description else "OnDemand"
    price = {"currencyCode": "USD", "units": whole, "nanos": int(rest.ljust(9, "0") or 0)}
    return {
        "name": "services/C7E2-9256-1C43/skus/AE9C-DB60-DF46",
        "skuId": "AE9C-DB60-DF46",
        "description": description,
        "category": {"serviceDisplayName": "Vertex AI", "resourceGroup": "GPU", "usageType": usage},
        "serviceRegions": [REGION],
        "pricingInfo": [
            {
                "pricingExpression": {
                    "usageUnit": unit,
                    "tieredRates": [{"startUsageAmount": 0, "unitPrice": price}],
                },
                "currencyConversionRate": 1,
                "effectiveTime": "2026-11-30T00:00:00Z",
            }
        ],
        "serviceProviderName": "Google",
        **values,
    }


def lines(*tables: dict[str, tuple[str, str]], **values: Any) -> list[dict[str, Any]]:
    return [line(name, usd, unit, **values) for table in tables for name, (usd, unit) in table.items()]
