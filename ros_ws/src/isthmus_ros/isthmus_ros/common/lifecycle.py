"""What the lifecycle nodes have in common: transitions that fail with one sentence, and services that refuse with one."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

__all__ = ["CarefulNode"]

_SUCCESS, _FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class CarefulNode(LifecycleNode):
    """A lifecycle node with plain methods as transitions; what they raise is logged, and the transition fails."""

    def configure(self) -> None:
        """Load and check; publish nothing."""
        raise NotImplementedError

    def activate(self) -> None:
        """Check the samples already received; command nothing."""
        raise NotImplementedError

    def deactivate(self) -> None:
        """Refused in motion."""
        raise NotImplementedError

    def clean_up(self) -> None:
        """Release the topics."""
        raise NotImplementedError

    def rest(self) -> bool:
        """Begin or go on coming to rest; True once it is done."""
        raise NotImplementedError

    def published(self) -> None:
        """Called after each service call: publish the status."""
        raise NotImplementedError

    def on_configure(self, state: Any) -> Any:
        """See `configure`. What was made so far is left to live: a full garbage collection over it would take 40 ms, in motion."""
        done = self._transition("configure", self.configure)
        gc.collect()
        gc.freeze()
        return done

    def on_activate(self, state: Any) -> Any:
        """See `activate`."""
        return self._transition("activate", self.activate)

    def on_deactivate(self, state: Any) -> Any:
        """See `deactivate`."""
        return self._transition("deactivate", self.deactivate)

    def on_cleanup(self, state: Any) -> Any:
        """See `clean_up`."""
        return self._transition("clean up", self.clean_up)

    def on_shutdown(self, state: Any) -> Any:
        """Begin to brake, if there is motion."""
        self.rest()
        return _SUCCESS

    def text(self, name: str) -> str:
        """A parameter as text."""
        return str(self.get_parameter(name).value)

    def serve(self, kind: Any, name: str, action: Callable[[Any], str]) -> None:
        """Offer a service; `action` takes the request and returns why it is refused, "" if it is done. A ValueError refuses too."""

        def answer(request: Any, response: Any) -> Any:
            try:
                refusal = action(request)
            except ValueError as error:
                refusal = str(error)
            response.success = not refusal
            response.message = f"{name} refused: {refusal}" if refusal else "ok"
            if refusal:
                self.get_logger().warning(response.message)
            self.published()
            return response

        self.create_service(kind, name, answer)

    def _transition(self, name: str, work: Callable[[], None]) -> Any:
        try:
            work()
        except (ValueError, OSError) as error:
            self.get_logger().error(f"cannot {name}: {error}")
            return _FAILURE
        except Exception:
            self.get_logger().fatal(f"cannot {name}: {traceback.format_exc()}")
            return _FAILURE
        return _SUCCESS
