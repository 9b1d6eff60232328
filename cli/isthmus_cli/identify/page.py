"""`report.html`: what an identification found, pictures first, in one file that needs no network."""

from __future__ import annotations

from html import escape
from pathlib import Path

from isthmus_cli.identify import charts
from isthmus_evidence.reports.markup import figure, missing, section, table
from isthmus_sim.identification.identify import Identification

__all__ = ["page"]

_STYLE = """
:root { --font: ui-sans-serif, system-ui, "Segoe UI", sans-serif; --paper: #fbfbf9; --card: #fff; --ink: #22262b; --muted: #666e77;
  --line: #e2e4e7; --band: #e4efe2; --mujoco: #3f62b5; --pybullet: #1c877b; --ros: #bd5f2c; --good: #2f7d4f; --bad: #a93a3a; }
@media (prefers-color-scheme: dark) { :root { --paper: #15171a; --card: #1c1f23; --ink: #e6e8ea; --muted: #9aa2ab; --line: #32373d;
  --band: #27402f; --mujoco: #8aa7f0; --pybullet: #5cc4b4; --ros: #eb9a66; --good: #7cc79a; --bad: #e08080; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.6 var(--font); }
main { max-width: 1040px; margin: 0 auto; padding: 36px 18px 60px; }
h1 { font-size: clamp(24px, 5vw, 36px); line-height: 1.2; margin: 0 0 12px; overflow-wrap: anywhere; }
h2 { font-size: 20px; margin: 0 0 6px; }
section { margin-top: 40px; }
p, li { max-width: 46em; }
.good { color: var(--good); } .bad { color: var(--bad); }
.missing, .note { color: var(--muted); font-size: 14px; }
.two { columns: 400px; column-gap: 18px; }
.two > * { break-inside: avoid; margin: 0 0 18px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 16px; }
figure { margin: 0; } figcaption { font-size: 14px; color: var(--muted); margin-bottom: 8px; }
.chart { width: 100%; height: auto; display: block; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th { text-align: left; color: var(--muted); font-weight: 550; }
th, td { padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
td.number, th.number { text-align: right; }
"""


def page(found: Identification, written: bool) -> str:
    """The whole page.

    Args:
        found: by the identification.
        written: whether there is a calibration beside it.
    """
    name = escape(Path(found.problem.mechanism.target.name).name)
    body = "\n".join(part(found) for part in (_pictures, _parameters, _prediction, _residuals, _data))
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8" /><meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="color-scheme" content="light dark" /><title>identification of {name}</title><style>{_STYLE}</style></head>
<body><main><h1>Identification of {name}</h1>{_verdict(found, written)}
{body}
</main></body></html>
"""


def _verdict(found: Identification, written: bool) -> str:
    if not found.objections:
        return (
            '<p class="good"><b>A calibration was written.</b> On held-out data the fitted model predicts better than the nominal one.</p>'
        )
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in found.objections)
    head = "A calibration was written by force, in spite of this:" if written else "No calibration was written:"
    return f'<div class="bad"><b>{head}</b><ul>{items}</ul></div>'


def _pictures(found: Identification) -> str:
    cards = (
        figure("Held-out data: from the left edge on, the models are told only what was commanded.", charts.prediction_chart(found)),
        figure("Error of such predictions over time.", charts.horizon_chart(found)),
        figure("What was found, its 95 % interval, and the nominal value, within the bounds.", charts.interval_bars(found)),
        figure("What trades with what: the larger a square, the less can the two be told apart.", charts.correlation_chart(found)),
        figure("What the fitted model does not explain. Structure here is a missing effect.", charts.residual_chart(found)),
    )
    return f'<section><div class="two">{"".join(cards)}</div></section>'


def _parameters(found: Identification) -> str:
    known, problem = found.known, found.problem
    rows = [
        (name, f"{nominal:.4g}", f"{value:.5g}", f"{sd:.2g}", f"{low:.5g} … {high:.5g}", unit, verdict)
        for name, nominal, value, sd, low, high, unit, verdict in zip(
            problem.names, problem.nominal, known.values, known.sd, known.low, known.high, problem.units, known.verdicts, strict=True
        )
    ]
    heads = ("parameter", "nominal", "found", "sd", "95 % interval", "unit", "verdict")
    listed = "".join(f"<li>{escape(sentence)}</li>" for sentence in found.weak)
    others = len(found.found.minima) - 1
    told = f"<p>{others} other minima fit as well; the spread is in result.json.</p>" if others else ""
    return section(
        "Parameters", f'<div class="scroll">{table(heads, rows, (1, 2, 3, 4))}</div>{told}' + (f"<ul>{listed}</ul>" if listed else "")
    )


def _prediction(found: Identification) -> str:
    made = found.prediction
    rows = []
    for row, horizon in enumerate(made.horizons):
        rows += [
            (f"{horizon:g} s", joint, f"{old:.4g}", f"{new:.4g}", "rad or m")
            for joint, old, new in zip(made.joints, made.nominal[row], made.fitted[row], strict=True)
        ]
        rows.append((f"{horizon:g} s", "tool", f"{made.tool_nominal[row]:.3g}", f"{made.tool_fitted[row]:.3g}", "mm"))
    heads = ("horizon", "", "nominal", "fitted", "unit")
    return section(
        "Prediction of held-out data",
        f'<div class="scroll">{table(heads, rows, (2, 3))}</div><p class="note">Held out: {escape(found.holdout)}.</p>',
    )


def _residuals(found: Identification) -> str:
    text = f"<p>χ² per degree of freedom: <b>{found.linear.chi2:.3g}</b>. Near 1, what is left is noise.</p>"
    if not found.suspects:
        return section(
            "What the model misses",
            text + (missing("No effect was found that would explain what is left.") if found.linear.chi2 > 2 else ""),
        )
    rows = [(suspect.effect, f"{100 * suspect.share:.0f} %", suspect.sentence) for suspect in found.suspects]
    return section("What the model misses", text + f'<div class="scroll">{table(("effect", "explains", ""), rows, (1,))}</div>')


def _data(found: Identification) -> str:
    rows = [
        (
            log.name.rpartition("/")[2],
            quality.samples,
            f"{quality.duration:.4g}",
            f"{1 / quality.period:.5g}",
            f"{1e3 * quality.jitter:.2g}",
            quality.gaps,
        )
        for log, quality in zip(found.problem.logs, found.qualities, strict=True)
    ]
    noise = [
        (log.name.rpartition("/")[2], signal, joint, f"{value:.2g}", f"{quality.quantum[signal][joint]:.2g}")
        for log, quality in zip(found.problem.logs, found.qualities, strict=True)
        for signal, joints in quality.noise.items()
        for joint, value in joints.items()
    ]
    listed = "".join(f"<li>{escape(remark)}</li>" for remark in found.remarks)
    first = table(("log", "samples", "s", "Hz", "jitter, ms", "gaps"), rows, (1, 2, 3, 4, 5))
    second = table(("log", "signal", "joint", "noise", "step"), noise, (3, 4))
    return section("Data", f'<div class="scroll">{first}</div><ul>{listed}</ul><div class="scroll">{second}</div>')
