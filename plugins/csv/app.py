"""A sink that appends JSON records to a CSV file: one row a record, one column a configured field.

Its component exports the interfaces `plugin` and `connector`, whose functions are the methods of `Plugin` and `Connector` here, and
`sink`, whose resource is the class `Task` of the module `sink`.
"""

from wit_world import exports
from wit_world.exports.plugin import Class, ConfigKey, ConfigValue, Importance, Kind, Manifest, ValueType, Width

CLASS = "hawser.csv.CsvSink"


def key(name: str, order: int, width: Width, documentation: str) -> ConfigKey:
    return ConfigKey(
        name=name,
        value_type=ValueType.LIST if name == "fields" else ValueType.STRING,
        default=None,
        required=True,
        importance=Importance.HIGH,
        documentation=documentation,
        group="CSV",
        order=order,
        width=width,
        display_name=name.capitalize(),
        recommended=[],
        dependents=[],
    )


class Plugin(exports.Plugin):
    def describe(self) -> Manifest:
        sink = Class(
            name=CLASS,
            aliases=["CsvSink", "Csv"],
            kind=Kind.SINK,
            summary="Appends JSON records to a CSV file.",
            config=[
                key("file", 1, Width.LONG, "File to append to. Its directory must be granted with sandbox.files."),
                key("fields", 2, Width.LONG, "Fields of the JSON object that become the columns, comma-separated."),
            ],
        )
        return Manifest(name="csv", version="0.1.0", summary="A CSV sink, written in Python.", classes=[sink])

    def validate(self, class_: str, config: list[tuple[str, str]]) -> list[ConfigValue]:
        fields = dict(config).get("fields", "")
        names = [name.strip() for name in fields.split(",")]
        errors = ["fields must name each column once"] if len(set(names)) != len(names) or "" in names else []
        return [ConfigValue(name="fields", value=fields, recommended=[], errors=errors, visible=True)]


class Connector(exports.Connector):
    def task_configs(self, class_: str, config: list[tuple[str, str]], max_tasks: int) -> list[list[tuple[str, str]]]:
        # Two tasks appending to one file would mix their rows.
        return [config]
