from tests.console.conftest import broker, limits, redis_url

__all__ = ["broker", "limits", "redis_url"]
