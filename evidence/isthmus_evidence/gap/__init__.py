"""Why two sets of recordings differ.

from isthmus_evidence import gap

found = gap.compare(Path("sim"), Path("robot"))
found.named, found.signals, found.outcome
"""

from isthmus_evidence.gap.causes import Cause
from isthmus_evidence.gap.comparison import Gap, compare
from isthmus_evidence.gap.metrics import rank_agreement

__all__ = ["Cause", "Gap", "compare", "rank_agreement"]
