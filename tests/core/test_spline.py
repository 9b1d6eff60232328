import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from trajectory_bench import Follower

from isthmus.spline import Spline

values = arrays(np.float64, (3, 2), elements=st.floats(-3, 3))
TIMES = np.array([0.0, 0.2, 1.0])


@given(positions=values, velocities=values, accelerations=values, time=st.floats(0, 1.2))
def test_between_points_it_is_the_polynomial_that_has_both_ends(positions, velocities, accelerations, time):
    for fields in ((positions, velocities), (positions, velocities, accelerations)):
        robot = Follower(positions[0])
        robot.receive(0.0, TIMES, *fields)
        for found, expected in zip(Spline(TIMES, *fields).sample(time), robot.at(np.array([time])), strict=True):
            np.testing.assert_allclose(found, expected[0], atol=1e-7)


@given(positions=values, velocities=values, accelerations=values)
def test_it_passes_through_its_points_and_rests_at_the_end(positions, velocities, accelerations):
    spline = Spline(TIMES, positions, velocities, accelerations)
    for k, time in enumerate(TIMES[:-1]):
        for found, expected in zip(spline.sample(time), (positions[k], velocities[k], accelerations[k]), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-12)
    position, velocity, acceleration = spline.sample(1.0)
    np.testing.assert_array_equal(position, positions[-1])
    np.testing.assert_array_equal([velocity, acceleration], 0.0)


def test_positions_alone_are_joined_by_straight_lines_and_it_stands_before_the_first():
    spline = Spline(TIMES + 1, np.array([[0.0], [1.0], [0.0]]))
    assert [float(spline.sample(time)[0][0]) for time in (0.5, 1.1, 1.6, 3.0)] == pytest.approx([0.0, 0.5, 0.5, 0.0])
    assert [float(spline.sample(time)[1][0]) for time in (0.5, 1.1, 1.6, 3.0)] == pytest.approx([0.0, 5.0, -1.25, 0.0])


@pytest.mark.parametrize("times", [[], [-0.1, 1.0], [0.0, 0.0], [0.0, 1.0, 0.5]])
def test_times_that_do_not_increase_are_refused(times):
    with pytest.raises(ValueError, match=r"times of a spline must be >= 0 s and increase, got \["):
        Spline(np.array(times), np.zeros((len(times), 1)))
