"""Installs the launch files and the configuration of the checkout's top-level folders for `ros2 launch isthmus_bringup`."""

from glob import glob

from setuptools import setup

NAME = "isthmus_bringup"


def found(pattern: str) -> list[str]:
    """Files of a top-level folder: through the link in this folder, or directly where the checkout has no links."""
    return sorted(glob(pattern) or glob(f"../../../{pattern}"))


setup(
    name=NAME,
    version="0.1.0",
    packages=[NAME],
    package_data={NAME: ["py.typed", "config/*.yaml", "config/*.json"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/launch", found("launch/*.launch.py")),
        (f"share/{NAME}/config", found("config/*.yaml") + found("config/*.json")),
    ],
    install_requires=["setuptools"],
    zip_safe=False,
    license="Apache-2.0",
)
