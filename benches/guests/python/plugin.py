"""A filter that looks at three strings of every event: the yardstick for what a plugin costs."""

from tamis_plugin import Drop, Event, Filter, drop


class ThreeStrings(Filter):
    def filter(self, event: Event) -> Drop | None:
        if (
            event.text("release") == "0.0.0"
            or event.text("environment") == "sandbox"
            or event.text("transaction") == "/never"
        ):
            return drop("bench")
        return None
