"""A policy file on a simulated robot over ROS 2: the nodes that run on a real one, and what came of it.

`python examples/deploy.py` writes the scripted solution of `reach` and evaluates it on PyBullet behind the robot's topics, through `guard_node`, in
stepped time. On hardware `ros2 launch isthmus_bringup deploy.launch.py policy:=… robot:=ur5e` starts the same nodes for the same file. Needs
`isthmus[ros]` or a ROS 2 installation.
"""

from __future__ import annotations

from pathlib import Path

from isthmus_controllers.scripted import scripted_artifact
from isthmus_evidence import evaluate
from isthmus_evidence.ros_evaluation import Nodes
from isthmus_sim.tasks import get_task


def main() -> None:
    """Two episodes over topics, and the same two in process."""
    file = Path("reach-scripted.isthmus")
    scripted_artifact(get_task("reach").contract).save(file)
    over_topics = evaluate(file, plant="ros", episodes=2, nodes=Nodes(engine="pybullet"), record=Path("recordings"))
    in_process = evaluate(file, plant="pybullet", episodes=2)
    for name, result in (("over ROS 2", over_topics), ("in process", in_process)):
        print(f"{name}: success {result['success']['rate']:g}, return {result['return']['mean']:.6f}, ends {result['ends']}")
    print(f"recordings: {', '.join(file.name for file in sorted(Path('recordings').glob('*.mcap')))}")


if __name__ == "__main__":
    main()
