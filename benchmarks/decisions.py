"""Sequences against repeated actions, through ROS 2: a robot at the task's control rate, a policy that decides once per several control periods.

`python benchmarks/decisions.py SRL.isthmus SAC.isthmus` runs both policy files of one task through `policy_node`, `guard_node` and `sim_node`, with
one decision per `--length` control periods (8: 2.5 Hz on `reach`, whose robot is commanded at 20 Hz). The sequence policy executes what it has
planned; the reactive one repeats its action, which is written into a copy of its file, so that the nodes need to know nothing about it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from isthmus.artifact import Artifact
from isthmus.kinds.graph import graph_artifact
from isthmus.sequence import sequence_contract
from isthmus_evidence.contracts import task_for
from isthmus_evidence.results import Results
from isthmus_evidence.statistics import mean_interval, success_interval
from isthmus_ros.evaluation.coordinator import evaluate_over_ros
from isthmus_sim.tasks import get_task


def main() -> None:
    """Print one line per policy."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sequence", type=Path, help="policy file that plans sequences, such as one of `isthmus train srl`")
    parser.add_argument("reactive", type=Path, help="policy file that decides every control period, such as one of `isthmus train sac`")
    parser.add_argument("--length", type=int, default=8, help="control periods per decision")
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the first episode")
    parser.add_argument("--clock", choices=("stepped", "wall"), default="stepped")
    parser.add_argument("--plant", choices=("mujoco", "pybullet"), default="pybullet")
    parser.add_argument("--record", type=Path, help="file of figures to write")
    arguments = parser.parse_args()
    results = Results(arguments.record) if arguments.record else None
    with tempfile.TemporaryDirectory() as folder:
        repeating = Path(folder) / "repeating.isthmus"
        repeat_actions(Artifact.load(arguments.reactive), arguments.length).save(repeating)
        for what, path in (("sequence", arguments.sequence), ("action repeat", repeating)):
            contract = Artifact.load(path).contract
            task = task_for(get_task(contract.task), contract)
            seeds = range(arguments.seed, arguments.seed + arguments.episodes)
            found = evaluate_over_ros(task, path, seeds, clock=arguments.clock, plant=arguments.plant, replan=arguments.length).episodes
            successes, returns = sum(bool(episode.success) for episode in found), np.array([episode.total_reward for episode in found])
            low, high = success_interval(successes, len(found))
            worst, best = mean_interval(returns)
            rate = 1 / (arguments.length * contract.control_period)
            print(
                f"{what:14} {task.name}, {arguments.plant}, {arguments.clock}, {rate:.2g} Hz decisions, {1 / contract.control_period:g} Hz robot: "
                f"success {successes} of {len(found)} ({low:.2f} … {high:.2f}), return {returns.mean():.1f} ({worst:.1f} … {best:.1f})",
                flush=True,
            )
            if results:
                row = {
                    "what": f"{what}, {arguments.length} actions per decision",
                    "task": task.name,
                    "plant": arguments.plant,
                    "clock": arguments.clock,
                    "rate": rate,
                    "episodes": len(found),
                    "success": {"rate": successes / len(found), "low": low, "high": high},
                    "return": {"mean": float(returns.mean()), "low": worst, "high": best},
                    "policy": {"commit": Artifact.load(arguments.sequence if what == "sequence" else arguments.reactive).git},
                }
                results.add(f"{what} | {arguments.clock}", row, ("ros", "eval", "fas", "srl" if what == "sequence" else "sac"))


def repeat_actions(artifact: Artifact, length: int) -> Artifact:
    """The same policy as one that plans its action `length` times; it takes the previous action as every sequence does, and ignores it."""
    contract = sequence_contract(artifact.contract, length)
    model = onnx.load_from_string(artifact.members["policy.onnx"])
    graph = model.graph
    (output,) = graph.output
    for node in graph.node:
        for index, name in enumerate(node.output):
            if name == output.name:
                node.output[index] = "once"
    for signal in contract.observation[len(artifact.contract.observation) :]:
        graph.input.append(helper.make_tensor_value_info(signal.name, TensorProto.FLOAT, ["B", signal.history, *signal.shape]))
    graph.initializer.append(numpy_helper.from_array(np.array([1, length, 1], dtype=np.int64), "times"))
    graph.node.append(helper.make_node("Tile", ["once", "times"], [output.name]))
    output.type.tensor_type.shape.dim[1].dim_value = length
    onnx.checker.check_model(model)
    return graph_artifact(contract, model.SerializeToString(), {"repeats": length})


if __name__ == "__main__":
    main()
