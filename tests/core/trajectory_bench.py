"""What a robot behind a joint trajectory controller does with messages, and a guard whose samples keep the limits: for the tests of trajectories."""

import numpy as np

TICK = 0.005


class Samples:
    """Commands of six equal joints that keep their limits as samples, as `LimitGuard` has it."""

    def __init__(self, mode, period, velocity, acceleration, braking, start, high=np.inf):
        self.mode, self.period = mode, period
        self.velocity, self.acceleration, self.braking, self.high = velocity, acceleration, braking, high
        self.place, self.rate, self.acted = np.array(start, dtype=float), np.zeros(len(start)), -np.inf

    def command(self, now, speed):
        """The command nearest to a speed, `[J]`."""
        reach, dt = self.acceleration * self.period, self.period
        slow = self.slowest(dt)
        low, high = np.maximum(self.rate - reach, -self.velocity), np.minimum(self.rate + reach, self.velocity)
        if self.mode == "position":
            room, step = np.maximum(self.high - self.place, 0.0), self.braking * dt
            high = np.minimum(
                high, 2 * self.braking * np.minimum(room, 1e9) / (np.sqrt(step**2 + 2 * self.braking * np.minimum(room, 1e9)) + step)
            )
        return self._emit(now, np.clip(speed, np.minimum(low, slow), np.maximum(high, slow)), dt)

    def brake(self, now):
        """The command that brakes, as the guard judges it between two commands."""
        dt = min(max(now - self.acted, TICK), self.period)
        return self._emit(now, self.slowest(dt), dt)

    def slowest(self, dt):
        return self.rate - np.clip(self.rate, -self.braking * dt, self.braking * dt)

    def _emit(self, now, rate, dt):
        self.rate, self.acted = rate, now
        self.place = self.place + rate * dt
        return self.place.copy() if self.mode == "position" else rate.copy()


class Follower:
    """Interpolates messages as joint_trajectory_controller does with `interpolate_from_desired_state`: from the desired state until the first point.

    Between points with accelerations it finds the quintic by solving for it.
    """

    def __init__(self, start):
        self.pieces = []  # (arrival, times, positions, velocities, accelerations)
        self._start = np.array(start, dtype=float)

    def receive(self, now, times, positions, velocities, accelerations=None):
        times = np.asarray(times, dtype=float)
        if times[0] > 0:
            position, velocity, acceleration = self.at(np.array([now]))
            times, positions, velocities = np.r_[0.0, times], np.vstack([position, positions]), np.vstack([velocity, velocities])
            accelerations = None if accelerations is None else np.vstack([acceleration, accelerations])
        self.pieces.append((now, times, positions, velocities, accelerations))

    def at(self, moments, piece=-1):
        """Positions, velocities and accelerations `[T, J]` of one message's motion."""
        if not self.pieces:
            rest = np.zeros((len(moments), self._start.size))
            return self._start + rest, rest, rest
        began, times, *fields = self.pieces[piece]
        at = moments - began
        result = [np.zeros((at.size, self._start.size)) for _ in range(3)]
        result[0][:] = fields[0][-1]
        order = 4 if fields[2] is None else 6
        segment = np.searchsorted(times, at, side="right") - 1
        for k in set(segment[(segment >= 0) & (segment < times.size - 1)].tolist()):
            length, inside = times[k + 1] - times[k], segment == k
            scale = [1.0, length, length**2][: order // 2]
            known = np.vstack(
                [s * f[k] for s, f in zip(scale, fields, strict=False)] + [s * f[k + 1] for s, f in zip(scale, fields, strict=False)]
            )
            origin = fields[0][k]
            known[0], known[order // 2] = 0.0, known[order // 2] - origin
            rows = [_powers(np.array([end]), order, d)[0] for end in (0.0, 1.0) for d in range(order // 2)]
            coefficients = np.linalg.solve(np.array(rows), known)
            share = (at[inside] - times[k]) / length
            for d in range(3):
                result[d][inside] = _powers(share, order, d) @ coefficients / length**d
            result[0][inside] += origin
        return result

    def motion(self, until, step=0.001):
        """Moments `[T]`, positions, velocities, accelerations `[T, J]` and jumps of position and velocity at each change of message."""
        parts, jumps = [], []
        for k, (began, times, *_) in enumerate(self.pieces):
            end = self.pieces[k + 1][0] if k + 1 < len(self.pieces) else until
            between = began + np.r_[times, (times[1:] + times[:-1]) / 2]
            moments = np.sort(np.r_[np.arange(began, end, step), max(began, end - 1e-12), between[between < end]])
            parts.append((moments, *self.at(moments, k)))
            if k:
                before, after = self.at(np.array([began]), k - 1), self.at(np.array([began]), k)
                jumps.append([np.abs(after[d] - before[d]).max() for d in range(2)])
        return [np.concatenate([part[d] for part in parts]) for d in range(4)], np.array(jumps).reshape(-1, 2)


def _powers(shares, order, degree):
    """What multiplies each coefficient of a polynomial's derivative at the shares, `[T, order]`."""
    powers = np.arange(order)
    factors = np.prod([np.maximum(powers - d, 0) for d in range(degree)], axis=0) if degree else np.ones(order)
    return factors * shares[:, None] ** np.maximum(powers - degree, 0)
