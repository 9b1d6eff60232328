"""Installs the nodes for `ros2 run` and `ros2 launch`; `pip install isthmus[ros]` installs the same Python package without them."""

from setuptools import find_packages, setup

NAME = "isthmus_ros"

setup(
    name=NAME,
    version="0.1.0",
    packages=find_packages(include=["isthmus_ros*"]),
    package_data={NAME: ["loopback.xml", "py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "explore_node = isthmus_ros.__main__:script",
            "guard_node = isthmus_ros.__main__:script",
            "monitor_node = isthmus_ros.__main__:script",
            "policy_node = isthmus_ros.__main__:script",
            "record_node = isthmus_ros.__main__:script",
            "sim_node = isthmus_ros.__main__:script",
        ],
    },
)
