"""What a recording of a UR5e that reaches holds."""

from rclpy.serialization import deserialize_message

from isthmus.robot import load_robot
from isthmus_ros.recording.recorded import recorded_topics
from isthmus_sim.tasks import get_task


def messages_of(bag, name):
    """Deserialised messages of a topic, relative to /, of the recording in a folder."""
    from rosbags.rosbag2 import Reader

    topics = recorded_topics(load_robot("ur5e"), get_task("reach").contract, "/", clock=False)
    kinds = {topic.name.lstrip("/"): topic.kind for topic in topics}
    with Reader(bag) as reader:
        connections = [connection for connection in reader.connections if connection.topic == f"/{name}"]
        assert connections, name
        return [deserialize_message(bytes(content), kinds[name]) for _, _, content in reader.messages(connections)]
