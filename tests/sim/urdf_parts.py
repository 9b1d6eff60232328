"""Small URDFs, from parts."""

from isthmus.robot_import import import_urdf

BODY = '<inertial><origin xyz="{x} 0 {z}"/><mass value="{m}"/><inertia ixx="{i}" iyy="{i}" izz="{i}" ixy="0" ixz="0" iyz="0"/></inertial>'


def body(name, m=0.5, i=0.002, x=0.05, z=0.0, more=""):
    return f'<link name="{name}">{BODY.format(x=x, z=z, m=m, i=i)}{more}</link>'


def joint(name, parent, child, kind="revolute", axis="0 0 1", limit='lower="-1" upper="1" effort="30" velocity="10"', xyz="0.1 0 0"):
    return (
        f'<joint name="{name}" type="{kind}"><origin xyz="{xyz}"/><parent link="{parent}"/><child link="{child}"/>'
        f'<axis xyz="{axis}"/><limit {limit}/></joint>'
    )


def written(folder, *parts):
    path = folder / "given.urdf"
    path.write_text(f'<robot name="given">{"".join(parts)}</robot>')
    return path


def imported(folder, *parts):
    return import_urdf("mine", written(folder, *parts), folder / "robots")


def arm(more="", **how):
    return '<link name="stand"/>', joint("turn", "stand", "arm", **how), body("arm", more=more)


def legs(root, fixed):
    parts = [root, '<joint name="weld" type="fixed"><parent link="base"/><child link="trunk"/></joint>'] if fixed else []
    parts.append(body("trunk", m=8, i=0.1, x=0))
    for number, place in enumerate(("0.2 0.1 0", "0.2 -0.1 0", "-0.2 0.1 0", "-0.2 -0.1 0")):
        parts += [joint(f"hip{number}", "trunk", f"thigh{number}", axis="0 1 0", xyz=place), body(f"thigh{number}", x=0, z=-0.1)]
        parts += [
            joint(f"knee{number}", f"thigh{number}", f"calf{number}", axis="0 1 0", xyz="0 0 -0.2"),
            body(f"calf{number}", x=0, z=-0.1),
        ]
    return parts
