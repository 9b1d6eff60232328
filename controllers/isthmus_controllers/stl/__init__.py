"""Signal Temporal Logic: one formula, evaluated exactly, smoothly, or while it happens.

```python
from isthmus_controllers import stl

phi = stl.parse("always[0,5] (gap >= 1) and eventually[0,10] (abs(x - goal) <= 0.1)", dt=0.1)
stl.robustness(phi, {"gap": gap, "x": x, "goal": goal})  # [B, T] each, numpy or torch -> [B]
print(stl.explain(phi, {"gap": gap, "x": x, "goal": goal}, row=3))
monitor = stl.Monitor(phi)
verdict = monitor.update({"gap": 1.2, "x": 0.3, "goal": 1.0}).verdict  # satisfied, violated or unknown
```
"""

from isthmus_controllers.stl.binding import BoundSpecification, MeasuredSignals
from isthmus_controllers.stl.evaluation import robustness, smoothing_error, trace
from isthmus_controllers.stl.explanation import Explanation, explain
from isthmus_controllers.stl.expressions import Arithmetic, Call, Expression, Negative, Number, Predicate, Signal, signal
from isthmus_controllers.stl.formula import Always, And, Eventually, Formula, Implies, Not, Or, Until
from isthmus_controllers.stl.judgement import Judgement, judge
from isthmus_controllers.stl.monitor import Monitor, Verdict
from isthmus_controllers.stl.parsing import FormulaError, parse, parse_expression

__all__ = [
    "Always",
    "And",
    "Arithmetic",
    "BoundSpecification",
    "Call",
    "Eventually",
    "Explanation",
    "Expression",
    "Formula",
    "FormulaError",
    "Implies",
    "Judgement",
    "MeasuredSignals",
    "Monitor",
    "Negative",
    "Not",
    "Number",
    "Or",
    "Predicate",
    "Signal",
    "Until",
    "Verdict",
    "explain",
    "judge",
    "parse",
    "parse_expression",
    "robustness",
    "signal",
    "smoothing_error",
    "trace",
]
