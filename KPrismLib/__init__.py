"""K-Prism: one 2-D model that segments by class, by example and by click.

``Predictor`` and ``Session`` are imported when first asked for: importing ``KPrismLib`` itself loads no torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from KPrismLib.predictor import Predictor
    from KPrismLib.session import Session

__version__ = "0.4.0"
__all__ = ["Predictor", "Session", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "Predictor":
        from KPrismLib.predictor import Predictor

        return Predictor
    if name == "Session":
        from KPrismLib.session import Session

        return Session
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
